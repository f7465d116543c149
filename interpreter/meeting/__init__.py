"""A meeting: the interpretation with its sound, driven in time."""
