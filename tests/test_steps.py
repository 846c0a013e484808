"""The loop core: when it takes a batch, what it yields, and that a stop between two items is no stop at all."""

import contextlib
import functools

import jax
import numpy as np
import pytest
import tiny

from mmgen_jax.train import make_batches
from mmgen_jax.train_step import active_players, steps, train_step


def counting(state, batch, *players):
    """A step that adds its batch to the state."""
    return state + batch, {"batch": batch, "players": players}


class Batches:
    """1, 2, 3, …, and how many of them were taken."""

    def __init__(self):
        self.taken = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.taken += 1
        return self.taken


def test_a_batch_is_taken_only_when_the_next_item_is_asked_for():
    batches = Batches()
    loop = steps(counting, 0, batches, stop=3)
    assert batches.taken == 0
    for number, (step, state, metrics) in enumerate(loop):
        assert (step, batches.taken) == (number, number)
        assert state == sum(range(number + 1))
        assert (metrics is None) if number == 0 else (metrics["batch"] == number)
    assert (step, batches.taken) == (3, 3)


@pytest.mark.parametrize(
    "start, stop, per_call, expected",
    [(0, 4, 1, [0, 1, 2, 3, 4]), (4, 10, 2, [4, 6, 8, 10]), (0, 0, 1, [0]), (7, 7, 1, [7]), (9, 7, 1, [9])],
)
def test_it_counts_updates_from_start_to_stop(start, stop, per_call, expected):
    batches = Batches()
    items = list(steps(counting, 0, batches, start=start, stop=stop, per_call=per_call))
    assert [step for step, _, _ in items] == expected and batches.taken == len(expected) - 1
    assert [metrics is None for _, _, metrics in items] == [True] + [False] * (len(expected) - 1)


def test_players_are_those_of_the_step_that_is_taken():
    loop = steps(counting, 0, Batches(), start=2, stop=5, players=lambda step: ("odd",) if step % 2 else ("even",))
    assert [metrics["players"] for _, _, metrics in loop if metrics] == [(("even",),), (("odd",),), (("even",),)]
    assert [metrics["players"] for _, _, metrics in steps(counting, 0, Batches(), stop=1) if metrics] == [()]


def test_it_ends_where_the_batches_do():
    loop = steps(counting, 0, iter([1]), stop=3)
    assert [step for step, _ in zip((0, 1), loop)] == [0, 1]
    with pytest.raises(RuntimeError, match="StopIteration"):
        next(loop)


@pytest.mark.parametrize("per_call", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_what_is_saved_between_two_items_resumes_exactly(per_call):
    """On the loop's own batches, which are prefetched: their position is that of the batches taken."""
    config = tiny.config("autoencoder", steps=6, steps_per_call=per_call, log_steps=2, checkpoint_steps=2)
    with config.unlocked():
        config.parallel.num_devices = 1
    training = tiny.Training(config)
    step_fn = functools.partial(
        train_step, objective=training.objective, optimizers=training.system.optimizers, seed=config.seed
    )
    compiled = training.layout.compile_step(step_fn, training.init(), per_call)

    def run(start, state, position):
        """`[(step, state, position of the batches)]` after every call, all on the host."""
        with contextlib.ExitStack() as stack:
            batches = make_batches(training.source, config, training.layout, stack)
            if position is not None:
                batches.set_state(position)
            loop = steps(
                compiled,
                jax.tree.map(lambda leaf, like: jax.device_put(leaf, like.sharding), state, training.init()),
                batches,
                start=start,
                stop=6,
                per_call=per_call,
                players=lambda step: active_players(step, training.system.optimizers, training.objective.players),
            )
            return [(step, jax.tree.map(np.array, state), batches.get_state()) for step, state, _ in loop]

    whole = run(0, jax.tree.map(np.array, training.init()), None)
    assert [step for step, _, _ in whole] == list(range(0, 7, per_call))
    for number, saved in enumerate(whole):
        resumed = run(*saved)
        assert len(resumed) == len(whole) - number
        for (step, state, position), (expected_step, expected, expected_position) in zip(resumed, whole[number:]):
            assert step == expected_step and position == expected_position
            jax.tree.map(np.testing.assert_array_equal, state, expected)
