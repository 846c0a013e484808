"""Fusions: the tokens of every modality to one `Condition`. A module defines `Fusion`: `{name: Tokens} -> Condition`.

What every fusion keeps to: tokens that are masked have no influence, a modality whose tokens are all masked counts as
absent, an example without any modality gives a finite constant, and the order of the mapping does not matter.
"""
