"""Retrieval: the held-out examples nearest to a person's own text, picture, sound or clip."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import numpy as np

from mmgen_jax.config import schema
from mmgen_jax.config.system import held_out_split, open_source
from mmgen_jax.data import pipeline
from mmgen_jax.modalities import save
from mmgen_jax.modalities.modality import MASK_SUFFIX
from mmgen_jax.runs.prompts import read_given
from mmgen_jax.runs.workdir import restore, zeros


def retrieve(workdir, out, given: Mapping[str, str], num: int) -> list[pathlib.Path]:
    """Writes what the `num` nearest examples of the held-out split hold, nearest first, and the cosine of each.

    Of conditions that are given the nearest targets are found, of a target that is given the nearest conditions; an
    example that lacks what is looked for is no candidate.

    Args:
      given: `{kind: text or file name}`.
      num: at most; fewer where the split has fewer.

    Raises:
      ConfigError: nothing given, both conditions and target, or what the model does not read; see also `sample.restore`
        and `sample.read`.
    """
    config, system, sampler, _ = restore(pathlib.Path(workdir))
    modalities, names = system.modalities, (*system.conditions, system.target)
    query = read_given(given, names, modalities)
    if not query or (system.target in query and len(query) > 1):
        flags = {name: f"--{modalities[name].kind}" for name in names}
        raise schema.ConfigError(
            f"retrieve: expected {', '.join(map(flags.get, system.conditions))} to find the nearest {system.target}, "
            f"or {flags[system.target]} alone to find the nearest {', '.join(system.conditions)}; got "
            + (", ".join(query) or "nothing")
        )
    by_target = system.target in query
    sought = system.conditions if by_target else (system.target,)
    batch = {name: zeros(modalities[name], 1) for name in names}
    batch |= {name + MASK_SUFFIX: np.array([name in query]) for name in names}
    batch |= {name: value[None] for name, value in query.items()}
    vector = sampler.embed_pair(batch)[by_target][0]

    source = open_source(config, held_out_split(config))
    batches = pipeline.batches(
        source, batch_size=sampler.batch_size, seed=0, shuffle=False, epochs=1, drop_remainder=False
    )
    cosines = np.concatenate([_cosines(sampler, batch, vector, sought, by_target) for batch in batches])
    nearest = np.argsort(-cosines, kind="stable")[: min(num, int(np.isfinite(cosines).sum()))]
    found = source.read(nearest, np.zeros(len(nearest), np.int64))
    beside = {name: found[name] for name in names if name not in sought}
    said = {name: modalities[name] for name in beside if modalities[name].kind in ("text", "label")}
    prompts = [f"{cosines[at]:.3f} {save.describe(found, said, i)}".strip() for i, at in enumerate(nearest)]
    return save.save_samples(out, None, {name: found[name] for name in sought}, modalities, prompts, beside)


def _cosines(sampler, batch, vector: np.ndarray, sought: tuple[str, ...], by_target: bool) -> np.ndarray:
    """Of each example with the query's unit vector; -inf where it lacks what is sought."""
    vectors = sampler.embed_pair(batch)[not by_target]
    lacks = np.zeros(len(vectors), bool)
    for name in sought:
        lacks |= ~np.asarray(batch.get(name + MASK_SUFFIX, ~lacks))
    return np.where(lacks, -np.inf, vectors @ vector)
