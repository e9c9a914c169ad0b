"""Delivery: announced steps of alerts, posted as signed webhooks to the people who act on them."""
