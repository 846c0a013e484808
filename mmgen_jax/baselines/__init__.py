"""Baselines that models are compared with: one file each, with a class `Baseline`; the file's name is its name."""
