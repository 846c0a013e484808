"""The step and the optimizers on functions whose derivatives are known, and a run that stops at a value that is not."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import config, mmgen

from mmgen_jax import train
from mmgen_jax.config.override import override
from mmgen_jax.errors import NotFinite
from mmgen_jax.train_step import active_players, train_step
from mmgen_jax.training import checkpoint
from mmgen_jax.training.optimizers import SCHEDULES, Optimizer, build, check_stages
from mmgen_jax.training.state import averaged, create


class Players:
    """Two players with a vector each; `second` sees `first`'s new one. Their losses have gradient 2 x and `first`."""

    players = ("first", "second")

    def init(self, rng, batch):
        return {
            "first": {"params": {"x": jnp.array([3.0, -1.0])}, "seen": {"count": jnp.zeros(())}},
            "second": {"params": {"x": jnp.array([1.0, 2.0])}},
        }

    def loss(self, player, params, collections, batch, rng, step):
        own, other = params[player]["x"], params["first"]["x"]
        value = jnp.sum(own**2) if player == "first" else jnp.sum(own * other)
        if player == "first":
            collections = collections | {"first": {"seen": {"count": collections["first"]["seen"]["count"] + 1}}}
        metrics = {"first": other[0], "draw": jax.random.uniform(rng), "batch": batch["x"].mean(), "step": step}
        return value, (collections, metrics)


BATCH = {"x": np.ones(4, np.float32)}


def optimizers(**fields):
    plain = {"lr": 0.1, "total_steps": 100}
    return {player: Optimizer(**plain | fields.get(player, {})) for player in Players.players}


def make(seed=0, **fields):
    """`(state, step)`."""
    own = optimizers(**fields)
    step = functools.partial(train_step, objective=Players(), optimizers=own, seed=seed, players=Players.players)
    return create(Players(), own, jax.random.key(0), BATCH), jax.jit(step, static_argnames="players")


def adam(x, gradients, lr, b1=0.9, b2=0.999, epsilon=1e-8):
    """Algorithm 1 of Kingma & Ba, 2015."""
    m = v = 0.0
    for t, gradient in enumerate(gradients, 1):
        m, v = b1 * m + (1 - b1) * gradient, b2 * v + (1 - b2) * gradient**2
        x = x - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + epsilon)
    return x


def test_a_player_is_updated_between_its_steps_alone():
    """One run, two phases: `first` for 3 steps, then `second`, whose schedule begins and ends with its own updates."""
    phases = {"first": {"stop_step": 3}, "second": {"start_step": 3, "schedule": "linear", "total_steps": 6}}
    own = optimizers(**phases)
    assert [active_players(step, own, Players.players) for step in (0, 2, 3, 5)] == [
        *(("first",), ("first",)),
        *(("second",), ("second",)),
    ]
    assert own["second"].learning_rate(0) == pytest.approx(0.1) and own["second"].learning_rate(3) == 0
    state, step = make(**phases)
    for number in range(6):
        before = state.params
        state, metrics = step(state, BATCH, players=active_players(number, own, Players.players))
        moved = {name for name in before if (before[name]["x"] != state.params[name]["x"]).any()}
        assert moved == ({"first"} if number < 3 else {"second"})
        assert {name.partition("/")[0] for name in metrics} == moved


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"second": {"start_step": 10}}, "second.start_step=10: train.steps is 10, so it would never be trained"),
        ({"first": {"stop_step": 3}, "second": {"start_step": 5}}, "leave no player to train from step 3 on"),
        ({"second": {"start_step": 5}}, "first.stop_step: second learns from the output of first"),
        ({"first": {"stop_step": 6}, "second": {"start_step": 5}}, "at most optimizers.second.start_step=5, got 6"),
        ({"first": {"stop_step": 5, "ema_decay": 0.9}, "second": {"start_step": 5}}, "first.ema_decay"),
    ],
)
def test_stages_that_would_not_train_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        check_stages(optimizers(**fields), [("first", "second")], total_steps=10)
    check_stages(optimizers(first={"stop_step": 5}, second={"start_step": 5}), [("first", "second")], total_steps=10)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"start_step": -1}, "config.optimizers.first.start_step: expected a whole number, at least 0 .*, got -1"),
        ({"stop_step": -2}, "config.optimizers.first.stop_step: expected a whole number, at least 0 .*, got -2"),
        ({"start_step": 5, "stop_step": 5}, "expected start_step < stop_step .*, got 5 and 5"),
    ],
)
def test_a_phase_that_is_none_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        build("first", fields)


def test_players_take_turns_and_later_ones_see_the_update():
    state, step = make()
    after, metrics = step(state, BATCH)
    first = adam(np.array([3.0, -1.0]), [np.array([6.0, -2.0])], 0.1)
    np.testing.assert_allclose(after.params["first"]["x"], first, rtol=1e-6)
    np.testing.assert_allclose(after.params["second"]["x"], adam(np.array([1.0, 2.0]), [first], 0.1), rtol=1e-6)
    assert metrics["first/first"] == 3.0 and metrics["second/first"] == after.params["first"]["x"][0]
    assert after.step == 1 and after.collections["first"]["seen"]["count"] == 1


def test_metrics_are_flat_scalars_by_player():
    state, step = make()
    _, metrics = step(state, BATCH)
    own = ("loss", "grad_norm", "update_norm", "first", "draw", "batch", "step")
    assert set(metrics) == {f"{player}/{name}" for player in Players.players for name in own}
    assert all(np.shape(value) == () for value in metrics.values())
    np.testing.assert_allclose(metrics["first/loss"], 10.0)
    np.testing.assert_allclose(metrics["first/grad_norm"], math.sqrt(40), rtol=1e-6)
    np.testing.assert_allclose(metrics["first/update_norm"], 0.1 * math.sqrt(2), rtol=1e-5)


def test_randomness_is_a_function_of_seed_and_step_and_shared_by_players():
    state, step = make()
    draws = []
    for _ in range(3):
        following, metrics = step(state, BATCH)
        assert metrics["first/draw"] == metrics["second/draw"] == step(state, BATCH)[1]["first/draw"]
        draws.append(float(metrics["first/draw"]))
        state = following
    other, other_step = make(seed=1)
    draws.append(float(other_step(other, BATCH)[1]["first/draw"]))
    assert len(set(draws)) == 4


def test_augmentation_gets_a_key_per_example_that_the_players_do_not_draw_from():
    state, _ = make()
    seen = []

    def augment(batch, keys):
        seen.append(jax.random.key_data(keys))
        return {"x": batch["x"] + 1}

    _, metrics = train_step(
        state, BATCH, objective=Players(), optimizers=optimizers(), seed=0, players=("first",), augment=augment
    )
    assert metrics["first/batch"] == 2.0
    keys = np.asarray(seen[0])
    players = np.asarray(jax.random.key_data(jax.random.fold_in(jax.random.key(0), 0)))
    assert len(np.unique(keys, axis=0)) == 4 and not (keys == players).all(axis=1).any()


def test_average_in_closed_form():
    """`ema += (1 - decay) (x - ema)` with the decay rising to its value, of parameters and of statistics alike."""
    state, step = make(first={"ema_decay": 0.5})
    assert set(state.ema) == {"first"}
    x, count = np.asarray(state.params["first"]["x"]), 0.0
    for number in range(20):
        state, _ = step(state, BATCH)
        decay = min(0.5, (1 + number) / (10 + number))
        x = decay * x + (1 - decay) * np.asarray(state.params["first"]["x"])
        count = decay * count + (1 - decay) * (number + 1)
    np.testing.assert_allclose(state.ema["first"]["params"]["x"], x, rtol=1e-5)
    np.testing.assert_allclose(state.ema["first"]["stats"]["seen"]["count"], count, rtol=1e-5)
    params, collections = averaged(state)
    assert params["first"] is state.ema["first"]["params"] and collections["first"] == state.ema["first"]["stats"]
    assert params["second"] is state.params["second"]


def test_an_interval_makes_critic_repeats():
    own = optimizers(second={"interval": 3})
    schedule = [active_players(step, own, Players.players) for step in range(7)]
    assert schedule == [("first", "second") if step % 3 == 0 else ("first",) for step in range(7)]
    state, step = make(second={"interval": 3, "ema_decay": 0.9})
    before, _ = step(state, BATCH, players=("first", "second"))
    after, metrics = step(before, BATCH, players=("first",))
    for part in ("params", "opt", "ema"):
        jax.tree.map(np.testing.assert_array_equal, getattr(after, part)["second"], getattr(before, part)["second"])
    assert not any(name.startswith("second/") for name in metrics)
    assert after.step == 2 and not np.array_equal(after.params["first"]["x"], before.params["first"]["x"])


def test_schedules_count_the_players_own_updates():
    fields = {"lr": 2.0, "total_steps": 100, "warmup_steps": 10}
    for name, half_way in (("constant", 2.0), ("cosine", 1.0), ("linear", 1.0)):
        rate = Optimizer(schedule=name, **fields).learning_rate
        np.testing.assert_allclose([rate(0), rate(5), rate(10), rate(55)], [0.0, 1.0, 2.0, half_way], atol=1e-6)
        np.testing.assert_allclose(rate(100), 2.0 if name == "constant" else 0.0, atol=1e-6)
    held = {"constant": (2.0, 2.0), "cosine": (1.0, 0.0), "linear": (1.0, 0.0), "step": (0.2, 0.2)}
    for name, (half_way, last) in held.items():
        rate = Optimizer(schedule=name, hold_steps=20, **fields).learning_rate
        np.testing.assert_allclose([rate(10), rate(29)], 2.0, atol=1e-6)
        np.testing.assert_allclose([rate(65), rate(100)], [half_way, last], atol=1e-6)
    assert set(SCHEDULES) == {*held, "tripling"}  # tested below
    repeated = Optimizer(schedule="linear", interval=5, lr=1.0, total_steps=100).learning_rate
    np.testing.assert_allclose([repeated(0), repeated(10), repeated(20)], [1.0, 0.5, 0.0])


def test_each_stage_of_tripling_is_three_times_as_long_as_the_stage_before():
    rate = Optimizer(schedule="tripling", lr=1.0, total_steps=3280).learning_rate
    for i, begin in enumerate((0, 1, 4, 13, 40, 121, 364, 1093)):  # (3^i - 1) / 2
        np.testing.assert_allclose([rate(begin), rate(begin + 3**i - 1)], 10 ** (-i / 7), rtol=1e-5)


def updates(optimizer, params, grads):
    return optimizer.transform.update(grads, optimizer.transform.init(params), params)[0]


def test_weight_decay_is_for_matrices_only():
    params = {"kernel": jnp.full((2, 2), 3.0), "bias": jnp.full(2, 3.0)}
    got = updates(Optimizer(lr=0.1, weight_decay=0.5), params, jax.tree.map(jnp.zeros_like, params))
    np.testing.assert_allclose(got["kernel"], -0.1 * 0.5 * 3.0, rtol=1e-6)
    np.testing.assert_array_equal(got["bias"], 0.0)


def test_clipping_by_the_global_norm():
    params = {"a": jnp.zeros(1), "b": jnp.zeros(1)}
    grads = {"a": jnp.array([3.0]), "b": jnp.array([4.0])}
    got = updates(Optimizer(lr=1.0, clip_norm=1.0, epsilon=1e6), params, grads)  # so large an epsilon keeps the size
    np.testing.assert_allclose(1e6 * np.array([got["a"][0], got["b"][0]]), [-0.6, -0.8], rtol=1e-4)


def test_frozen_parts_do_not_move():
    params = {"encoder": {"kernel": jnp.ones((2, 2))}, "head": {"kernel": jnp.ones((2, 2))}}
    grads = jax.tree.map(jnp.ones_like, params)
    got = updates(Optimizer(frozen=("encoder",), weight_decay=0.1), params, grads)
    np.testing.assert_array_equal(got["encoder"]["kernel"], 0.0)
    assert (np.asarray(got["head"]["kernel"]) < 0).all()


def test_adam_is_optax_adam():
    params = {"x": jnp.array([1.0, -2.0])}
    grads = {"x": jnp.array([0.3, 5.0])}
    expected = optax.adam(1e-2, b1=0.5).update(grads, optax.adam(1e-2, b1=0.5).init(params), params)[0]
    np.testing.assert_allclose(updates(Optimizer(lr=1e-2, b1=0.5), params, grads)["x"], expected["x"], rtol=1e-6)


@pytest.mark.parametrize(
    "fields, expected", [({"schedule": "cosin"}, "there are constant"), ({"interval": 0}, "at least 1.*, got 0")]
)
def test_optimizers_that_do_not_exist_are_refused(fields, expected):
    with pytest.raises(ValueError, match=expected):
        build("first", fields)


# A run that diverges


def diverging(lr, **train_fields):
    return override(config("vae", **train_fields), {"optimizers.generator.lr": lr, "parallel.num_devices": 1})


def test_a_run_that_diverges_stops_and_saves_nothing_of_it(tmp_path):
    """The first loss is still finite, the first update is not: the step that made it is named."""
    with pytest.raises(NotFinite) as error:
        train.train(diverging(1e30, steps=6), tmp_path)
    assert str(error.value).startswith("step 1: generator/update_norm is not finite; ")
    assert "lower the learning rate" in str(error.value)
    with checkpoint.Checkpointer(tmp_path / "checkpoints", create=False) as checkpoints:
        assert checkpoints.latest_step() is None


def test_the_step_is_named_although_the_loop_looks_later(tmp_path):
    """Metrics stay on the device between log steps; the schedule explodes at the fourth update."""
    exploding = diverging(1.0, steps=8, log_steps=8, checkpoint_steps=8)
    SCHEDULES["exploding"] = lambda lr, steps: lambda count: jnp.where(count >= 3, 1e30, 1e-3)
    try:
        with pytest.raises(NotFinite, match=r"^step 4: generator/update_norm is not finite"):
            with exploding.unlocked():
                exploding.optimizers.generator.schedule = "exploding"
            train.train(exploding, tmp_path)
    finally:
        del SCHEDULES["exploding"]


def test_the_command_ends_with_one_line(tmp_path):
    (tmp_path / "config.py").write_text("from tiny import config\ndef get_config(arg=''):\n    return config('vae')\n")
    arguments = [f"--config={tmp_path / 'config.py'}", f"--workdir={tmp_path / 'run'}"]
    code, _, errors = mmgen("train", *arguments, "--config.optimizers.generator.lr=1e30")
    assert code == 1
    assert errors.splitlines()[-1].startswith("mmgen: step 1: generator/update_norm is not finite; ")
