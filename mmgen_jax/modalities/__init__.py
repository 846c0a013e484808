"""Kinds of modalities: what an array of each kind must be, how files are read and how samples are written."""
