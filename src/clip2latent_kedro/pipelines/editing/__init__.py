"""Pipelines of editing: what edits are prepared with, and the audit of them all."""
