"""What a model is compared with: one file each, class `Baseline`, named by its file."""
