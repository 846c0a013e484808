"""Metrics as pure functions of arrays or texts."""
