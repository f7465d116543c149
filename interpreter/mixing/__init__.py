"""Who hears what, and how loud."""
