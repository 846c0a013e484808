"""A run on disk, and drawing from it."""
