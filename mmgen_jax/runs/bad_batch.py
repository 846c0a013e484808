"""The batch of a step that gave NaN or infinity, kept to be looked at."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Callable, Iterator

from mmgen_jax.data import pipeline
from mmgen_jax.data.files import npz_columns
from mmgen_jax.errors import NotFinite
from mmgen_jax.training import hosts


@contextlib.contextmanager
def kept(workdir: pathlib.Path, source, config, say: Callable[[str], None]) -> Iterator[None]:
    """Writes `workdir/not_finite_<step>.npz` where the block raises NotFinite, and says where.

    The file holds the arrays of that step's batch, and `index [B]` and `epoch [B]` of its examples in the source.
    """
    try:
        yield
    except NotFinite as error:
        if hosts.is_first():
            size = config.train.batch_size
            batch = pipeline.at(source, (error.step - 1) * size, size, config.seed)
            file = workdir / f"not_finite_{error.step}.npz"
            npz_columns.write(file, batch)
            say(f"the batch of step {error.step}: {file}; examples {', '.join(map(str, batch['index'].tolist()))}")
        raise
