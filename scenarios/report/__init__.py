"""Reports of replayed scenarios: a page for each, and an index of a run; every file is whole in itself."""
