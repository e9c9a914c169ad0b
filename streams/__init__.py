"""cx-signals: touchpoint events in, explained experience scores and churn-risk alerts out."""

__version__ = "0.1.0"
