"""Metrics: arrays in, floats out. Nothing of prompts, files or networks."""
