"""Alerts to people: signed webhooks from `cx.alerts`."""
