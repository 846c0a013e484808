"""Retrieval: the examples of a split that are nearest to a person's own text, picture, sound or clip."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmgen_jax.config.system import held_out_split, open_source
from mmgen_jax.data import pipeline
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import save
from mmgen_jax.modalities.modality import MASK_SUFFIX
from mmgen_jax.modalities.space import Discrete
from mmgen_jax.runs import data, remote
from mmgen_jax.runs.prompts import named, read_given
from mmgen_jax.runs.workdir import changed, check_out, read_workdir, restore

FILE = "nearest.jsonl"


def retrieve(
    workdir,
    out,
    given: Mapping[str, Any],
    num: int,
    by_kind: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    split: str = "",
    step: int = 0,
) -> list[pathlib.Path]:
    """Writes the `num` nearest examples of a split, nearest first, each with its cosine similarity.

    With given conditions, the nearest targets are found; with a given target, the nearest conditions. An example that
    lacks one of the sought modalities is no candidate. `nearest.jsonl` has a line for each example that was found:
    `index` in the split, `cosine`, and, of a folder, `example`, where it lies (`places` of `data/folder.py`).

    Args:
      given: `{name: value}` of conditions, or of the target: a text, a class or its number, else the name of a file.
      num: the largest number of examples; fewer where the split has fewer.
      by_kind: `{kind: value}`, for a kind that exactly one of the conditions and the target has.
      changes: the place of the data, and the other changes that `workdir.restore` takes.
      overwrite: whether `out` may hold files; see `workdir.check_out`.
      split: the split to search; "": `test`, or the last split where the data has no `test`.
      step: of the checkpoint, see `workdir.restore`.

    Raises:
      ConfigError: `out` holds files; the model does not embed; nothing is given, or both conditions and target, or
        several texts, or a name that the model does not read; the data differs from the data of the run; see also
        `workdir.restore` and `prompts.read_given`.
    """
    workdir, out = remote.opened(workdir), check_out(out, overwrite)
    data.check(workdir, changed(read_workdir(workdir)[0], changes or {}))
    config, system, sampler, _ = restore(workdir, changes=changes, step=step)
    if "embed_pair" not in system.objective.abilities:
        raise ConfigError(
            f"retrieve: the model of --workdir={workdir} draws its target, and compares nothing; train one that embeds "
            "both, e.g. --config=image_text_retrieval"
        )
    modalities, names = system.modalities, (*system.conditions, system.target)
    query = read_given(named(given, by_kind or {}, names, modalities), names, modalities)
    if not query or (system.target in query and len(query) > 1):
        conditions = ", ".join(f"--given.{name}" for name in system.conditions)
        raise ConfigError(
            f"retrieve: expected {conditions} to find the nearest {system.target}, or --given.{system.target} alone to "
            f"find the nearest {', '.join(system.conditions)}; got " + (", ".join(query) or "nothing")
        )
    if several := [name for name, values in query.items() if len(values) > 1]:
        got = len(query[several[0]])
        raise ConfigError(f"--given.{several[0]}: expected one to look for, got {got}; give one of them")
    by_target = system.target in query
    sought = system.conditions if by_target else (system.target,)
    batch = {name: modalities[name].zeros(1) for name in names}
    batch |= {name + MASK_SUFFIX: np.array([name in query]) for name in names}
    batch |= query
    vector = sampler.embed_pair(batch)[by_target][0]

    split = split or held_out_split(config)
    source = open_source(config, split)
    batches = pipeline.batches(
        source, batch_size=sampler.batch_size, seed=0, shuffle=False, epochs=1, drop_remainder=False
    )
    cosines = np.concatenate([_cosines(sampler, batch, vector, sought, by_target) for batch in batches])
    nearest = np.argsort(-cosines, kind="stable")[: min(num, int(np.isfinite(cosines).sum()))]
    found = source.read(nearest, np.zeros(len(nearest), np.int64))
    beside = {name: found[name] for name in names if name not in sought}
    said = {name: modalities[name] for name in beside if isinstance(modalities[name].space, Discrete)}
    captions = [f"{cosines[at]:.3f} {save.describe(found, said, i)}".strip() for i, at in enumerate(nearest)]
    paths = save.save_samples(out, None, {name: found[name] for name in sought}, modalities, captions, beside)
    where: Any = getattr(source, "places", None)  # sources of files have it
    places = where(nearest) if where else None
    with (out / FILE).open("w") as file:
        for i, at in enumerate(nearest.tolist()):
            example = {"example": places[i]} if places else {}
            file.write(json.dumps({"split": split, "index": at, "cosine": float(cosines[at])} | example) + "\n")
    return [*paths, out / FILE]


def _cosines(sampler, batch, vector: np.ndarray, sought: tuple[str, ...], by_target: bool) -> np.ndarray:
    """The cosine of each example with the query's unit vector; -inf where an example lacks a sought modality."""
    vectors = sampler.embed_pair(batch)[not by_target]
    lacks = np.zeros(len(vectors), bool)
    for name in sought:
        lacks |= ~np.asarray(batch.get(name + MASK_SUFFIX, ~lacks))
    return np.where(lacks, -np.inf, vectors @ vector)
