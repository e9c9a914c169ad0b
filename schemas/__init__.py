"""The contract with producers and readers: touchpoints in, scores and alerts out."""
