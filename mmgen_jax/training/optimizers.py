"""One optimizer per player, from `config.optimizers.<player>`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import jax
import optax

from mmgen_jax.errors import ConfigError

SCHEDULES = {
    "constant": lambda lr, steps: optax.constant_schedule(lr),
    "cosine": lambda lr, steps: optax.cosine_decay_schedule(lr, max(steps, 1)),
    "linear": lambda lr, steps: optax.linear_schedule(lr, 0.0, max(steps, 1)),
    "step": lambda lr, steps: optax.constant_schedule(0.1 * lr),
}


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """Adam with decoupled weight decay, a schedule and clipping; how often, and what is averaged.

    Args:
      lr: peak learning rate.
      b1, b2, epsilon: Adam's moments (Kingma & Ba, 2015).
      weight_decay: decoupled (Loshchilov & Hutter, 2019), on matrices and kernels only.
      schedule: of the rate: `constant`, `cosine` or `linear` to 0 at the last step, `step` to a tenth at once.
      warmup_steps: linear from 0.
      hold_steps: at the peak between the warm-up and the schedule.
      clip_norm: global gradient norm; 0 does not clip.
      interval: this player is updated in every `interval`-th step.
      start_step, stop_step: it is updated from the one step on, and no more from the other on (0: to the end). So one
        run trains one part after another: a tokeniser, then the model of its tokens.
      ema_decay: of the averaged parameters; 0 keeps none.
      total_steps: length of the run.
      frozen: names of modules whose parameters are not trained, wherever they stand in the player's tree.
    """

    lr: float = 1e-3
    b1: float = 0.9
    b2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup_steps: int = 0
    hold_steps: int = 0
    clip_norm: float = 0.0
    interval: int = 1
    start_step: int = 0
    stop_step: int = 0
    ema_decay: float = 0.0
    total_steps: int = 0
    frozen: tuple[str, ...] = ()

    def __post_init__(self):
        if self.schedule not in SCHEDULES:
            raise ConfigError(
                f"optimizers: schedule {self.schedule!r} does not exist; there are {', '.join(SCHEDULES)}"
            )
        if self.interval < 1:
            raise ConfigError(f"optimizers: expected interval >= 1, got {self.interval}")
        if self.start_step < 0 or 0 < self.stop_step <= self.start_step or self.stop_step < 0:
            raise ConfigError(
                f"optimizers: expected 0 <= start_step < stop_step (or stop_step 0), got {self.start_step} and "
                f"{self.stop_step}"
            )

    def covers(self, step: int) -> bool:
        """Whether step number `step` (from 0) lies between `start_step` and `stop_step`."""
        return step >= self.start_step and (not self.stop_step or step < self.stop_step)

    def is_active(self, step: int) -> bool:
        """Whether step number `step` (from 0) updates this player."""
        return self.covers(step) and step % self.interval == 0

    @property
    def learning_rate(self) -> optax.Schedule:
        # Counted in updates of this player, not in steps of the loop.
        stop = min(self.stop_step or self.total_steps, self.total_steps)
        updates, held = (stop - self.start_step) // self.interval, self.warmup_steps + self.hold_steps
        schedule = SCHEDULES[self.schedule](self.lr, updates - held)
        if self.hold_steps:
            schedule = optax.join_schedules([optax.constant_schedule(self.lr), schedule], [self.hold_steps])
        if self.warmup_steps:
            warmup = optax.linear_schedule(0.0, self.lr, self.warmup_steps)
            schedule = optax.join_schedules([warmup, schedule], [self.warmup_steps])
        return schedule

    @property
    def transform(self) -> optax.GradientTransformation:
        freeze = [optax.masked(optax.set_to_zero(), self._is_frozen)] if self.frozen else []
        parts = [*freeze, *([optax.clip_by_global_norm(self.clip_norm)] if self.clip_norm else [])]
        parts.append(optax.scale_by_adam(self.b1, self.b2, self.epsilon))
        if self.weight_decay:
            parts.append(optax.add_decayed_weights(self.weight_decay, mask=_matrices))
        return optax.chain(*parts, optax.scale_by_learning_rate(self.learning_rate), *freeze)

    def _is_frozen(self, params):
        return jax.tree_util.tree_map_with_path(
            lambda path, _: any(getattr(key, "key", None) in self.frozen for key in path), params
        )


def check_stages(optimizers: Mapping[str, Optimizer], stages: Iterable[tuple[str, str]], total_steps: int) -> None:
    """Raises ConfigError where a run of `total_steps` would not train what it should.

    Args:
      stages: pairs of players of which the first must stand still, as it was last trained, when the second begins.
    """
    for player, optimizer in optimizers.items():
        if optimizer.start_step >= total_steps:
            raise ConfigError(
                f"optimizers.{player}.start_step={optimizer.start_step}: train.steps is {total_steps}, so it would "
                "never be trained; raise train.steps or lower start_step"
            )
    changes = sorted({0, *(step for o in optimizers.values() for step in (o.start_step, o.stop_step))})
    if idle := [s for s in changes if s < total_steps and not any(o.covers(s) for o in optimizers.values())]:
        raise ConfigError(f"optimizers: start_step and stop_step leave no player to train from step {idle[0]} on")
    for first, second in stages:
        stop, start = optimizers[first].stop_step, optimizers[second].start_step
        if not 0 < stop <= start:
            raise ConfigError(
                f"optimizers.{first}.stop_step: {second} learns what {first} makes, expected it above 0 and at most "
                f"optimizers.{second}.start_step={start}, got {stop}"
            )
        if optimizers[first].ema_decay:
            raise ConfigError(
                f"optimizers.{first}.ema_decay: {second} learns from the parameters themselves, expected 0, got "
                f"{optimizers[first].ema_decay}"
            )


def _matrices(params):
    return jax.tree.map(lambda x: x.ndim > 1, params)
