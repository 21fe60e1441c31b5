"""Text-to-image from any unconditional generator, with no text data."""

__version__ = "0.1.0"
