"""The examples that an evaluator measures: from batches to arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX


def collect(
    sample_fn: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    batches: Iterable[Mapping[str, Any]],
    target: str,
    names: tuple[str, ...],
    num_examples: int,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The samples `[N, …]` of `target` for the first `num_examples` examples, and the true `{name: [N, …]}` of each.

    An example that lacks one of `names` (masked) is left out; N is less than `num_examples` where the batches end.

    Raises:
      ConfigError: no example has them all.
    """
    samples, true, count = [], {name: [] for name in names}, 0
    for batch in batches:
        keep = np.ones(len(batch[names[0]]), bool)
        for name in names:
            keep &= np.asarray(batch.get(name + MASK_SUFFIX, True))
        keep = np.flatnonzero(keep)[: num_examples - count]
        if keep.size:
            samples.append(np.asarray(sample_fn(batch)[target])[keep])
            for name in names:
                true[name].append(np.asarray(batch[name])[keep])
            count += keep.size
        if count >= num_examples:
            break
    if not count:
        raise ConfigError(
            f"evaluator: expected examples with {', '.join(names)}, got none; evaluate a split that has them, with "
            "num_examples above 0"
        )
    return np.concatenate(samples), {name: np.concatenate(rows) for name, rows in true.items()}
