"""Discriminators: `(target [B, ...], fused: Fused | None, train) -> logits [B]`."""
