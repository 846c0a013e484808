"""What a component must be, as typed protocols: shapes stand in the signatures, prose where types cannot say it.

A component is found by its module path (`lookup.py`) and checked against its protocol by the type checker. The batch
axis is `B`; a batch is `{name: array [B, ...]}`, with `<name>/mask [B] bool` where examples lack a modality.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Protocol

import jax
import numpy as np

from mmgen_jax.modalities.modality import Batch, Modality
from mmgen_jax.modalities.space import Continuous, Discrete
from mmgen_jax.networks.conditioning.tokens import Condition, Tokens

Params = Mapping[str, Any]  # {player: parameters}
Collections = Mapping[str, Any]  # {player: {flax collection: tree}}, what is no parameter (`training/state.py`)
Loss = tuple[jax.Array, tuple[dict[str, Any], dict[str, jax.Array]]]  # (loss [], (collections, metrics))

Key = Annotated[jax.Array, "[] key"]
Mask = Annotated[jax.Array, "[B] bool, False where the example lacks the modality"]
Weights = Annotated[jax.Array, "[B] float32, mean 1 over the global batch"]
Target = Annotated[jax.Array, "[B, *modality.shape]"]
Code = Annotated[jax.Array, "[B, *space.shape]"]
Grid = Annotated[jax.Array, "[B, *grid, C] float32, grid of rank 0 to 3"]
Latent = Annotated[jax.Array, "[B, Z] float32"]
Times = Annotated[jax.Array, "[B] float32 in [0, 1]"]
Ids = Annotated[jax.Array, "[B, T] int32"]
Logits = Annotated[jax.Array, "[B] float32, or [B, *patches]: one for each part of an example"]
Nats = Annotated[jax.Array, "[B] float32"]
Vectors = Annotated[jax.Array, "[B, D] float32"]

ABILITIES = ("sample", "reconstruct", "elbo", "embed", "embed_pair")


class Source(Protocol):
    """A data set's split, read by index; `data/<name>.py`, class `Source`."""

    splits: tuple[str, ...]
    modalities: Mapping[str, Modality]

    def __len__(self) -> int: ...

    def read(self, indices: Annotated[np.ndarray, "[B] int"], epochs: Annotated[np.ndarray, "[B] int"]) -> Batch:
        """A pure function of (index, epoch): whoever reads, in whatever order, gets the same examples."""
        ...


class Kind(Protocol):
    """All that is special about a kind of data; `modalities/<kind>.py`, class `Kind`, most of it from `base.Base`.

    Importing the file imports neither jax nor a library that decodes media.
    """

    ranks: tuple[int, ...]  # numbers of axes that an example may have
    dtype: type
    operations: Mapping[str, float]  # of augmentation, with the largest strength of each
    suffixes: tuple[str, ...]  # of files that hold one example each, lower case; () where there are none
    tracks: Mapping[str, tuple[str, ...]]  # {other kind: suffixes of the files that may hold one of it as well}
    inline: type | None  # the JSON type in which a manifest's line may hold an example itself
    any_name: bool  # whether a field of a manifest may have any name and be of this kind by its value
    has_vocabulary: bool  # whether arrays are ids of a vocabulary: what is read is then a string
    eight_bits: bool  # whether its files hold no more than 8 bits an element

    modality: Modality

    @classmethod
    def of_folder(cls, fields: Any, entries: Sequence[tuple[Any, Any]]) -> Modality:
        """Of entries `(file, None)` or `(where, inline value)`, by the fields of `folder_formats.Formats`."""
        ...

    @classmethod
    def check_header(cls, path: Any, name: str) -> None:
        """Raises DataError for what is wrong with a file, without decoding it."""
        ...

    @classmethod
    def read_track(cls, path: Any, modality: Modality, name: str) -> np.ndarray | None:
        """A modality of one of `tracks`, None where the file has no such track."""
        ...

    @property
    def space(self) -> Continuous | Discrete:
        """Of the array itself."""
        ...

    def check(self, name: str, present: Annotated[np.ndarray, "[N, *shape], N > 0"]) -> None:
        """Raises BatchError for a value out of range."""
        ...

    def read_file(self, path: Any, name: str) -> np.ndarray | str:
        """`[*shape]`, or a string where it `has_vocabulary`; raises DataError."""
        ...

    def read_inline(self, value: Any, where: str, name: str) -> np.ndarray | str:
        """As `read_file`, of a manifest's own value of type `inline`."""
        ...

    def read_given(self, value: Any, name: str) -> list[np.ndarray]:
        """One or several `[*shape]` of what a person gives to sample from: a file's name or what the kind says."""
        ...

    def describe(self, name: str, value: Annotated[np.ndarray, "[*shape]"]) -> str:
        """An example in a few words, `[name]` for what cannot be said."""
        ...

    def frames(self, name: str, values: Target) -> Annotated[np.ndarray, "[B, T, H, W, C] uint8"] | None:
        """What there is to see beside a sample; None of a kind that cannot be seen."""
        ...

    def save(
        self, stem: Any, name: str, samples: Target, captions: Sequence[str], seen: Mapping[str, np.ndarray]
    ) -> list[Any]:
        """Writes samples to files that begin with `stem`, each under its caption and beside `seen`, its `frames`."""
        ...

    def statistics(self) -> Any:
        """Counts `add(values [N, *shape])`; its string is the end of a line of `mmgen check-data`."""
        ...

    def check_augmentation(self, where: str, operation: str, strength: Any, settings: Mapping[str, Any]) -> None:
        """Raises ConfigError for an operation that it has not, or not so strong."""
        ...

    def is_blind_to(self, operation: str) -> bool:
        """Whether nothing in it depends on what the operation changes, as grey pictures on colours."""
        ...

    def augment(self, settings: Mapping[str, Any], example: jax.Array, key: Key) -> jax.Array:
        """One example `[*shape]`, in the step."""
        ...


class Encoder(Protocol):
    """One modality to tokens; `networks/encoders/<kind>/<name>.py`, or `<name>.py` for any kind; class `Encoder`."""

    def __call__(self, array: Target, mask: Mask, train: bool = False) -> Tokens: ...


class Fusion(Protocol):
    """The tokens of every encoder to one condition; `networks/fusion/<name>.py`, class `Fusion`."""

    def __call__(self, tokens: Mapping[str, Tokens], train: bool = False) -> Condition: ...


class Generator(Protocol):
    """A latent and the conditions to a grid, unbounded; `networks/generators/<name>.py`, class `Generator`.

    The latent is None only for a generator that starts from aligned sources.
    """

    def __call__(self, latent: Latent | None, condition: Condition | None, train: bool = False) -> Grid: ...


class Denoiser(Protocol):
    """A generator for diffusion: what z is like, at a time."""

    def __call__(self, z: Grid, time: Times, condition: Condition | None, train: bool = False) -> Grid: ...


class SequenceGenerator(Protocol):
    """A generator of ids: logits of the next one, of all places at once or one by one with a cache of `[B, ...]`."""

    def __call__(
        self, tokens: Ids, condition: Condition | None, train: bool = False
    ) -> Annotated[jax.Array, "[B, T, V]"]: ...

    def init_cache(self, condition: Condition | None, batch_size: int) -> Any: ...

    def step(
        self, cache: Any, token: Annotated[jax.Array, "[B] int32"], position: jax.Array
    ) -> tuple[Annotated[jax.Array, "[B, V]"], Any]: ...


class Discriminator(Protocol):
    """Target and conditions to logits; `networks/discriminators/<name>.py`, class `Discriminator`.

    Where an example has several logits, its loss is the mean of theirs.
    """

    def __call__(self, target: Grid, condition: Condition | None, train: bool = False) -> Logits: ...


class Representation(Protocol):
    """What a family models in place of the target's array; `representations/<name>.py`, class `Representation`."""

    @property
    def space(self) -> Continuous | Discrete: ...

    @property
    def players(self) -> tuple[str, ...]:
        """Trained before the family's own players, which read its codes; none where nothing is learned."""
        ...

    def init(self, rng: Key, target: Target) -> dict[str, Any]:
        """`{player: variables}`"""
        ...

    def loss(
        self, player: str, params: Params, collections: Collections, target: Target, weights: Weights, rng: Key
    ) -> Loss: ...

    def encode(self, params: Params, collections: Collections, target: Target) -> Code: ...

    def decode(self, params: Params, collections: Collections, code: Code) -> Target: ...


class Objective(Protocol):
    """A family; `objectives/<name>.py`, a frozen dataclass `Objective` (its base: `objectives/parts/family.py`).

    `abilities` says which of the last five methods it has; those that it lacks refuse.
    """

    @property
    def targets(self) -> tuple[str, ...]: ...

    @property
    def players(self) -> tuple[str, ...]:
        """In update order; each has an entry in `config.optimizers`."""
        ...

    @property
    def stages(self) -> tuple[tuple[str, str], ...]:
        """Pairs of players of which the first must stand still when the second begins (`optimizers.check_stages`)."""
        ...

    @property
    def abilities(self) -> frozenset[str]: ...

    def init(self, rng: Key, batch: Batch) -> dict[str, Any]:
        """`{player: variables}`"""
        ...

    def loss(
        self, player: str, params: Params, collections: Collections, batch: Batch, rng: Key, step: jax.Array
    ) -> Loss:
        """Differentiated in `params[player]` alone."""
        ...

    def sample(
        self, params: Params, collections: Collections, batch: Batch, rng: Key, given: tuple[str, ...] = ()
    ) -> dict[str, Target]:
        """Ability: every target; of the targets it reads only those that are `given`."""
        ...

    def reconstruct(self, params: Params, collections: Collections, batch: Batch, rng: Key) -> dict[str, Target]:
        """Ability: every target, encoded and decoded."""
        ...

    def elbo(self, params: Params, collections: Collections, batch: Batch, rng: Key) -> Nats:
        """Ability: a bound of the log-likelihood."""
        ...

    def embed(self, params: Params, collections: Collections, batch: Batch, rng: Key) -> Vectors:
        """Ability: the conditions as one vector."""
        ...

    def embed_pair(self, params: Params, collections: Collections, batch: Batch, rng: Key) -> tuple[Vectors, Vectors]:
        """Ability: unit vectors of the conditions and of the target."""
        ...


class Draw(Protocol):
    """What evaluators call: `runs.sampler.Sampler`, or a baseline."""

    batch_size: int

    def rewind(self) -> Draw: ...

    def supports(self, method: str) -> bool: ...

    def __call__(self, batch: Batch) -> dict[str, np.ndarray]: ...

    def reconstruct(self, batch: Batch) -> dict[str, np.ndarray]: ...

    def embed(self, batch: Batch) -> np.ndarray: ...

    def embed_pair(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]: ...

    def elbo(self, batch: Batch) -> np.ndarray: ...


class Evaluator(Protocol):
    """A metric; `evaluators/<name>.py`, a frozen dataclass `Evaluator`.

    An entry is `{"value": float, "n": int, …}` with what makes it comparable: an interval, a baseline or chance on the
    same examples, the judge and its accuracy.
    """

    splits: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Modalities to read beside those that the model trains on."""
        ...

    def __call__(self, sampler: Draw, batches: Iterator[Batch]) -> dict[str, dict[str, Any]]: ...
