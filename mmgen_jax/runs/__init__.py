"""A run on disk, and sampling from the run."""
