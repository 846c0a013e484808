"""Generators and decoders: `(latent [B, Z], fused: Fused | None, train) -> [B, *shape]`, unbounded.

The objective brings the output to the target's range. `shape`, `dtype` and `axis_name` are filled by the surroundings.
"""
