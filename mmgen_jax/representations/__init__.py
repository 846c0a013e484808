"""What a family models in place of the raw target."""
