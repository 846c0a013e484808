"""Fusions, from the tokens of all modalities to one `Condition`: a module defines `Fusion`, `{name: Tokens} -> …`.

Rules for every fusion: masked tokens have no influence, a modality whose tokens are all masked counts as absent, an
example without any modality gives a finite constant, and the order of the mapping does not matter.
"""
