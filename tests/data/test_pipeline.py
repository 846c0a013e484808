"""The order, sharing and resumption of batches; errors and threads."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time

import jax
import numpy as np
import pytest

from mmgen_jax.data import pipeline, read_ahead


class Source:
    """Examples that say which index and epoch they were read with; reading takes a varying time."""

    split = "train"

    def __init__(self, size: int, fails_at: int | None = None, delay: float = 0.0):
        self.size, self.fails_at, self.delay = size, fails_at, delay
        self.reads = 0

    def __len__(self) -> int:
        return self.size

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        assert indices.dtype == epochs.dtype == np.int64 and indices.shape == epochs.shape and indices.size
        self.reads += 1
        if self.delay:
            time.sleep(self.delay * (int(indices[0]) % 3))
        if self.fails_at in indices:
            raise UnicodeError(f"photos/{self.fails_at}.txt: not UTF-8")
        return {"index": indices, "epoch": epochs}


@pytest.fixture(autouse=True)
def no_threads_left():
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left


def read(source, count, **options):
    """`count` batches (all when None), each a list of (epoch, index)."""
    iterator = pipeline.batches(source, **{"batch_size": 4, "seed": 0} | options)
    rows = [pairs(batch) for batch, _ in zip(iterator, range(10**6 if count is None else count))]
    iterator.close()
    return rows


def pairs(batch):
    return list(zip(np.asarray(batch["epoch"]).tolist(), np.asarray(batch["index"]).tolist()))


def flat(rows):
    return list(itertools.chain.from_iterable(rows))


@pytest.mark.parametrize("size", [4, 10, 13])
def test_every_epoch_reads_every_example_once(size):
    rows = flat(read(Source(size), None, epochs=4, drop_remainder=False))
    assert [epoch for epoch, _ in rows] == sorted(epoch for epoch, _ in rows)
    for epoch in range(4):
        assert sorted(index for e, index in rows if e == epoch) == list(range(size))


def test_a_batch_may_span_two_epochs_and_the_remainder_is_dropped():
    rows = read(Source(10), None, epochs=3)
    assert [len(batch) for batch in rows] == [4] * 7  # 30 examples
    assert [epoch for epoch, _ in rows[2]] == [0, 0, 1, 1]


def test_order_differs_by_epoch_and_seed():
    def order(seed, epoch):
        rows = flat(read(Source(100), None, batch_size=50, epochs=3, seed=seed))
        return [index for e, index in rows if e == epoch]

    orders = [order(seed, epoch) for seed in range(3) for epoch in range(3)]
    # No two alike; seed + 1 in particular is not seed one epoch later.
    assert len({tuple(o) for o in orders}) == 9
    assert order(0, 1) == orders[1]
    assert order(0, 0) != list(range(100))


def test_one_pass_in_order_keeps_the_last_short_batch():
    rows = read(Source(10), None, shuffle=False, epochs=1, drop_remainder=False)
    assert rows == [[(0, i) for i in part] for part in ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9])]
    rows = read(Source(3), None, shuffle=False, epochs=1, drop_remainder=False)
    assert rows == [[(0, 0), (0, 1), (0, 2)]]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("process_count", [2, 4])
def test_processes_share_the_global_batch(process_count, shuffle):
    options = dict(batch_size=8, shuffle=shuffle, epochs=2, drop_remainder=False)
    whole = read(Source(21), None, **options)
    parts = [
        read(Source(21), None, process_index=k, process_count=process_count, **options) for k in range(process_count)
    ]
    assert {len(part) for part in parts} == {len(whole)}  # the last one too, where some processes have no rows: 42 % 8
    assert [flat(rows) for rows in zip(*parts)] == whole


def test_order_does_not_depend_on_the_threads():
    reference = read(Source(11), 30, num_threads=0)
    for num_threads, prefetch in ((1, 1), (4, 8), (8, 3)):
        assert read(Source(11, delay=0.002), 30, num_threads=num_threads, prefetch=prefetch) == reference


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize("num_threads", [0, 3])
def test_resumes_at_any_position(num_threads, on_device):
    def make():
        iterator = pipeline.batches(Source(10), batch_size=4, seed=5, num_threads=num_threads)
        return read_ahead.prefetch_to_device(iterator, jax.device_put, size=3) if on_device else iterator

    iterator, states, rows = make(), [], []
    for _ in range(12):  # nearly five epochs, epoch boundaries inside and between batches
        states.append(json.dumps(iterator.get_state()))
        rows.append(pairs(next(iterator)))
    iterator.set_state(json.loads(states[3]))  # back, in an iterator that has read ahead
    assert [pairs(next(iterator)) for _ in range(3)] == rows[3:6]
    assert json.dumps(iterator.get_state()) == states[6]
    iterator.close()
    for start in range(12):
        iterator = make()
        iterator.set_state(json.loads(states[start]))
        assert json.dumps(iterator.get_state()) == states[start]
        assert [pairs(next(iterator)) for _ in range(12 - start)] == rows[start:]
        iterator.close()


@pytest.mark.parametrize("on_device", [False, True])
def test_peek_does_not_advance(on_device):
    iterator = pipeline.batches(Source(10), batch_size=4, seed=0)
    if on_device:
        iterator = read_ahead.prefetch_to_device(iterator, lambda batch: batch)
    state = iterator.get_state()
    peeked = pairs(iterator.peek())
    assert pairs(iterator.peek()) == peeked and iterator.get_state() == state
    assert pairs(next(iterator)) == peeked and iterator.get_state() != state
    iterator.peek()
    iterator.set_state(state)
    assert pairs(next(iterator)) == peeked
    iterator.close()


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize("num_threads", [0, 2])
def test_errors_of_the_source_arrive_unchanged_and_again(num_threads, on_device):
    source = Source(20, fails_at=9)
    iterator = pipeline.batches(source, batch_size=4, seed=0, shuffle=False, num_threads=num_threads)
    if on_device:
        iterator = read_ahead.prefetch_to_device(iterator, lambda batch: batch)
    assert [pairs(next(iterator))[0][1] for _ in range(2)] == [0, 4]
    state = iterator.get_state()
    for _ in range(2):
        with pytest.raises(UnicodeError) as error:
            next(iterator)
        assert error.type is UnicodeError and error.value.args == ("photos/9.txt: not UTF-8",)
        assert iterator.get_state() == state
    source.fails_at = None
    assert [pairs(next(iterator))[0][1] for _ in range(3)] == [8, 12, 16]
    iterator.close()


def test_errors_of_put_arrive_unchanged():
    def put(batch):
        raise MemoryError("device is full")

    iterator = read_ahead.prefetch_to_device(pipeline.batches(Source(8), batch_size=4, seed=0), put)
    with pytest.raises(MemoryError, match=r"^device is full$"):
        next(iterator)
    iterator.close()


@pytest.mark.parametrize("on_device", [False, True])
def test_end_of_the_last_epoch(on_device):
    iterator = pipeline.batches(Source(8), batch_size=4, seed=0, epochs=1)
    if on_device:
        iterator = read_ahead.prefetch_to_device(iterator, lambda batch: batch)
    assert len(list(iterator)) == 2
    assert next(iterator, None) is None
    iterator.close()


def test_prefetch_puts_on_the_devices_ahead_of_next():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    put = []

    def to_device(batch):
        put.append(threading.current_thread())
        return jax.device_put(batch, sharding)

    iterator = read_ahead.prefetch_to_device(pipeline.batches(Source(64), batch_size=16, seed=0), to_device, size=3)
    batch = next(iterator)
    assert batch["index"].sharding == sharding
    iterator.peek()
    deadline = time.monotonic() + 5
    while len(put) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(put) == 4 and threading.main_thread() not in put  # the one returned, and 3 ahead
    iterator.close()


def test_close_does_not_read_what_is_left():
    source = Source(1000, delay=0.05)
    iterator = pipeline.batches(source, batch_size=4, seed=0, num_threads=2, prefetch=50)
    iterator = read_ahead.prefetch_to_device(iterator, lambda batch: batch, size=2)
    next(iterator)
    iterator.close()
    reads = source.reads
    time.sleep(0.3)
    assert source.reads <= reads + 2  # those that were being read


def test_the_interpreter_exits_with_iterators_open():
    script = """
import numpy as np
from mmgen_jax.data import pipeline, read_ahead
class Source:
    def __len__(self): return 100
    def read(self, indices, epochs): return {"index": indices}
iterator = read_ahead.prefetch_to_device(pipeline.batches(Source(), batch_size=4, seed=0), lambda batch: batch)
next(iterator)
print("done")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.parametrize(
    "size, options, message",
    [
        (3, {}, r"test_pipeline, split 'train': expected at least batch_size = 4 examples, got 3; lower batch_size"),
        (0, {"drop_remainder": False}, "expected at least one example, got none"),
        (10, {"process_count": 3}, "batch_size: expected a positive multiple of 3 processes, got 4"),
        (10, {"batch_size": 0}, "batch_size: expected a positive multiple of 1 processes, got 0"),
    ],
)
def test_what_cannot_be_batched_is_refused(size, options, message):
    with pytest.raises(ValueError, match=message):
        pipeline.batches(Source(size), **{"batch_size": 4, "seed": 0} | options)
