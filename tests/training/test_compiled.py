"""The compiled step: compiled once for each set of players, told before the first step, guarded, and traced."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from mmgen_jax import train
from mmgen_jax.config.override import override
from mmgen_jax.errors import ConfigError
from mmgen_jax.runs.workdir import create_state
from mmgen_jax.train_step import train_step
from mmgen_jax.training import compiled

PLAYERS = ("generator",)


def test_a_run_tells_its_costs_compiles_once_and_writes_a_trace(tmp_path, capsys):
    made = []
    lower = compiled.Compiled.compile

    def counted(self, state, batch, players):
        before = len(self._made)
        executable = lower(self, state, batch, players)
        made.extend([players] * (len(self._made) - before))
        return executable

    config = override(tiny.config("vae", steps=6, sample_steps=0), {"parallel.num_devices": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled.Compiled, "compile", counted)
        train.train(config, tmp_path, profile=2)
    assert made == [("generator",)]
    told = capsys.readouterr().err
    line = next(line for line in told.splitlines() if line.startswith("step of generator: memory "))
    assert "MiB a device" in line and "GFLOP a device" in line
    assert told.index("parameters generator") < told.index(line) < told.index("step 6/6")
    assert f"trace: {tmp_path / 'profile'}" in told
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))


def test_the_costs_are_those_of_the_program():
    function = compiled.Compiled(jax.jit(lambda state, batch, players: (state @ batch, {}), static_argnums=2))
    state, batch = jnp.ones((64, 128)), jnp.ones((128, 32))
    assert function.costs(state, batch, PLAYERS).endswith(f"{2 * 64 * 128 * 32 / 1e9:.3f} GFLOP a device")
    for a_device in ((64 * 128 + 128 * 32 + 64 * 32) * 4 / 2**20,):
        assert f"memory {a_device:.1f} MiB a device" in function.costs(state, batch, PLAYERS)


def test_a_hidden_transfer_is_refused():
    function = compiled.Compiled(jax.jit(lambda state, batch, players: (state + batch, {}), static_argnums=2))
    state, batch = jnp.ones(3), jnp.ones(3)
    np.testing.assert_array_equal(function(state, batch, PLAYERS)[0], 2 * np.ones(3))
    with pytest.raises(jax.errors.JaxRuntimeError, match="Disallowed host-to-device transfer"):
        function(state, np.ones(3, np.float32), PLAYERS)


@pytest.mark.parametrize("step", [6, 600])
def test_a_trace_beyond_the_run_is_refused_before_anything_is_written(step, tmp_path):
    with pytest.raises(ConfigError, match=rf"--profile={step}: expected a step from 1 to 5"):
        train.train(tiny.config("vae", steps=6), tmp_path / "run", profile=step)
    assert not (tmp_path / "run").exists()


def test_a_state_in_parts_exchanges_parameters_and_gradients_alone():
    """Each device gets the parameters that lie in parts, and sums the gradients; no activation goes to another."""
    training = tiny.Training(override(tiny.config("vae"), {"parallel.fsdp": 8, "parallel.num_devices": 8}))
    create = functools.partial(create_state, training.config, training.system)
    state = training.layout.abstract(create)
    step = functools.partial(train_step, objective=training.objective, optimizers=training.system.optimizers, seed=0)
    batch = training.layout.put(training.source.read(np.arange(8), np.zeros(8, int)))
    program = training.layout.compile_step(step, state).lower(state, batch, training.objective.players).compile()
    params = jax.tree.leaves({player: state.params[player] for player in training.objective.players})
    split = sum(4 * leaf.size for leaf in params if not leaf.sharding.is_fully_replicated)
    found = compiled.collectives(program.as_text())
    assert set(found) == {"all-gather", "all-reduce"} and split > 0
    assert found["all-gather"] == split
    assert found["all-reduce"] == pytest.approx(sum(4 * leaf.size for leaf in params), rel=0.1)


def test_bytes_of_collectives_are_read_from_the_program():
    program = """
      %a = f32[4,4,128]{2,1,0} all-gather(f32[4,4,16]{2,1,0} %p), channel_id=1
      %b = (f32[64]{0}, bf16[2,3]{1,0}) all-reduce(f32[64]{0} %x, bf16[2,3]{1,0} %y), to_apply=%add
      %c = f32[8]{0:T(128)} reduce-scatter(%x), dimensions={0}
      %d = (f32[8]{0}, f32[64]{0}) all-gather-start(f32[8]{0} %x)
      %e = f32[64]{0} all-gather-done((f32[8]{0}, f32[64]{0}) %d)
      %f = f32[64]{0} add(f32[64]{0} %all-reduce.1, f32[64]{0} %x)
    """
    assert compiled.collectives(program) == {
        "all-gather": 4 * 4 * 4 * 128 + 4 * 64,
        "all-reduce": 4 * 64 + 2 * 6,
        "reduce-scatter": 4 * 8,
    }
