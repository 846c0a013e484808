"""Kinds of data: what an array of each must be, how a file becomes one and how a sample becomes a file."""
