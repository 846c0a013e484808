"""The contract of each kind of component, as a typed protocol; the signatures give the shapes.

Each component is compared with its protocol by `tests/test_contracts.py`. The axis `B` is the batch's; a batch is
`{name: array [B, ...]}`, with `<name>/mask [B] bool` where examples lack a modality.
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
Collections = Mapping[str, Any]  # {player: {flax collection: tree}}, without the parameters (`training/state.py`)
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
Logits = Annotated[jax.Array, "[B] float32, or [B, *patches] float32: one logit for each patch of an example"]
Nats = Annotated[jax.Array, "[B] float32"]
Vectors = Annotated[jax.Array, "[B, D] float32"]

ABILITIES = ("sample", "reconstruct", "elbo", "log_weights", "embed", "embed_pair", "align")
ABILITIES += ("draw_latent", "to_latent", "from_latent")


class Source(Protocol):
    """A split of a data set, read by index; `data/<name>.py`, class `Source`."""

    splits: tuple[str, ...]
    modalities: Mapping[str, Modality]

    def __len__(self) -> int: ...

    def read(self, indices: Annotated[np.ndarray, "[B] int"], epochs: Annotated[np.ndarray, "[B] int"]) -> Batch:
        """The examples; each is a pure function of (index, epoch), whatever the process and the order of reading."""
        ...


class Kind(Protocol):
    """A kind of data; `modalities/<kind>.py`, class `Kind(base.Base)`; its import imports no jax and no decoder."""

    ranks: tuple[int, ...]  # allowed numbers of axes of an example, without the batch axis
    dtype: type
    operations: Mapping[str, float]  # {augmentation operation: its largest strength}
    suffixes: tuple[str, ...]  # lower-case suffixes of files that hold one example each; () for a kind without files
    tracks: Mapping[str, tuple[str, ...]]  # {other kind: suffixes of this kind's files that may also hold that kind}
    inline: type | tuple[type, ...] | None  # JSON types of an example inside a manifest's line; None: files only
    any_name: bool  # whether a manifest's field of any name can be of this kind, recognised by its value
    has_vocabulary: bool  # whether arrays hold ids of a vocabulary; `read_file` then returns a string
    eight_bits: bool  # whether the kind's files hold at most 8 bits per element; the cache then stores uint8
    is_picture: bool  # whether an example is one picture; `of_picture(Picture)` then gives a file's `[H, W, C]`
    binary: bool  # whether arrays hold only two values, as a mask; interpolating transforms refuse the kind

    modality: Modality

    @classmethod
    def of_folder(cls, fields: Any, entries: Sequence[tuple[Any, Any]]) -> Modality:
        """The modality of entries `(file, None)` or `(where, inline value)`; `fields` is a `folder_formats.Formats`."""
        ...

    @classmethod
    def of_array(cls, fields, name: str, values: np.ndarray, about: Mapping[str, Any]) -> tuple[Modality, np.ndarray]:
        """Reads an array `[N, …]` (texts: strings) of an .npz file; `fields` is the `npz.Source`. Raises DataError."""
        ...

    @classmethod
    def kind_of(cls, path: Any) -> str:
        """This kind; where several kinds share the file's suffix, the kind that the file's content shows."""
        ...

    @classmethod
    def check_header(cls, path: Any, name: str) -> None:
        """Raises DataError where the header shows that the file is unusable; decodes no samples or pixels."""

    @classmethod
    def read_track(cls, path: Any, modality: Modality, name: str) -> np.ndarray | None:
        """The track of another kind (see `tracks`) in a file of this kind, None where the file has no such track."""
        ...

    @property
    def space(self) -> Continuous | Discrete: ...  # of the array, as a family models it without a representation

    def check(self, name: str, present: Annotated[np.ndarray, "[N, *shape], N > 0"]) -> None:
        """Raises BatchError where a value is out of the kind's range."""

    # One example `[*shape]`, or the texts of an example for a kind that `has_vocabulary`; raises DataError.
    def read_file(self, path: Any, name: str) -> np.ndarray | tuple[str, ...]: ...

    def shortened(self, path: Any, name: str) -> Sequence[str]:
        """How `read_file` cuts or resamples a file, according to the header; each string completes `3 of 8 files …`."""
        ...

    def read_inline(self, value: Any, where: str, name: str) -> np.ndarray | tuple[str, ...]: ...  # of a manifest

    def read_given(self, value: Any, name: str) -> list[np.ndarray]:
        """Examples `[*shape]`, one or several, from the value of `--given.NAME=VALUE`: a file name or, e.g., a text."""
        ...

    def describe(self, name: str, value: np.ndarray) -> str: ...  # of `[*shape]`, a few words; `[name]` where none fit

    # The examples as pictures, to show beside a sample; None for a kind that is not visible.
    def frames(self, name: str, values: Target) -> Annotated[np.ndarray, "[B, T, H, W, C] uint8"] | None: ...

    def save(self, stem: Any, name: str, samples: Target, captions: Sequence[str], seen: Mapping[str, Any]) -> list:
        """Writes samples, with captions and `seen` (the `frames` of the conditions), to files named `stem…`."""
        ...

    def save_alone(self, stem: Any, name: str, sample: Target) -> list:
        """Writes one sample `[*shape]` to `stem` with a suffix; nothing where `save` writes each to a file already."""
        ...

    def statistics(self) -> Any:
        """An object with `add(values [N, *shape])`, whose string ends the modality's line of `mmgen check-data`."""
        ...

    def check_augmentation(self, where: str, operation: str, strength: Any, settings: Mapping[str, Any]) -> None:
        """Raises InputError where the kind lacks the operation, or the strength is out of range."""

    def is_blind_to(self, operation: str) -> bool: ...  # cannot change an example, as hue for a grey picture
    def augment(self, settings: Mapping[str, Any], example: jax.Array, key: Key) -> jax.Array: ...  # in the step


class Encoder(Protocol):
    """Maps one modality to tokens; `networks/encoders/<kind>/<name>.py` (any kind: `<name>.py`), class `Encoder`."""

    def __call__(self, array: Target, mask: Mask, train: bool = False) -> Tokens: ...


class Fusion(Protocol):
    """Maps the tokens of every encoder to one condition; `networks/fusion/<name>.py`, class `Fusion`."""

    def __call__(self, tokens: Mapping[str, Tokens], train: bool = False) -> Condition: ...


class Generator(Protocol):
    """Maps a latent (None: aligned sources alone) and the condition to an unbounded grid; `networks/generators/`."""

    def __call__(self, latent: Latent | None, condition: Condition | None, train: bool = False) -> Grid: ...


class Denoiser(Protocol):
    """A generator for diffusion: maps the noisy x at a time to a prediction of the same shape."""

    def __call__(self, x: Grid, time: Times, condition: Condition | None, train: bool = False) -> Grid: ...


class SequenceGenerator(Protocol):
    """A generator of ids: logits of the next id at all positions at once, or at one position with cache `[B, ...]`."""

    def __call__(
        self, tokens: Ids, condition: Condition | None, train: bool = False
    ) -> Annotated[jax.Array, "[B, T, V]"]: ...

    def init_cache(self, condition: Condition | None, batch_size: int) -> Any: ...

    def step(
        self, cache: Any, token: Annotated[jax.Array, "[B] int32, or rows [B, V]"], position: jax.Array
    ) -> tuple[Annotated[jax.Array, "[B, V]"], Any]: ...


class Discriminator(Protocol):
    """Maps a target and the condition to logits; `networks/discriminators/<name>.py`, class `Discriminator`.

    The loss of an example with several logits is the mean of the logits' losses.
    """

    def __call__(self, target: Grid, condition: Condition | None, train: bool = False) -> Logits: ...


class Representation(Protocol):
    """The code that a family models in place of the target's array; `representations/<name>.py`, `Representation`."""

    @property
    def space(self) -> Continuous | Discrete: ...

    @property
    def players(self) -> tuple[str, ...]: ...  # to train before the family's own, which read the codes; or ()

    def init(self, rng: Key, target: Target) -> dict[str, Any]: ...  # {player: variables}

    def loss(
        self, player: str, params: Params, collections: Collections, target: Target, weights: Weights, rng: Key
    ) -> Loss: ...

    def encode(self, params: Params, collections: Collections, target: Target) -> Code: ...

    def decode(self, params: Params, collections: Collections, code: Code) -> Target: ...


class Objective(Protocol):
    """An objective family; `objectives/<name>.py`, a frozen dataclass `Objective(objectives.parts.family.Family)`.

    `abilities` lists which of the methods after `loss` the family has; each of the others raises ConfigError.
    """

    aligned: tuple[str, ...]  # modalities that lie on the target's grid; `sample` reads their picture files at any size
    reads_whole: tuple[str, ...]  # of these, the sources that a tile also reads as a whole picture, shrunk
    completes: tuple[str, ...]  # (picture, mask) where it draws only the white part of the mask (inpainting), else ()

    @property
    def targets(self) -> tuple[str, ...]: ...

    @property
    def players(self) -> tuple[str, ...]: ...  # in update order; each has an entry in `config.optimizers`

    @property
    def stages(self) -> tuple[tuple[str, str], ...]: ...  # (first, second): the first is trained before the second

    @property
    def abilities(self) -> frozenset[str]: ...

    def init(self, rng: Key, batch: Batch) -> dict[str, Any]: ...  # {player: variables}
    def warnings(self, source: Source) -> list[str]: ...  # lines about examples that the family cannot learn from

    def loss(
        self, player: str, params: Params, collections: Collections, batch: Batch, rng: Key, step: jax.Array
    ) -> Loss:
        """The loss of one player; the step differentiates it with respect to `params[player]` only."""
        ...

    def sample(
        self, params: Params, collections: Collections, batch: Batch, rng: Key, given: tuple[str, ...] = ()
    ) -> dict[str, Target]:
        """Ability: a sample of every target; the batch's own targets are read only where `given` names them."""
        ...

    def reconstruct(self, params: Params, collections: Collections, batch: Batch, rng: Key) -> dict[str, Target]:
        """Ability: every target, encoded and decoded again."""
        ...

    def elbo(self, params: Params, collections: Collections, batch: Batch, rng: Key) -> Nats: ...  # a lower bound

    def log_weights(
        self, params: Params, collections: Collections, batch: Batch, rng: Key, num: int = 1, chunk: int = 0
    ) -> Annotated[jax.Array, "[B, num] float32"]:
        """Ability: logarithms of p(targets, z) / q(z | targets) for latents z drawn from the posterior."""
        ...

    def embed(self, params: Params, collections: Collections, batch: Batch, rng: Key) -> Vectors: ...  # of conditions

    def embed_pair(self, params: Params, collections: Collections, batch: Batch, rng: Key) -> tuple[Vectors, Vectors]:
        """Ability: one unit vector of the conditions and one of the target per example."""
        ...

    def align(self, params: Params, collections: Collections, batch: Batch, rng: Key) -> dict[str, jax.Array]:
        """Ability: `weights [B, S, N]` of the attention of S steps to the N tokens of the conditions, and masks."""
        ...

    def draw_latent(self, params: Params, collections: Collections, batch: Batch, rng: Key) -> Latent: ...
    def to_latent(self, params: Params, collections: Collections, batch: Batch, rng: Key) -> Latent: ...  # of targets
    def from_latent(
        self, params: Params, collections: Collections, batch: Batch, latent: Latent
    ) -> dict[str, Target]: ...


class Draw(Protocol):
    """The methods that samplers and baselines share; `runs.sampler.Sampler` has a method for each further ability."""

    batch_size: int

    def rewind(self) -> Draw: ...
    def supports(self, method: str) -> bool: ...
    def __call__(self, batch: Batch) -> dict[str, np.ndarray]: ...
    def reconstruct(self, batch: Batch) -> dict[str, np.ndarray]: ...
    def embed(self, batch: Batch) -> np.ndarray: ...
    def embed_pair(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]: ...
    def elbo(self, batch: Batch) -> np.ndarray: ...
    def log_weights(self, batch: Batch, num: int = 1, chunk: int = 0) -> np.ndarray: ...


class Evaluator(Protocol):
    """A metric; `evaluators/<name>.py`, a frozen dataclass `Evaluator`.

    An entry is `{"value": float, "n": int, …}`, with the fields needed to compare it with another run's: an interval, a
    baseline or chance on the same examples, the judge and the judge's accuracy.

    Optional: `target`, the measured modality; `ability`, which the model needs in place of `sample`; checks before a
    training that raise ConfigError: `suits(modalities, conditions)`, `check(batch, conditions)`, `check_model(family)`.
    """

    splits: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]: ...  # modalities that the evaluator reads in addition to the model's own

    def __call__(self, sampler: Draw, batches: Iterator[Batch]) -> dict[str, dict[str, Any]]: ...
