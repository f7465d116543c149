"""Who is interpreted for whom: all of a meeting but its sound."""
