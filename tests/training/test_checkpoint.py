"""Bitwise round trips between device layouts, kills while writing, donation, and errors that name the leaf."""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from tiny import ROOT

from mmgen_jax.errors import CheckpointError
from mmgen_jax.training.checkpoint import Checkpointer


@flax.struct.dataclass
class State:
    step: jax.Array
    params: Any
    stats: Any
    opt: Any


def mesh(num_devices: int) -> jax.sharding.Mesh:
    return jax.make_mesh(
        (num_devices,), ("fsdp",), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:num_devices]
    )


def shardings(state: State, num_devices: int, fsdp: bool) -> State:
    """Replicated, or the first axis over the devices where it divides."""

    def spec(leaf):
        return P("fsdp") if fsdp and leaf.ndim and leaf.size and leaf.shape[0] % num_devices == 0 else P()

    return jax.tree.map(lambda leaf: NamedSharding(mesh(num_devices), spec(leaf)), state)


def make_state() -> State:
    kernel = jax.random.normal(jax.random.key(0), (16, 6))
    # Values that a detour through another dtype or a decimal would change.
    awkward = np.array([np.nan, -np.nan, np.inf, -0.0, 1e-45, np.pi], np.float32)
    params = {"generator": {"Dense_0": {"kernel": kernel, "bias": jnp.asarray(awkward)}}}
    stats = {
        "half": kernel.astype(jnp.bfloat16),
        "key": jnp.array([2**32 - 1, 7], jnp.uint32),
        "count": jnp.array([-(2**31), 2**31 - 1], jnp.int32),
        "used": jnp.arange(8) % 3 == 0,
        "empty": jnp.zeros((0, 5), jnp.bfloat16),
        "none": {},
    }
    opt = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3)).init(params)
    return State(step=jnp.int32(12), params=params, stats=stats, opt=opt)


def abstract(state: State, shardings: State | None = None) -> State:
    if shardings is None:
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state)
    return jax.tree.map(lambda leaf, s: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=s), state, shardings)


def assert_same_bits(got, expected):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for path, leaf in jax.tree_util.tree_leaves_with_path(expected):
        other = np.asarray(
            {jax.tree_util.keystr(p): x for p, x in jax.tree_util.tree_leaves_with_path(got)}[
                jax.tree_util.keystr(path)
            ]
        )
        leaf = np.asarray(leaf)
        assert (other.dtype, other.shape, other.tobytes()) == (leaf.dtype, leaf.shape, leaf.tobytes()), path


LAYOUTS = {"1": (1, False), "2": (2, False), "8": (8, False), "2 fsdp": (2, True), "8 fsdp": (8, True)}


@pytest.mark.parametrize(
    "saved, restored",
    [("1", "1"), ("8", "8"), ("8", "2"), ("2", "8"), ("8 fsdp", "8"), ("8 fsdp", "2 fsdp"), ("8", "1")],
)
def test_round_trip_is_bitwise_between_layouts(tmp_path, saved, restored):
    state = make_state()
    placed = jax.device_put(state, shardings(state, *LAYOUTS[saved]))
    data_state = {"next_index": 2**60, "nested": [{"a": None, "b": "é", "c": 0.1}]}
    with Checkpointer(tmp_path / "checkpoints") as checkpointer:
        checkpointer.save(12, placed, data_state)
    target = shardings(state, *LAYOUTS[restored])
    with Checkpointer(tmp_path / "checkpoints", create=False) as checkpointer:
        assert checkpointer.latest_step() == 12
        got, got_data_state = checkpointer.restore(12, abstract(state, target))
    assert_same_bits(got, state)
    assert jax.tree.map(lambda leaf: leaf.sharding, got) == target
    assert got_data_state == data_state


def test_a_leaf_without_sharding_goes_to_the_default_device(tmp_path):
    state = make_state()
    with Checkpointer(tmp_path) as checkpointer:
        checkpointer.save(0, jax.device_put(state, shardings(state, 8, True)), {})
        got, _ = checkpointer.restore(0, abstract(state))
    assert {device for leaf in jax.tree.leaves(got) for device in leaf.devices()} == {jax.devices()[0]}
    assert_same_bits(got, state)


@pytest.mark.parametrize("layout", ["1", "8", "8 fsdp"])
def test_donating_right_after_save_changes_nothing(tmp_path, layout):
    def values(i):
        return {f"w{k}": jnp.full((64, 4096), 10 * i + k, jnp.float32) for k in range(8)}

    target = shardings(values(0), *LAYOUTS[layout])
    overwrite = jax.jit(lambda tree: jax.tree.map(lambda x: x * 0 - 1, tree), donate_argnums=0, out_shardings=target)
    with Checkpointer(tmp_path, keep=None) as checkpointer:
        for i in range(4):
            state = jax.jit(lambda i=i: values(i), out_shardings=target)()
            checkpointer.save(i, state, {"next_index": i})
            for _ in range(3):
                state = overwrite(state)
        for i in range(4):
            got, data_state = checkpointer.restore(i, abstract(values(i), target))
            assert_same_bits(got, values(i))
            assert data_state == {"next_index": i}


def test_save_under_a_transfer_guard(tmp_path):
    state = make_state()
    with jax.transfer_guard("disallow"), Checkpointer(tmp_path) as checkpointer:
        checkpointer.save(0, state, {})
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


@pytest.mark.parametrize("keep, steps", [(2, [40, 41]), (1, [41]), (None, [0, 10, 40, 41])])
def test_keeps_the_newest(tmp_path, keep, steps):
    state = {"w": jnp.ones(3)}
    with Checkpointer(tmp_path, keep=keep) as checkpointer:
        assert checkpointer.latest_step() is None
        for step in (0, 10):
            checkpointer.save(step, state, {})
    with Checkpointer(tmp_path, keep=keep) as checkpointer:  # a second run goes on
        for step in (40, 41):
            checkpointer.save(step, state, {})
            assert checkpointer.latest_step() == step
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == steps


def test_a_half_written_checkpoint_is_ignored_and_removed_by_the_next_run_only(tmp_path):
    state = {"w": jnp.arange(3.0)}
    with Checkpointer(tmp_path) as checkpointer:
        checkpointer.save(5, state, {"next_index": 5})
    half = tmp_path / "9.orbax-checkpoint-tmp"
    shutil.copytree(tmp_path / "5", half)
    with Checkpointer(tmp_path, create=False) as checkpointer:
        assert checkpointer.latest_step() == 5
    assert half.is_dir()  # it may be another process' checkpoint in the making
    with Checkpointer(tmp_path) as checkpointer:
        assert checkpointer.latest_step() == 5
        assert checkpointer.restore(5, abstract(state))[1] == {"next_index": 5}
        checkpointer.save(9, state, {"next_index": 9})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["5", "9"]


def test_a_half_deleted_checkpoint_is_refused_and_gone_after_the_next_save(tmp_path):
    state = {"w": jnp.ones(3)}
    with Checkpointer(tmp_path) as checkpointer:
        for step in (1, 2):
            checkpointer.save(step, state, {})
    (tmp_path / "1" / "_CHECKPOINT_METADATA").unlink()  # killed while it deleted step 1
    with Checkpointer(tmp_path) as checkpointer:
        with pytest.raises(CheckpointError, match=r"1: is incomplete; restore another step of \[1, 2\]"):
            checkpointer.restore(1, abstract(state))
        assert_same_bits(checkpointer.restore(checkpointer.latest_step(), abstract(state))[0], state)
        checkpointer.save(3, state, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3"]


# Goes on from the newest checkpoint, checks it, and saves as fast as it can; every value of checkpoint n is n.
SAVE_FOREVER = """
import sys
import jax, jax.numpy as jnp, numpy as np
from mmgen_jax.training.checkpoint import Checkpointer
fill = jax.jit(lambda step: {f"w{k}": jnp.full((64, 1024), step, jnp.float32) for k in range(8)})
with Checkpointer(sys.argv[1]) as checkpointer:
    step = checkpointer.latest_step()
    if step is not None:
        state, data_state = checkpointer.restore(step, jax.eval_shape(fill, jnp.int32(0)))
        assert data_state == {"next_index": step} and all((np.asarray(x) == step).all() for x in state.values())
    step = -1 if step is None else step
    while True:
        step += 1
        checkpointer.save(step, fill(jnp.int32(step)), {"next_index": step})
        print(step, flush=True)
"""


def test_a_kill_at_any_moment_leaves_a_checkpoint_to_resume_from(tmp_path):
    rng = random.Random(0)
    committed = -1
    for _ in range(3):
        command = [sys.executable, "-c", SAVE_FOREVER, str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        first, second = process.stdout.readline(), process.stdout.readline()
        assert first and second, "the run could not resume"
        assert int(first) > committed  # it went on from the newest checkpoint there was
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        last = [int(second), *map(int, process.stdout.read().split())][-1]
        process.wait()
        # save() of step n waits for step n - 1, so that one at least is there.
        with Checkpointer(tmp_path, create=False) as checkpointer:
            committed = checkpointer.latest_step()
            assert committed in (last - 1, last, last + 1)
            want = {f"w{k}": jnp.full((64, 1024), committed, jnp.float32) for k in range(8)}
            got, data_state = checkpointer.restore(committed, abstract(want))
            assert_same_bits(got, want)
            assert data_state == {"next_index": committed}
    with Checkpointer(tmp_path) as checkpointer:
        checkpointer.save(committed + 10, want, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([str(committed), str(committed + 10)])


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda s: s.replace(step=jax.ShapeDtypeStruct((), jnp.int16)),
            "7: leaf 'step': expected int16[], got int32[]; the workdir was trained with another config",
        ),
        (
            lambda s: s.replace(stats=s.stats | {"key": jax.ShapeDtypeStruct((4,), jnp.uint32)}),
            "leaf 'stats/key': expected uint32[4], got uint32[2]",
        ),
        (
            lambda s: s.replace(stats=s.stats | {"ema": jax.ShapeDtypeStruct((4, 1), jnp.bfloat16)}),
            "leaf 'stats/ema': expected bfloat16[4, 1], got no such leaf",
        ),
        (
            lambda s: s.replace(opt=optax.sgd(0.1).init(s.params)),
            "leaf 'opt/1/0/count': expected no such leaf, got int32[]",
        ),
    ],
)
def test_another_tree_is_refused_with_its_first_leaf(tmp_path, change, message):
    state = make_state()
    with Checkpointer(tmp_path) as checkpointer:
        checkpointer.save(7, state, {})
        with pytest.raises(CheckpointError, match=re.escape(message)) as error:
            checkpointer.restore(7, change(abstract(state)))
    assert "\n" not in str(error.value)


def test_what_cannot_be_saved_or_is_not_there_is_refused(tmp_path):
    state = {"w": jnp.ones(3)}
    with pytest.raises(CheckpointError, match="no such folder of checkpoints"):
        Checkpointer(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()
    with Checkpointer(tmp_path) as checkpointer:
        with pytest.raises(CheckpointError, match=r"has no checkpoint of step 3; it has none"):
            checkpointer.restore(3, state)
        with pytest.raises(TypeError, match=r"leaf 'w': expected a jax\.Array, got float"):
            checkpointer.save(0, {"w": 1.0}, {})
        with pytest.raises(TypeError, match="JSON"):
            checkpointer.save(0, state, {"rng": np.random.default_rng(0)})
        checkpointer.save(0, state, {})
        with pytest.raises(CheckpointError, match="step 0 is saved already"):
            checkpointer.save(0, state, {})
        with pytest.raises(CheckpointError, match=r"has no checkpoint of step 3; it has \[0\]"):
            checkpointer.restore(3, state)


def test_an_error_while_writing_reaches_the_caller(tmp_path):
    checkpointer = Checkpointer(tmp_path / "checkpoints")
    checkpointer.save(0, {"w": jnp.ones(3)}, {})
    checkpointer.wait()
    shutil.rmtree(tmp_path / "checkpoints")
    (tmp_path / "checkpoints").touch()  # a file where the folder was: nothing can be written there
    with pytest.raises(OSError, match="checkpoints"):
        checkpointer.save(1, {"w": jnp.ones(3)}, {})
        checkpointer.close()
