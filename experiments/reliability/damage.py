"""Damaged files: every file of a checkpoint, of a workdir, of a cache and of a judge, harmed in six ways."""

from __future__ import annotations

import itertools
import os
import pathlib
import random
import shutil
from collections.abc import Iterator
from unittest import mock

import numpy as np
from forks import STEPS, Fork, Run, content, one_line

HARMS = {
    "cut": lambda file: file.write_bytes(file.read_bytes()[: random.randrange(max(file.stat().st_size, 1))]),
    "empty": lambda file: file.write_bytes(b""),
    "remove": lambda file: file.unlink(),
    "noise": lambda file: file.write_bytes(os.urandom(file.stat().st_size)),
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"0" * 100),
}
RUN = ("config.json", "modalities.json", "data.json", "metrics.jsonl", "evaluation.json")


def damage(count: int, folder: pathlib.Path) -> Iterator[tuple[str, str]]:
    """Each harm to each file, at most `count` of them (0: all).

    A damaged checkpoint gives the state of the checkpoint before; a damaged file of a workdir is made again, refused in
    one line that names the file, or its loss is told by a warning; a cache and a judge are made again.
    """
    # The checkpoints last: they use a device, and no process may be forked afterwards.
    every = itertools.chain(runs(folder / "runs"), caches(folder / "caches"), checkpoints(folder / "checkpoints"))
    for what, harmed in itertools.islice(every, count or None):
        yield what, harmed()


def flips(count: int, folder: pathlib.Path) -> Iterator[tuple[str, str]]:
    """One flipped bit in a random file of the newest checkpoint: the same state, or that of the checkpoint before."""
    saved = _saved(folder)
    for _ in range(count):
        file = random.choice(_files(saved / "20"))
        yield f"flip {file.name}", _restored(saved, file, _flip)


def checkpoints(folder: pathlib.Path):
    saved = _saved(folder)
    for file in _files(saved / "20"):
        for name, harm in HARMS.items():
            yield f"checkpoint, {name} {file.name}", lambda file=file, harm=harm: _restored(saved, file, harm)


def runs(folder: pathlib.Path):
    """A run of half of its steps goes on with a damaged file."""
    folder.mkdir()
    half = Run("variational", folder / "half", steps=STEPS // 2)
    assert half.wait() == 0, half.printed
    whole = Run("variational", shutil.copytree(folder / "half", folder / "whole"))
    assert whole.wait() == 0, whole.printed
    expected = content(folder / "whole")

    def harmed(name, harm) -> str:
        copy = shutil.copytree(folder / "half", folder / "copy")
        harm(copy / name)
        run = Run("variational", copy)
        code, told = run.wait(), run.printed
        if code is None:
            result = "hang"
        elif code == 0:
            got = content(copy)
            told_loss = name == "metrics.jsonl" and f"WARNING {name}" in told
            lines = {"lines": []} if told_loss else {}
            result = "survived" if got | lines == expected | lines else "wrong"
        else:
            result = "survived" if code == 1 and one_line(told) and name in told else "traceback"
        if result != "survived":
            print(f"{name}: exit {code}: {told[-800:]}")
        shutil.rmtree(copy)
        return result

    for name in RUN:
        if (folder / "half" / name).is_file():
            for kind, harm in HARMS.items():
                yield f"run, {kind} {name}", lambda name=name, harm=harm: harmed(name, harm)


def caches(folder: pathlib.Path):
    """A cache of decoded data and a judge: read again by a process that has not read them."""
    from mmgen_jax.data.cache import arrays
    from mmgen_jax.evaluators.judges import files

    folder.mkdir()
    values = np.random.default_rng(0).standard_normal((20, 50)).astype(np.float32)

    def build(writer):
        writer.extend({"row": values})

    def read() -> None:
        with mock.patch.dict(os.environ, {"MMGEN_CACHE": str(folder / "cache")}):
            got = arrays.cached("damage", [], {"version": 1}, build)
            np.testing.assert_array_equal(np.asarray(got["row"]), values)
            file = folder / "cache" / "judge.npz"
            _, weights = files.cached(file, lambda: files.write(file, {"version": 1}, {"w": values}))
            np.testing.assert_array_equal(weights["w"], values)

    def harmed(file, harm) -> str:
        harm(file)
        fork = Fork(read, folder / "read.txt")
        code = fork.wait()
        if code:
            print(f"{file.name}: exit {code}: {fork.printed[-800:]}")
        return "hang" if code is None else "survived" if code == 0 else "wrong"

    first = Fork(read, folder / "read.txt")
    assert first.wait() == 0, first.printed
    for file in _files(folder / "cache"):
        if file.suffix != ".lock":
            for kind, harm in HARMS.items():
                yield f"cache, {kind} {file.name}", lambda file=file, harm=harm: harmed(file, harm)


def _flip(file: pathlib.Path) -> None:
    data = bytearray(file.read_bytes())
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        file.write_bytes(data)


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _state(step: int):
    import jax.numpy as jnp

    return {"w": jnp.arange(3000, dtype=jnp.float32) * step, "b": jnp.full(7, step, jnp.bfloat16)}


def _saved(folder: pathlib.Path) -> pathlib.Path:
    """A folder with checkpoints of the steps 10 and 20."""
    from mmgen_jax.training.checkpoint import Checkpointer

    with Checkpointer(folder / "saved") as saved:
        for step in (10, 20):
            saved.save(step, _state(step), {"next_index": step})
    return folder / "saved"


def _restored(saved: pathlib.Path, file: pathlib.Path, harm) -> str:
    import jax

    from mmgen_jax.training.checkpoint import Checkpointer

    copy = shutil.copytree(saved, saved.with_name("copy"))
    harm(copy / file.relative_to(saved))
    try:
        with Checkpointer(copy) as found:
            restored = found.restore_newest(jax.eval_shape(lambda: _state(1)))
        assert restored is not None
        step, tree, data_state = restored
        same = jax.tree.map(lambda a, b: np.array_equal(np.asarray(a), np.asarray(b)), tree, _state(step))
        return "survived" if all(jax.tree.leaves(same)) and data_state == {"next_index": step} else "wrong"
    except Exception as error:
        print(f"{file.name}: {type(error).__name__}: {error}")
        return "lost"
    finally:
        shutil.rmtree(copy)
