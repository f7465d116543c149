"""Files and options, checked, and what they mean to a meeting."""
