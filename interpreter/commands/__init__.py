"""What people ask of a meeting, and what stands."""
