"""What a run is worth, in figures with their uncertainty; see docs/scores.md."""
