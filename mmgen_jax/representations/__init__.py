"""Representations: the codes or latents that a family models in place of the raw target."""
