"""Dialogues that are trained on and evaluated: what is said, in which role and when, and as tokens."""
