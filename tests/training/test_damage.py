"""Damaged files: no flipped bit passes, an older checkpoint takes over, and what can be made again is made again."""

import json
import logging
import os
import random
import shutil
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgen_jax import sweep
from mmgen_jax.data.cache import arrays, disk
from mmgen_jax.errors import CheckpointError, ConfigError, MmgenError, Unusable
from mmgen_jax.evaluators.judges import files
from mmgen_jax.results import lines
from mmgen_jax.runs.workdir import alone
from mmgen_jax.training import damaged, digest, hosts
from mmgen_jax.training.checkpoint import Checkpointer
from mmgen_jax.training.metric_writer import MetricWriter, read


def state(step):
    return {"w": jnp.arange(300, dtype=jnp.float32) * step, "n": jnp.int32(step), "none": jnp.zeros((0, 2))}


ABSTRACT = jax.eval_shape(lambda: state(1))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Two checkpoints, of steps 10 and 20."""
    folder = tmp_path_factory.mktemp("saved")
    with Checkpointer(folder) as checkpoints:
        for step in (10, 20):
            checkpoints.save(step, state(step), {"next_index": step})
    return folder


def restored(folder, create=True):
    with Checkpointer(folder, create=create) as checkpoints:
        return checkpoints.restore_newest(ABSTRACT)


def assert_is(found, step):
    got, tree, data_state = found
    assert got == step and data_state == {"next_index": step}
    jax.tree.map(np.testing.assert_array_equal, tree, state(step))


def contents(folder):
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32", "uint8", "bool"])
def test_the_digest_is_the_same_everywhere_and_shows_any_flipped_bit(dtype):
    rng = np.random.default_rng(0)
    array = jnp.asarray(rng.integers(0, 2 if dtype == "bool" else 200, (16, 5, 3))).astype(dtype)
    expected = digest.on_host(np.asarray(array))
    for spec in ((), ("x",)):
        mesh = jax.make_mesh((8,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
        placed = jax.device_put(array, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*spec)))
        assert int(jax.jit(digest.on_devices)(placed)) == expected == digest.of({"a": placed})["a"]
    data = bytearray(np.asarray(array).tobytes())
    for place in rng.integers(0, len(data), 40):
        data[place] ^= 1 << (0 if dtype == "bool" else int(rng.integers(8)))
        changed = np.frombuffer(bytes(data), np.asarray(array).dtype).reshape(array.shape)
        assert digest.on_host(changed) != expected
        data = bytearray(np.asarray(array).tobytes())


def test_the_digest_of_a_large_array_counts_all_of_its_blocks():
    array = np.random.default_rng(0).standard_normal(3 * digest.BLOCK + 17).astype(np.float32)
    assert digest.on_host(array) == int(jax.jit(digest.on_devices)(array))


def test_no_flipped_bit_passes(saved, tmp_path, caplog):
    rng = random.Random(0)
    for number in range(24):
        folder = shutil.copytree(saved, tmp_path / str(number))
        file = rng.choice(contents(folder / "20"))
        data = bytearray(file.read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        file.write_bytes(data)
        found = restored(folder)
        assert_is(found, found[0])  # the newest, where the bit is of no use, or the one before
        assert (folder / "20.damaged").exists() == (found[0] == 10)


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


KINDS = {
    "no metadata": lambda folder: (folder / "_CHECKPOINT_METADATA").unlink(),
    "metadata cut off": lambda folder: cut(folder / "_CHECKPOINT_METADATA"),
    "metadata of another position": lambda folder: (folder / "_CHECKPOINT_METADATA").write_text(
        (folder / "_CHECKPOINT_METADATA").read_text().replace('"next_index": 20', '"next_index": 21')
    ),
    "metadata without their key": lambda folder: (folder / "_CHECKPOINT_METADATA").write_text(
        (folder / "_CHECKPOINT_METADATA").read_text().replace('"custom_metadata"', '"custom_metAdata"')
    ),
    "metadata that cannot be opened": lambda folder: (folder / "_CHECKPOINT_METADATA").write_text(
        (folder / "_CHECKPOINT_METADATA").read_text().replace('"commit_timestamp', '"commit_ti-estamp')
    ),
    "empty": lambda folder: [shutil.rmtree(folder), folder.mkdir()],
    "no state": lambda folder: shutil.rmtree(folder / "state"),
    "a file is empty": lambda folder: max(contents(folder), key=lambda path: path.stat().st_size).write_bytes(b""),
    "a file is gone": lambda folder: max(contents(folder / "state" / "d"), key=os.path.getsize).unlink(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_checkpoint_before_takes_over(kind, saved, tmp_path, caplog):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    KINDS[kind](tmp_path / "20")
    with caplog.at_level(logging.WARNING):
        assert_is(restored(tmp_path, create=False), 10)
    assert "step 10 is taken instead" in caplog.text
    assert (tmp_path / "20").exists(), "a reader moves nothing"
    with caplog.at_level(logging.WARNING), Checkpointer(tmp_path) as checkpoints:
        assert_is(checkpoints.restore_newest(ABSTRACT), 10)
        assert checkpoints.newest == 10
        checkpoints.save(20, state(20), {"next_index": 20})
    assert "moved to" in caplog.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "20", "20.damaged"]
    assert_is(restored(tmp_path), 20)


def test_all_damaged_is_one_line_and_nothing_is_moved(saved, tmp_path):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    for step in ("10", "20"):
        KINDS["no metadata"](tmp_path / step)
    with pytest.raises(CheckpointError, match=r"no checkpoint is whole: step 20 is incomplete.*; step 10 is") as error:
        restored(tmp_path)
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "20"]


def test_damage_that_the_other_processes_do_not_see_ends_this_one(saved, tmp_path, monkeypatch):
    """The others wait in Orbax and do not come: the checkpoint is moved aside once, and never the last one."""

    def nobody_else_comes(flag, failed):
        assert flag == failed
        if flag:
            raise MmgenError("process 0 has not come")
        return False

    monkeypatch.setattr(hosts, "any_process", nobody_else_comes)
    folder = shutil.copytree(saved, tmp_path / "run")
    KINDS["no state"](folder / "20")
    told = (
        r"/20: is damaged: .*not all processes read; moved to .*/20\.damaged, and the same command goes on from step 10"
    )
    with pytest.raises(CheckpointError, match=told):
        restored(folder)
    with pytest.raises(OSError):  # of a second process that sees the damage
        damaged.move(folder / "20")
    assert (folder / "20.damaged").is_dir() and not (folder / "20").exists()
    assert_is(restored(folder), 10)
    KINDS["no state"](folder / "10")
    with pytest.raises(CheckpointError, match=r"/10: is damaged: .*not all processes read; look at the disk"):
        restored(folder)
    assert (folder / "10").is_dir()


def test_a_checkpoint_of_another_config_is_refused_at_once(saved):
    with Checkpointer(saved, create=False) as checkpoints, pytest.raises(CheckpointError, match="with another config"):
        checkpoints.restore_newest(ABSTRACT | {"w": jax.ShapeDtypeStruct((301,), jnp.float32)})


def test_a_reader_looks_again_where_its_checkpoint_is_deleted_under_it(saved, tmp_path, monkeypatch):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    metadata = Checkpointer._metadata

    def deleting(self, step):
        if step == 20:
            (tmp_path / "20").rename(tmp_path / "30")  # as a run that saves step 30 and deletes step 20
        return metadata(self, step)

    monkeypatch.setattr(Checkpointer, "_metadata", deleting)
    assert restored(tmp_path, create=False)[0] == 30


def test_two_trainings_in_one_workdir_are_refused(tmp_path):
    with alone(tmp_path):
        holder = rf"another training writes to it \(process {os.getpid()} on .*, since 2"
        with pytest.raises(ConfigError, match=holder), alone(tmp_path):
            pass
    with alone(tmp_path):
        pass


def test_a_cell_that_another_sweep_runs_is_left_to_it(tmp_path, monkeypatch, capsys):
    cells, ran = [types.SimpleNamespace(name="a"), types.SimpleNamespace(name="b")], []
    monkeypatch.setattr(sweep, "load", lambda file: cells)
    for name in ("check", "check_data"):
        monkeypatch.setattr(sweep, name, lambda *_: None)
    monkeypatch.setattr(sweep, "_run", lambda cell, *_: ran.append(cell.name))
    with disk.lock(tmp_path / "runs" / ".a.lock"):
        sweep.run(tmp_path / "sweep.py", tmp_path / "runs")
    assert ran == ["b"] and f"a is run by process {os.getpid()} on " in capsys.readouterr().out
    sweep.run(tmp_path / "sweep.py", tmp_path / "runs")
    assert ran == ["b", "a", "b"]


def test_a_damaged_cache_is_built_again(cache):
    def build(writer):
        builds.append(1)
        writer.extend({"x": np.arange(50.0), "text": ["a"] * 50})

    def opened():
        return arrays.cached("set", [], {"version": 1}, build)

    builds = []
    directory = opened().directory
    for file in sorted(path.name for path in directory.iterdir()):
        data = bytearray((directory / file).read_bytes())
        data[-3] ^= 4
        (directory / file).write_bytes(data)
        with pytest.raises(Unusable, match=r"damaged|format"):
            arrays.read(directory)
        np.testing.assert_array_equal(opened()["x"], np.arange(50.0))
    assert len(builds) == 5  # x, text, the offsets of text, meta.json
    meta = directory / "meta.json"
    meta.write_text(json.dumps({k: v for k, v in json.loads(meta.read_text()).items() if k != "sha256"}))
    assert len(opened()) == 50 and len(builds) == 5  # of version 0.1: without digests


def test_a_damaged_judge_is_made_again(tmp_path, caplog):
    file = tmp_path / "judge.npz"
    made = []

    def make():
        made.append(1)
        files.write(file, {"accuracy": 0.5}, {"params": {"w": np.arange(99.0)}})

    about, variables = files.cached(file, make)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert files.cached(file, make)[0] == about == {"accuracy": 0.5} and len(made) == 2
    file.write_bytes(b"")
    np.testing.assert_array_equal(files.cached(file, make)[1]["params"]["w"], variables["params"]["w"])
    files.cached(file, make)
    assert len(made) == 3


def test_a_file_that_has_not_changed_is_not_written_again(tmp_path):
    disk.replace(tmp_path / "a", "text\n")
    before = (tmp_path / "a").stat()
    disk.replace(tmp_path / "a", "text\n")
    assert (tmp_path / "a").stat().st_ino == before.st_ino
    disk.replace(tmp_path / "a", "other\n")
    assert (tmp_path / "a").read_text() == "other\n" and [path.name for path in tmp_path.iterdir()] == ["a"]


def test_tensorboard_without_space_stops_nothing_and_metrics_say_what_is_missing(tmp_path, monkeypatch, caplog):
    from tensorboardX.record_writer import RecordWriter

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RecordWriter, "write", full)
    with MetricWriter(tmp_path, 0) as writer:
        for step in range(20):
            writer.write(step, {"loss": 1.0})
        assert len(read(tmp_path)) == 20 and "TensorBoard's file is given up: No space left" in caplog.text
        monkeypatch.setattr(writer, "_lines", type("Full", (), {"write": full, "close": full})())
        with pytest.raises(
            OSError, match=r"No space left on device; .* MiB are to be written, .* MiB are free"
        ) as error:
            writer.write(20, {"loss": 1.0})
    assert error.value.filename == str(tmp_path / "metrics.jsonl")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("write: No space left [14]")])
def test_a_checkpoint_without_space_says_what_is_missing(error, tmp_path, monkeypatch):
    """Orbax writes in a thread of its own, and raises TensorStore's error, which quotes the system's."""

    def full(*_):
        raise error

    with Checkpointer(tmp_path) as checkpoints:
        checkpoints.save(10, state(10), {})
        checkpoints.save(20, state(20), {})
        written = checkpoints._pending.result
        with monkeypatch.context() as patch:
            patch.setattr(checkpoints._pending, "result", full)
            with pytest.raises(CheckpointError, match=r"no space left for the checkpoint: .* MiB are to be"):
                checkpoints.wait()
        written()


def test_missing_lines_of_metrics_are_told(tmp_path):
    with MetricWriter(tmp_path, 0) as writer:
        assert not writer.gap(0)
        for step in (10, 20):
            writer.write(step, {"loss": 1.0, "steps_per_second": 1.0})
    for start, expected, missing in ((20, 20, False), (29, 20, False), (30, 30, True)):
        with MetricWriter(tmp_path, start) as writer:
            told = writer.gap(expected)
        warning = "WARNING metrics.jsonl ends at step 20, and the run goes on from 30: lines are missing"
        assert told == (warning if missing else "")


@pytest.mark.parametrize("name", ["metrics.jsonl", "results.jsonl"])
def test_noise_in_place_of_lines_is_one_line(name, tmp_path):
    (tmp_path / name).write_bytes(b"{\xf2\xff\n")
    with pytest.raises(MmgenError, match=f"{name}:1: expected"):
        read(tmp_path) if name == "metrics.jsonl" else lines.read(tmp_path / name)
