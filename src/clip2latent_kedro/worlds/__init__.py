"""Embedded domains, with their own models: nothing but their pipelines needs them."""
