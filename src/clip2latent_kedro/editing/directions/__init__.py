"""Directions of w: given, learned, and how they are applied."""
