"""Discriminators: `(target [B, ...], condition: Condition | None, train) -> logits [B]`, or `[B, *patches]`."""
