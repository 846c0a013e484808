"""Augmentation: a function of each example's key alone, in range, and refused where modalities would disagree."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from scipy import ndimage
from tiny import mapped_by

from mmgen_jax.modalities import augmentation, tokenizer
from mmgen_jax.modalities.modality import Modality, check_batch
from mmgen_jax.networks.layers.randomness import example_keys
from mmgen_jax.objectives.parts import mixup
from mmgen_jax.training import augment

TOKENIZER = tokenizer.Tokenizer("word", ("a", "big", "circle", "large", "red", "small"))
MODALITIES = {
    "image": Modality("image", (12, 12, 3)),
    "video": Modality("video", (4, 12, 12, 3)),
    "audio": Modality("audio", (400,), sample_rate=400),
    "text": Modality("text", (8,), tokenizer=TOKENIZER),
    "label": Modality("label", classes=("x", "y")),
}
COLOURS = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.2}
VISUAL = {"flip": 0.5, "rotate": 20, "zoom": 0.3, "crop": 3, "cutout": 4, **COLOURS}
EVERYTHING = {
    "image": VISUAL,
    "video": VISUAL | {"reverse": 0.5},
    "audio": {"shift": 0.2, "gain": 12, "noise": 0.3},
    "text": {"drop": 0.3, "unknown": 0.2, "synonym": 0.5, "synonyms": (("big", "large"),)},
}
INVARIANT = ("flip", "reverse", "hue", "zoom")


def make_batch(size: int = 16) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    video = generator.uniform(-1, 1, (size, 4, 12, 12, 3)).astype(np.float32)
    captions = ["a big red circle", "a small circle", "red", "a large large circle"] * (size // 4)
    return {
        "image": video[:, 2],
        "video": video,
        "audio": generator.uniform(-1, 1, (size, 400)).astype(np.float32),
        "audio/mask": np.arange(size) % 3 > 0,
        "text": np.stack([TOKENIZER.encode(caption, 8) for caption in captions]),
        "label": (np.arange(size) % 2).astype(np.int32),
    }


def make_keys(size: int = 16, seed: int = 0) -> jax.Array:
    return example_keys(jax.random.key(seed), size)


def apply(settings, batch, keys) -> dict[str, np.ndarray]:
    return jax.tree.map(np.asarray, jax.jit(augment.Augmentation(settings, MODALITIES, INVARIANT))(batch, keys))


@pytest.fixture(scope="module")
def augmented():
    return apply(EVERYTHING, make_batch(), make_keys())


def test_batch_keeps_its_contract_labels_and_masks(augmented):
    batch = make_batch()
    check_batch(augmented, MODALITIES)
    assert augmented.keys() == batch.keys()
    for name in ("label", "audio/mask"):
        np.testing.assert_array_equal(augmented[name], batch[name])
    for name in ("image", "video", "audio", "text"):
        assert (augmented[name] != batch[name]).any(axis=tuple(range(1, batch[name].ndim))).sum() > 8, name


def test_zero_strength_is_the_identity():
    zero = {name: {operation: 0 for operation in MODALITIES[name].traits.operations} for name in EVERYTHING}
    batch = make_batch()
    for settings in (zero, {}, {"image": {}}):
        for name, values in apply(settings, batch, make_keys()).items():
            np.testing.assert_array_equal(values, batch[name])


def test_an_example_depends_on_its_own_key_alone(augmented):
    batch, keys = make_batch(), make_keys()
    order = np.random.default_rng(1).permutation(16)
    shuffled = apply(EVERYTHING, {name: values[order] for name, values in batch.items()}, keys[order])
    alone = apply(EVERYTHING, {name: values[5:6] for name, values in batch.items()}, keys[5:6])
    for name, values in augmented.items():
        np.testing.assert_allclose(shuffled[name], values[order], atol=1e-5)
        np.testing.assert_allclose(alone[name], values[5:6], atol=1e-5)


@pytest.mark.slow
def test_layout_over_devices_changes_nothing(augmented):
    function = augment.Augmentation(EVERYTHING, MODALITIES, INVARIANT)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    batch = jax.device_put(make_batch(), NamedSharding(mesh, PartitionSpec("data")))
    sharded = jax.jit(lambda batch, key: function(batch, example_keys(key, 16)))(batch, jax.random.key(0))
    for name, values in augmented.items():
        np.testing.assert_allclose(sharded[name], values, atol=1e-5)


def test_keys_under_pmap_are_those_of_the_whole_batch():
    per_device = mapped_by(jax.pmap, lambda _: example_keys(jax.random.key(3), 2))(jnp.zeros(8))
    np.testing.assert_array_equal(
        jax.random.key_data(per_device).reshape(16, -1), jax.random.key_data(make_keys(16, 3))
    )


def test_another_key_gives_another_result(augmented):
    other = apply(EVERYTHING, make_batch(), make_keys(seed=1))
    assert all((other[name] != augmented[name]).any() for name in EVERYTHING)


def test_frames_of_a_video_and_an_image_of_it_get_the_same():
    batch = make_batch()
    batch["video"] = np.repeat(batch["image"][:, None], 4, axis=1)
    result = apply({"image": VISUAL, "video": VISUAL}, batch, make_keys())
    for t in range(4):
        np.testing.assert_allclose(result["video"][:, t], result["image"], atol=1e-6)


def test_flip_mirrors_the_stated_part_and_reverse_turns_time():
    size = 400
    batch = {"image": np.tile(make_batch(4)["image"][:1], (size, 1, 1, 1))}
    batch["video"] = np.repeat(batch["image"][:, None], 4, axis=1) * np.linspace(0.2, 1, 4)[:, None, None, None]
    settings = {"image": {"flip": 0.3}, "video": {"flip": 0.3, "reverse": 0.6}}
    result = apply(settings, {k: v.astype(np.float32) for k, v in batch.items()}, make_keys(size))
    flipped = (result["image"] == batch["image"][:, :, ::-1]).all((1, 2, 3))
    kept = (result["image"] == batch["image"]).all((1, 2, 3))
    assert (flipped ^ kept).all() and abs(flipped.mean() - 0.3) < 0.1
    reversed_ = np.abs(result["video"][:, 0]).mean((1, 2, 3)) > np.abs(result["video"][:, 3]).mean((1, 2, 3))
    assert abs(reversed_.mean() - 0.6) < 0.1


def test_rotation_equals_scipy():
    image = ndimage.gaussian_filter(make_batch(4)["image"][0], (1, 1, 0))
    rotated = np.asarray(augmentation.rotate(jnp.asarray(image)[None], jnp.deg2rad(15.0)))[0]
    expected = ndimage.rotate(image, 15.0, reshape=False, order=1, mode="nearest")
    np.testing.assert_allclose(rotated, expected, atol=1e-5)


def test_zoom_enlarges_each_axis_by_its_own_factor():
    image = ndimage.gaussian_filter(make_batch(4)["image"][0], (1, 1, 0))
    zoom = jnp.array([1.25, 0.8])
    enlarged = np.asarray(augmentation.rotate(jnp.asarray(image)[None], jnp.float32(0), zoom))[0]
    middle, matrix = np.array([5.5, 5.5, 1.0]), np.diag([1 / 1.25, 1 / 0.8, 1.0])
    expected = ndimage.affine_transform(image, matrix, middle - matrix @ middle, order=1, mode="nearest")
    np.testing.assert_allclose(enlarged, expected, atol=1e-5)
    factors = np.asarray(jax.vmap(lambda key: augmentation.zooms(key, 0.3))(make_keys(500)))
    assert 0.7 <= factors.min() < 0.71 and 1.29 < factors.max() < 1.3
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.15


def test_crop_is_a_shift_within_the_padding():
    image = make_batch()["image"]
    shifted = apply({"image": {"crop": 2}}, {"image": image}, make_keys())["image"]
    padded = np.pad(image, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    found = set()
    for i in range(16):
        here = [(y, x) for y in range(5) for x in range(5) if (padded[i, y : y + 12, x : x + 12] == shifted[i]).all()]
        assert len(here) == 1
        found |= set(here)
    assert len(found) > 5


def test_cutout_is_one_grey_square():
    image = np.full((16, 12, 12, 3), 0.7, np.float32)
    grey = apply({"image": {"cutout": 4}}, {"image": image}, make_keys())["image"][..., 0] == 0
    for square in grey:
        rows, columns = np.nonzero(square.any(1))[0], np.nonzero(square.any(0))[0]
        assert square.sum() == 16 and len(rows) == len(columns) == 4


def test_hue_keeps_value_and_saturation_and_leaves_grey_alone():
    image = make_batch()["image"]
    image[..., :6, :] = 0.25
    turned = apply({"image": {"hue": 0.5}, "video": {"hue": 0.5}}, {"image": image}, make_keys())["image"]
    np.testing.assert_allclose(turned[..., :6, :], 0.25, atol=1e-6)
    np.testing.assert_allclose(turned.max(-1), image.max(-1), atol=1e-5)
    np.testing.assert_allclose(turned.min(-1), image.min(-1), atol=1e-5)


def test_audio_shift_gain_and_noise():
    waveform = np.sin(np.arange(400) / 7.0).astype(np.float32)[None].repeat(64, 0) * 0.2
    shifted = apply({"audio": {"shift": 0.1}}, {"audio": waveform}, make_keys(64))["audio"]
    offsets = []
    for one in shifted:
        here = [
            s
            for s in range(-40, 41)
            if (one[max(0, s) : 400 + min(0, s)] == waveform[0][max(0, -s) : 400 - max(0, s)]).all()
        ]
        assert len(here) == 1
        rest = np.concatenate([one[: max(0, here[0])], one[400 + min(0, here[0]) :]])
        assert not rest.any()
        offsets += here
    assert min(offsets) < -20 and max(offsets) > 20
    louder = apply({"audio": {"gain": 6}}, {"audio": waveform}, make_keys(64))["audio"]
    decibels = 20 * np.log10(louder.std(1) / waveform.std(1))
    assert np.abs(decibels).max() <= 6.001 and np.ptp(decibels) > 8
    noisy = apply({"audio": {"noise": 0.1}}, {"audio": waveform}, make_keys(64))["audio"]
    ratio = 20 * np.log10(np.sqrt((waveform**2).mean(1)) / (noisy - waveform).std(1))
    np.testing.assert_allclose(ratio, 20.0, atol=1.0)  # dB


def test_dropped_words_close_up_and_keep_their_order():
    ids = np.tile(TOKENIZER.encode("a small red circle", 8), (200, 1))
    dropped = apply({"text": {"drop": 0.4}}, {"text": ids}, make_keys(200))["text"]
    lengths = []
    for row in dropped:
        end = row.tolist().index(tokenizer.END)
        assert not row[end + 1 :].any() and (row[:end] > tokenizer.UNKNOWN).all()
        words = TOKENIZER.decode(row).split()
        assert words == [word for word in ["a", "small", "red", "circle"] if word in words]
        lengths.append(len(words))
    assert abs(np.mean(lengths) - 4 * 0.6) < 0.3


def test_unknown_replaces_words_alone():
    ids = np.tile(TOKENIZER.encode("a small red circle", 8), (200, 1))
    result = apply({"text": {"unknown": 0.25}}, {"text": ids}, make_keys(200))["text"]
    assert set(np.unique(result[result != ids])) == {tokenizer.UNKNOWN} and (result[:, 4:] == ids[:, 4:]).all()
    assert abs((result == tokenizer.UNKNOWN)[:, :4].mean() - 0.25) < 0.06


def test_synonyms_stay_in_their_group_and_all_occur():
    groups = (("big", "large", "red"), ("a", "small"))
    ids = np.tile(TOKENIZER.encode("a big circle", 8), (300, 1))
    result = apply({"text": {"synonym": 0.6, "synonyms": groups}}, {"text": ids}, make_keys(300))["text"]
    captions = [TOKENIZER.decode(row).split() for row in result]
    assert {words[0] for words in captions} == {"a", "small"} and {words[2] for words in captions} == {"circle"}
    second = [words[1] for words in captions]
    assert abs(second.count("large") / 300 - 0.3) < 0.1 and abs(second.count("big") / 300 - 0.4) < 0.1


def test_mixup_weights_are_of_each_examples_key_and_beta():
    weights = np.asarray(mixup.mixup_weights(make_keys(2000), 0.4))
    for moment, expected in ((1, 0.5), (2, 0.25 + 0.25 / 1.8)):  # the variance of Beta(a, a) is 1 / (4 (2 a + 1))
        assert np.mean(weights**moment) == pytest.approx(expected, abs=0.02)
    np.testing.assert_allclose(mixup.mixup_weights(make_keys(2000)[7:9], 0.4), weights[7:9], rtol=1e-5)


def test_mix_is_with_the_example_before_on_one_device_and_on_several():
    batch, weight = make_batch(), np.asarray(mixup.mixup_weights(make_keys(), 0.4))
    mixed = np.asarray(mixup.mix(batch["image"], weight))
    for i in range(16):
        expected = weight[i] * batch["image"][i] + (1 - weight[i]) * batch["image"][i - 1]
        np.testing.assert_allclose(mixed[i], expected, atol=1e-6)
    one_hot = np.asarray(mixup.mix(jax.nn.one_hot(batch["label"], 2), weight))
    np.testing.assert_allclose(one_hot.sum(-1), 1.0, rtol=1e-6)
    parts = mapped_by(jax.pmap, mixup.mix)(batch["image"].reshape(8, 2, 12, 12, 3), weight.reshape(8, 2))
    np.testing.assert_allclose(np.asarray(parts).reshape(mixed.shape), mixed, atol=1e-6)


REFUSED = [
    ({"photo": {"flip": 0.5}}, (), "no modality 'photo' in the data; its modalities are: image, video"),
    ({"image": {"gain": 3}}, (), "augment.image.gain: image has no such operation"),
    ({"label": {"flip": 0.5}}, (), "label has no such operation; it has: none"),
    ({"image": {"rotate": -3}}, (), "strength from 0 to 180, got -3"),
    ({"image": {"crop": 1.5}}, (), "whole pixels, at most 12, got 1.5"),
    ({"image": {"cutout": 13}}, (), "whole pixels, at most 12"),
    ({"audio": {"gain": "loud"}}, (), "got 'loud'"),
    ({"text": {"synonym": 0.5}}, (), "augment.text.synonyms"),
    ({"text": {"synonyms": (("big", "zebra"),)}}, (), "zebra"),
    ({"text": {"synonyms": (("big", "large"), ("big", "red"))}}, (), "in one group"),
    ({"image": {"flip": 0.5}}, ("flip",), "'video' shows the same example .* augment.video.flip to 0.5"),
    ({"image": {"flip": 0.5}, "video": {"flip": 0.4}}, ("flip",), "augment.video.flip to 0.5"),
    ({"image": {"flip": 0.5}, "video": {"flip": 0.5}}, (), "may describe sides and directions"),
    ({"video": {"reverse": 0.5}}, ("flip",), r"--config\.data\.label_preserving=\"\('reverse',\)\"$"),
    ({"video": {"reverse": 0.5}}, ("rotate",), "label_preserving: expected a tuple of .*flip.* got 'rotate'"),
    ({"image": {"hue": 0.1}, "video": {"hue": 0.1}}, (), "may describe colours"),
    ({"image": {"zoom": 0.1}, "video": {"zoom": 0.1}}, (), "may describe sizes"),
]


@pytest.mark.parametrize("settings, label_preserving, part", REFUSED)
def test_what_cannot_be_applied_is_refused_in_one_line(settings, label_preserving, part):
    with pytest.raises(ValueError, match=part) as error:
        augment.Augmentation(settings, MODALITIES, label_preserving)
    assert "\n" not in str(error.value)


def test_settings_may_come_from_a_config():
    config = ml_collections.ConfigDict({"text": EVERYTHING["text"], "image": {"crop": 2}}).lock()
    batch = {"image": make_batch()["image"], "text": make_batch()["text"]}
    expected = apply({"text": EVERYTHING["text"], "image": {"crop": 2}}, batch, make_keys())
    for name, values in apply(config, batch, make_keys()).items():
        np.testing.assert_array_equal(values, expected[name])


def test_a_set_without_descriptions_may_be_flipped_and_grey_images_need_no_hue():
    images = {"photo": Modality("image", (8, 8, 3)), "edges": Modality("image", (8, 8, 1))}
    augment.Augmentation({"photo": {"flip": 0.5}, "edges": {"flip": 0.5}}, images)
    augment.Augmentation({"photo": {"hue": 0.1}}, images)
    with pytest.raises(ValueError, match="3 channels"):
        augment.Augmentation({"edges": {"hue": 0.1}}, images)
