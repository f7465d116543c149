"""What is kept of a meeting, where it is."""
