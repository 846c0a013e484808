"""One optimizer per player, from `config.optimizers.<player>`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import optax

from mmgen_jax import lookup
from mmgen_jax.config import ranges
from mmgen_jax.config.ranges import Interval, NotNegative, Positive, Rate, Steps
from mmgen_jax.errors import ConfigError, LookupFailed
from mmgen_jax.training import update_rules


def _tripling(lr: float, steps: int) -> optax.Schedule:
    """Burda et al. (2016): eight stages, each three times as long as the stage before, at lr · 10^(-i/7), i = 0 … 7."""
    scales: dict[int, float] = {}
    for i in range(1, 8):
        begin = round(steps * (3**i - 1) / (3**8 - 1))
        scales[begin] = scales.get(begin, 1.0) * 10 ** (-1 / 7)
    return optax.piecewise_constant_schedule(lr, scales)


SCHEDULES = {
    "constant": lambda lr, steps: optax.constant_schedule(lr),
    "cosine": lambda lr, steps: optax.cosine_decay_schedule(lr, max(steps, 1)),
    "linear": lambda lr, steps: optax.linear_schedule(lr, 0.0, max(steps, 1)),
    "step": lambda lr, steps: optax.constant_schedule(0.1 * lr),
    "tripling": _tripling,
}


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """Adam with decoupled weight decay, or another rule of optax, with a schedule and clipping, for one player.

    `warmup_steps`, `hold_steps` and the schedule count updates of the player; the other steps are steps of the run.

    Args:
      name: a rule of optax, from `update_rules.RULES`. A config then sets the fields of the rule instead of `b1` to
        `weight_decay`. Empty: Adam with the fields `b1` to `weight_decay`.
      lr: peak learning rate.
      b1, b2, epsilon: of Adam (Kingma & Ba, 2015).
      weight_decay: decoupled (Loshchilov & Hutter, 2019), only on parameters with at least 2 axes.
      schedule: of the learning rate after warm-up and hold: `constant`; `cosine` or `linear`, to 0 at the player's last
        update; `step`, at once to a tenth of `lr`; `tripling`, in eight stages to a tenth of `lr`, each three times as
        long as the stage before (Burda et al., 2016).
      warmup_steps: updates over which the learning rate rises linearly from 0 to `lr`.
      hold_steps: updates at `lr` between the warm-up and the schedule.
      clip_norm: largest global norm of the gradient; 0 does not clip.
      interval: the player is updated in every `interval`-th step.
      start_step, stop_step: the player is updated in the steps [start_step, stop_step); stop_step 0 is the end of the
        run. One run can thus train players one after another: a tokenizer, then the model of its tokens.
      ema_decay: decay of the moving average of the parameters; 0 keeps no average.
      total_steps: length of the run in steps.
      frozen: names of modules whose parameters are not trained, at any depth of the player's tree.
      own: fields of the rule `name`, as pairs.

    Raises:
      ConfigError: an unknown schedule, or an interval or steps out of range.
    """

    name: str = ""
    lr: NotNegative = 1e-3
    b1: Rate = 0.9
    b2: Rate = 0.999
    epsilon: Positive = 1e-8
    weight_decay: NotNegative = 0.0
    schedule: str = "constant"
    warmup_steps: Steps = 0
    hold_steps: Steps = 0
    clip_norm: NotNegative = 0.0
    interval: Interval = 1
    start_step: Steps = 0
    stop_step: Steps = 0
    ema_decay: Rate = 0.0
    total_steps: int = 0
    frozen: tuple[str, ...] = ()
    own: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self):
        if self.schedule not in SCHEDULES:
            raise ConfigError(
                f"optimizers: schedule {self.schedule!r} does not exist; there are {', '.join(SCHEDULES)}"
            )
        if 0 < self.stop_step <= self.start_step:
            raise ConfigError(
                f"optimizers: expected start_step < stop_step (or stop_step 0), got {self.start_step} and "
                f"{self.stop_step}"
            )

    def covers(self, step: int) -> bool:
        """Whether step number `step` (from 0) lies between `start_step` and `stop_step`."""
        return step >= self.start_step and (not self.stop_step or step < self.stop_step)

    def is_active(self, step: int) -> bool:
        """Whether step number `step` (from 0) updates this player."""
        return self.covers(step) and step % self.interval == 0

    @property
    def num_updates(self) -> int:
        """The number of this player's updates in the whole run, rounded down."""
        stop = min(self.stop_step or self.total_steps, self.total_steps)
        return (stop - self.start_step) // self.interval

    @property
    def learning_rate(self) -> optax.Schedule:
        """The learning rate as a function of the number of the player's updates."""
        held = self.warmup_steps + self.hold_steps
        schedule = SCHEDULES[self.schedule](self.lr, self.num_updates - held)
        if self.hold_steps:
            schedule = optax.join_schedules([optax.constant_schedule(self.lr), schedule], [self.hold_steps])
        if self.warmup_steps:
            warmup = optax.linear_schedule(0.0, self.lr, self.warmup_steps)
            schedule = optax.join_schedules([warmup, schedule], [self.warmup_steps])
        return schedule

    @property
    def transform(self) -> optax.GradientTransformation:
        """Freezing, clipping, the named rule (or Adam, weight decay and learning rate), freezing, in this order."""
        freeze = [optax.masked(optax.set_to_zero(), self._is_frozen)] if self.frozen else []
        parts = [*freeze, *([optax.clip_by_global_norm(self.clip_norm)] if self.clip_norm else [])]
        if self.name:
            return optax.chain(*parts, update_rules.build(self.name, self.learning_rate, dict(self.own)), *freeze)
        parts.append(optax.scale_by_adam(self.b1, self.b2, self.epsilon))
        if self.weight_decay:
            parts.append(optax.add_decayed_weights(self.weight_decay, mask=update_rules.matrices))
        return optax.chain(*parts, optax.scale_by_learning_rate(self.learning_rate), *freeze)

    def _is_frozen(self, params):
        return jax.tree_util.tree_map_with_path(
            lambda path, _: any(getattr(key, "key", None) in self.frozen for key in path), params
        )


ADAM = ("b1", "b2", "epsilon", "weight_decay")  # the fields of Adam, which a named rule replaces


def settable(name: str = "") -> dict[str, Any]:
    """`{field: default}` of all fields that `config.optimizers.<player>` may set with this `name`.

    Raises:
      LookupFailed: there is no such rule.
    """
    left_out = {"total_steps", "frozen", "own"} | (set(ADAM) if name else set())
    common = {field.name: field.default for field in dataclasses.fields(Optimizer) if field.name not in left_out}
    return common | (update_rules.fields(name) if name else {})


def build(player: str, fields: Mapping[str, Any], **surroundings: Any) -> Optimizer:
    """The optimizer of `config.optimizers.<player>`.

    Args:
      surroundings: `total_steps` and `frozen`.

    Raises:
      LookupFailed: a rule or a field that does not exist.
      ConfigError: a value out of its field's range.
    """
    name = fields.get("name", "")
    known = settable(name)
    if unknown := sorted(set(fields) - set(known)):
        raise LookupFailed(
            f"config.optimizers.{player} has no field {unknown[0]!r}; {lookup.nearest(unknown[0], known)}it has: "
            + ", ".join(sorted(known))
        )
    rule = update_rules.fields(name) if name else {}
    own = {key: value for key, value in fields.items() if key in rule}
    common = {key: value for key, value in fields.items() if key not in rule}
    where = f"config.optimizers.{player}"
    ranges.check(Optimizer, common, where)
    for key, value in own.items():
        ranges.check_value(update_rules.TYPES.get(key, Any), value, f"{where}.{key}")
    return Optimizer(**common, own=tuple(own.items()), **surroundings)


def check_schedule(config, optimizers: Mapping[str, Optimizer], stages: Iterable[tuple[str, str]]) -> None:
    """Raises ConfigError where the loop cannot keep the intervals of `config.train` or the players' stages."""
    every = config.train
    for name in ("steps", "log_steps", "checkpoint_steps", "sample_steps", "eval_steps"):
        if every[name] % every.steps_per_call:
            raise ConfigError(
                f"config.train.{name}: expected a multiple of train.steps_per_call={every.steps_per_call}, got "
                f"{every[name]}"
            )
    for player, optimizer in optimizers.items():
        if every.steps_per_call > 1 and (optimizer.interval > 1 or optimizer.start_step or optimizer.stop_step):
            raise ConfigError(
                f"config.train.steps_per_call: {player} is not updated in every step (interval, start_step or "
                f"stop_step), expected steps_per_call=1, got {every.steps_per_call}"
            )
    check_stages(optimizers, stages, every.steps)


def check_stages(optimizers: Mapping[str, Optimizer], stages: Iterable[tuple[str, str]], total_steps: int) -> None:
    """Checks the players' `start_step`, `stop_step` and `ema_decay` in a run of `total_steps`.

    Args:
      stages: pairs (first, second) of players: the training of the first must end before that of the second begins, and
        the second learns from the first's last parameters.

    Raises:
      ConfigError: a player is never trained, steps train no player, or a stage is violated.
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
                f"optimizers.{first}.stop_step: {second} learns from the output of {first}, expected above 0 and at "
                f"most optimizers.{second}.start_step={start}, got {stop}"
            )
        if optimizers[first].ema_decay:
            raise ConfigError(
                f"optimizers.{first}.ema_decay: {second} learns from the last parameters of {first}, not from their "
                f"average, expected 0, got {optimizers[first].ema_decay}"
            )


def check_warmups(optimizers: Mapping[str, Optimizer]) -> None:
    """Raises ConfigError where warm-up and hold of a learning rate are longer than the run."""
    for player, optimizer in optimizers.items():
        if (rising := optimizer.warmup_steps + optimizer.hold_steps) > (updates := optimizer.num_updates):
            raise ConfigError(
                f"optimizers.{player}.warmup_steps: with hold_steps, expected at most the {updates} updates of the "
                f"run, got {rising}; raise train.steps or lower them"
            )
