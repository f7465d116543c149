"""The interpreter as a guest in rooms of others."""
