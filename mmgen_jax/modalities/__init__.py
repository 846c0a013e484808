"""Kinds of modalities: the arrays of each kind, how files are read and how samples are written."""
