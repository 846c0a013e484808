"""The contract of a batch: what keeps to it passes, what does not is named."""

import numpy as np
import pytest

from mmgen_jax.errors import BatchError
from mmgen_jax.modalities import tokenizer
from mmgen_jax.modalities.modality import Modality, check_batch, modalities_from_json, modalities_to_json
from mmgen_jax.modalities.space import Continuous, Discrete

MODALITIES = {
    "caption": Modality("text", (5,), tokenizer=tokenizer.build(["a red star"])),
    "photo": Modality("image", (4, 6, 3)),
    "sketch": Modality("image", (4, 6, 1)),
    "sound": Modality("audio", (7,), sample_rate=8000),
    "clip": Modality("video", (2, 4, 6, 3), frame_rate=8.0),
    "animal": Modality("label", classes=("cat", "dog")),
}
VECTORS = {"pose": Modality("vector", (3,)), "path": Modality("vector", (2, 3))}


def make(size=3):
    rng = np.random.default_rng(0)
    batch = {}
    for name, modality in MODALITIES.items():
        shape = (size, *modality.shape)
        if isinstance(modality.space, Discrete):
            batch[name] = rng.integers(0, modality.space.size, shape, dtype=np.int32)
        else:
            batch[name] = rng.uniform(-1, 1, shape).astype(np.float32)
    return batch


def refused(batch):
    with pytest.raises(BatchError) as error:
        check_batch(batch, MODALITIES)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_batch_that_keeps_to_it():
    check_batch(make(), MODALITIES)
    check_batch({name: array for name, array in make().items() if name != "photo"}, MODALITIES)  # absent: masked
    check_batch(make() | {"photo/mask": np.array([True, False, True])}, MODALITIES)
    check_batch(make(size=0), MODALITIES)


@pytest.mark.parametrize("name", MODALITIES)
def test_the_ends_of_the_range_belong_to_it_and_nothing_beyond(name):
    modality, batch = MODALITIES[name], make()
    size = modality.space.size if isinstance(modality.space, Discrete) else 0
    low, high = (0, size - 1) if size else (-1, 1)
    for value in (low, high):
        check_batch(batch | {name: np.full_like(batch[name], value)}, MODALITIES)
    for value in (low - 1, high + 1, low - 0.01, np.nan, np.inf):
        if not size or value == int(value if np.isfinite(value) else 0):
            one = batch[name].copy()
            one.flat[1] = value
            message = refused(batch | {name: one})
            assert message.startswith(f"batch[{name!r}].range ({modality.kind}): expected ") and "; " in message


@pytest.mark.parametrize("name", MODALITIES)
def test_shape_and_dtype(name):
    batch = make()
    expected = ", ".join(["B", *map(str, MODALITIES[name].shape)])
    for wrong in (batch[name][None], batch[name][..., None]):
        message = refused({name: wrong})
        assert message == f"batch[{name!r}].shape: expected [{expected}], got {list(wrong.shape)}"
    message = refused({name: batch[name].astype(np.float64)})
    assert message.startswith(f"batch[{name!r}].dtype: expected {batch[name].dtype}, got float64; ")


def test_masks():
    batch = make()
    assert refused(batch | {"photo/mask": np.ones(3, np.float32)}).startswith(
        "batch['photo/mask'].dtype: expected bool"
    )
    assert refused(batch | {"photo/mask": np.ones((3, 1), bool)}).startswith("batch['photo/mask'].shape: expected [B]")
    assert refused(batch | {"phot/mask": np.ones(3, bool)}).startswith("batch['phot/mask']: no such modality")
    assert "one batch size for every entry" in refused(batch | {"photo/mask": np.ones(2, bool)})
    spoiled = batch["photo"].copy()
    spoiled[1] = np.nan
    refused(batch | {"photo": spoiled})
    check_batch(batch | {"photo": spoiled, "photo/mask": np.array([True, False, True])}, MODALITIES)
    check_batch(batch | {"photo": spoiled * np.nan, "photo/mask": np.zeros(3, bool)}, MODALITIES)


def test_names():
    batch = make()
    assert refused(batch | {"foto": batch["photo"]}).startswith(
        "batch['foto']: no such modality; the modalities are caption,"
    )
    assert "{'caption': 3, 'photo': 2" in refused(batch | {"photo": batch["photo"][:2]})
    assert refused(batch | {"photo": np.float32(0)}).startswith("batch: expected one batch size")


@pytest.mark.parametrize(
    "fields, expected",
    [
        (
            ("picture", (4, 4, 3)),
            "modalities: 'picture' does not exist (no mmgen_jax/modalities/picture.py); there are: audio, image, label",
        ),
        (("image", (4, 4)), "has 3 axes per example, got shape (4, 4)"),
        (("label", (1,)), "has 0 axes per example, got shape (1,)"),
        (("vector", (1, 2, 3)), "has 1 or 2 axes per example, got shape (1, 2, 3)"),
    ],
)
def test_modalities_that_do_not_exist(fields, expected):
    with pytest.raises(ValueError) as error:
        Modality(*fields)
    assert expected in str(error.value)


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_may_hold_any_finite_value(name):
    largest = np.full((2, *VECTORS[name].shape), np.finfo(np.float32).max)
    check_batch({name: largest}, VECTORS)
    for value in (np.nan, np.inf, -np.inf):
        spoilt = largest.copy()
        spoilt.flat[3] = value
        with pytest.raises(
            BatchError, match=rf"^batch\['{name}'\].range \(vector\): expected finite values, got 1 of "
        ):
            check_batch({name: spoilt}, VECTORS)
    check_batch({name: spoilt, f"{name}/mask": np.zeros(2, bool)}, VECTORS)
    assert VECTORS[name].space == Continuous(VECTORS[name].shape, bounded=False)


def test_zeros_are_of_every_kind():
    batch = {name: modality.zeros(2) for name, modality in (MODALITIES | VECTORS).items()}
    check_batch(batch, MODALITIES | VECTORS)
    assert not any(array.any() for array in batch.values())


def test_they_survive_their_file():
    modalities = MODALITIES | VECTORS
    read = modalities_from_json(modalities_to_json(modalities))
    assert read == modalities and list(read) == list(modalities)
    np.testing.assert_array_equal(
        read["caption"].tokenizer.encode("red star", 5), MODALITIES["caption"].tokenizer.encode("red star", 5)
    )
