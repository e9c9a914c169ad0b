"""The types of touchpoints, one module a family."""
