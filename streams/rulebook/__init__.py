"""Policies as code: their tests, what a change of policy changes, and the lives that both live through."""
