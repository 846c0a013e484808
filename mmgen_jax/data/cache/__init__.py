"""Decoded data kept on disk as memory-mapped arrays."""
