"""Ablations: one setting is moved along an axis, everything else stays as it is."""
