"""The bidirectional recurrent network of text, audio and video encoders."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.errors import InputError

CELLS = {"lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell}


class Recurrent(nn.Module):
    """Bidirectional LSTM or GRU (Graves and Schmidhuber 2005), `[B, N, D]` to `[B, N, features]`.

    Half of the features come from the forward pass, half from the backward pass. With `lengths [B]`, the backward pass
    starts at each sequence's own end; outputs beyond the end are undefined.

    Raises:
      InputError: `cell` is neither `lstm` nor `gru`, or fewer than 2 features.
    """

    features: int
    cell: str = "lstm"
    num_layers: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, values: Any, lengths=None) -> Any:
        if self.cell not in CELLS:
            raise InputError(f"recurrent cell {self.cell!r} does not exist; the cells are {', '.join(CELLS)}")
        if self.features < 2:
            raise InputError(f"features: expected at least 2, for both directions, got {self.features}")
        cell = CELLS[self.cell]
        for _ in range(self.num_layers):
            forward = nn.RNN(cell(self.features - self.features // 2, dtype=self.dtype))
            backward = nn.RNN(cell(self.features // 2, dtype=self.dtype))
            values = nn.Bidirectional(forward, backward)(values, seq_lengths=lengths)
        return values.astype(self.dtype)  # the cells' state is float32
