"""Journeys with known truth, real purchase histories, and a live view."""
