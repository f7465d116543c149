"""Corpora and captions that others made -> drafts of scenarios. No corpus comes with the package: docs/scenarios.md."""
