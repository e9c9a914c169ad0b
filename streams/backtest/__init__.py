"""Replay a log through the real scoring and judge the probabilities and the alerts."""
