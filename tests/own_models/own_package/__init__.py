"""A package that brings models of its own, as docs/own_models.md says."""
