from __future__ import annotations

import itertools

import local_sets
import numpy as np
import pytest

from mmgen_jax.data import scenes
from mmgen_jax.errors import TextError
from mmgen_jax.modalities import modality
from mmgen_jax.scenes import factors, image, text
from mmgen_jax.training import augment


def read(count: int = 64, start: int = 0, **fields):
    return scenes.Source(**fields).read(np.arange(start, start + count), np.zeros(count, np.int64))


@pytest.mark.parametrize("split", scenes.Source.splits)
def test_batch_keeps_to_its_modalities(split):
    source = scenes.Source(split=split)
    batch = source.read(np.arange(len(source) - 32, len(source)), np.zeros(32, np.int64))
    modality.check_batch(batch, source.modalities)
    assert list(batch) == list(source.modalities)


def test_other_sizes_keep_to_their_modalities():
    fields = dict(image_size=48, num_frames=5, audio_seconds=1.0, sample_rate=16_000, text_length=20)
    source = scenes.Source(**fields)
    modality.check_batch(source.read(np.arange(8)), source.modalities)
    video, audio = source.modalities["video"], source.modalities["audio"]
    assert video.shape[0] / video.frame_rate == audio.shape[0] / audio.sample_rate


def test_example_is_a_function_of_its_index():
    whole = read(40)
    order = np.random.default_rng(0).permutation(40)
    permuted = scenes.Source().read(order, np.arange(40))
    for name, array in whole.items():
        np.testing.assert_array_equal(permuted[name], array[order], err_msg=name)
        alone = scenes.Source(names=(name,)).read(np.array([7]))
        assert list(alone) == [name]
        np.testing.assert_array_equal(alone[name][0], array[7], err_msg=name)


def test_no_two_examples_are_alike():
    images = np.concatenate(
        [
            read(200, names=("image",), split=split, seed=seed)["image"]
            for split, seed in (("train", 0), ("test", 0), ("compositional", 0), ("train", 1))
        ]
    )
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)


def test_compositional_pairs_are_never_trained():
    seen = {}
    for split in scenes.Source.splits:
        batch = read(2000, names=("shape", "color"), split=split)
        seen[split] = set(zip(batch["shape"].tolist(), batch["color"].tolist()))
    assert seen["train"] == seen["test"]
    assert not seen["train"] & seen["compositional"]
    assert seen["train"] | seen["compositional"] == set(itertools.product(range(6), range(6)))
    for factor in (0, 1):
        assert (
            {pair[factor] for pair in seen["train"]}
            == {pair[factor] for pair in seen["compositional"]}
            == set(range(6))
        )


def test_factors_are_uniform_and_independent():
    batch = read(20_000, names=("shape", "color", "size", "motion"))
    for name, values in factors.FACTORS.items():
        share = np.bincount(batch[name], minlength=len(values)) / 20_000
        np.testing.assert_allclose(share, 1 / len(values), atol=0.015, err_msg=name)
    joint = np.histogram2d(batch["size"], batch["motion"], bins=(2, 5))[0] / 20_000
    np.testing.assert_allclose(joint, 0.1, atol=0.01)


def test_noise_is_uniform_and_uncorrelated():
    noise = factors.noise(factors.keys(0, "train", np.arange(100)), 0, 1001)
    assert noise.shape == (100, 1001)
    assert abs(noise.mean()) < 0.01 and abs(noise.var() - 1 / 3) < 0.01
    assert np.abs(np.corrcoef(noise) - np.eye(100)).max() < 0.2
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 0.02


def test_captions_state_the_factors():
    batch = read(5000, names=("text", "shape", "color", "size", "motion"))
    with_motion, captions = 0, set()
    for i, ids in enumerate(batch["text"]):
        caption = text.TOKENIZER.decode(ids)
        np.testing.assert_array_equal(text.TOKENIZER.encode(caption, 16), ids)
        stated = text.parse(caption)
        assert {"shape", "color", "size"} <= set(stated), caption
        assert all(value == batch[name][i] for name, value in stated.items()), caption
        with_motion += "motion" in stated
        captions.add(caption)
    assert 0.35 < with_motion / 5000 < 0.55
    assert len(captions) > 3000


def test_captions_without_motion_tell_the_rest():
    num = len(text.PATTERNS)
    assert [i for i in range(num) if "MOTION" in text.PATTERNS[i]] == [*range(text.NUM_WITHOUT_MOTION, num)]
    batch = read(500, names=("text", *factors.FACTORS), tell_motion=False)
    for i, ids in enumerate(batch["text"]):
        labels = {name: int(batch[name][i]) for name in factors.FACTORS}
        caption = text.TOKENIZER.decode(ids)
        assert text.parse(caption) == {name: labels[name] for name in ("shape", "color", "size")}
        assert caption in scenes.Source(tell_motion=False).true_captions(labels)


def test_free_captions_encode_and_parse():
    assert text.parse("a large green star") == {"size": 1, "color": 2, "shape": 3}
    assert text.parse("The big star is green") == {"size": 1, "color": 2, "shape": 3}
    assert text.parse("a green star or a red star") == {"shape": 3}
    text.TOKENIZER.encode("a large green star", 16)
    with pytest.raises(TextError, match="'purple' is not in the vocabulary"):
        text.TOKENIZER.encode("a purple star", 16)


def test_image_is_the_middle_frame_and_the_background_stays():
    batch = read(64)
    np.testing.assert_array_equal(batch["image"], batch["video"][:, 4])
    np.testing.assert_array_equal(batch["image"], read(64, names=("image",))["image"])
    still = batch["video"][batch["motion"] == 0]
    np.testing.assert_array_equal(still, np.broadcast_to(still[:, :1], still.shape))
    # a pixel of the last row is never reached by a shape
    np.testing.assert_array_equal(batch["video"][:, :, -1, 0], np.repeat(batch["video"][:, :1, -1, 0], 8, axis=1))


@pytest.mark.parametrize("image_size", (32, 64))
def test_shapes_are_inside_and_cover_their_area(image_size):
    radius = np.array([7.0], np.float32)
    area = {
        "circle": np.pi, "square": 1.64**2, "triangle": 3 * np.sqrt(3) / 4 * 1.15**2,
        "star": 10 * 0.5 * 0.42 * np.sin(np.pi / 5), "cross": 2 * 0.6 * 2 - 0.6**2, "ring": np.pi * (1 - 0.25),
    }  # fmt: skip
    for shape, name in enumerate(factors.SHAPES):
        alpha = image.coverage(np.array([shape]), radius, np.full((1, 1, 2), 0.3, np.float32), image_size)
        covered = alpha.sum() * (32 / image_size) ** 2
        np.testing.assert_allclose(covered, area[name] * 49, rtol=0.03, err_msg=name)
    for split in scenes.Source.splits:  # nothing is cut off by the border: the frame of pixels stays grey
        video = read(200, names=("video",), split=split, image_size=image_size)["video"]
        border = np.concatenate(
            [video[:, :, [0, -1]].reshape(200, -1, 3), video[:, :, :, [0, -1]].reshape(200, -1, 3)], 1
        )
        assert (border.max(axis=-1) - border.min(axis=-1)).max() < 0.25


def test_sound_tells_every_factor():
    """Nearest centroids on a spectrogram, with nothing else said of how a sound is made."""
    names = ("audio", "shape", "color", "size", "motion")
    train, test = read(4000, names=names), read(300, names=names, split="test")
    features, examples = _spectrum(train["audio"]), _spectrum(test["audio"])
    for factor in factors.FACTORS:
        # a centroid for each combination of the others, because a pitch moves the overtones that tell the timbre
        cell = np.ravel_multi_index([train[name] for name in factors.FACTORS], (6, 6, 2, 5))
        present = np.unique(cell)
        centroids = np.stack([features[cell == c].mean(axis=0) for c in present])
        distance = (centroids**2).sum(axis=1) - 2 * examples @ centroids.T
        found = np.unravel_index(present[distance.argmin(axis=1)], (6, 6, 2, 5))
        predicted = found[list(factors.FACTORS).index(factor)]
        assert (predicted == test[factor]).mean() > 0.97, factor


def _spectrum(audio: np.ndarray) -> np.ndarray:
    """`[B, n]`: log power in five overlapping windows and bands of a whole tone from 190 Hz."""
    edges = 220 * 2 ** ((np.arange(26) - 0.5) / 6)
    windows = np.stack([audio[:, start : start + 1200] for start in range(400, 2801, 600)], axis=1)
    power = np.abs(np.fft.rfft((windows * np.hanning(1200)).astype(np.float32), n=2000)) ** 2  # bins of 4 Hz
    bands = np.add.reduceat(power, (edges / 4).astype(int), axis=-1)[..., :-1]
    log = np.log(bands / bands.max(axis=(1, 2), keepdims=True) + 1e-2)
    return log.reshape(len(audio), -1)


def test_wrong_fields_are_named():
    with pytest.raises(ValueError, match=r"scenes\.split: 'val'"):
        scenes.Source(split="val")
    with pytest.raises(ValueError, match="no modality 'sound'"):
        scenes.Source(names=("sound",))
    with pytest.raises(ValueError, match=r"scenes\.text_length: expected at least"):
        scenes.Source(text_length=4)
    with pytest.raises(IndexError, match="num_test"):
        read(1, start=2000, split="test")


def test_what_an_augmentation_would_make_untrue_is_refused():
    def check(names, settings):
        source = scenes.Source(names=names)
        augment.check(settings, source.modalities, frozenset(source.label_preserving))

    flip = {"image": {"flip": 0.5}}
    for names in (("image", "text"), ("image", "audio"), ("image", "motion")):
        with pytest.raises(ValueError, match=rf"augment.image.flip: '{names[1]}' may describe sides and directions"):
            check(names, flip)
    with pytest.raises(ValueError, match=r"augment.video.reverse: 'audio' may describe the order of events"):
        check(("video", "audio"), {"video": {"reverse": 0.5}})
    for name in ("color", "text"):
        with pytest.raises(ValueError, match=rf"augment.image.hue: '{name}' may describe colours"):
            check(("image", name), {"image": {"hue": 0.1}})
    with pytest.raises(ValueError, match=r"augment.image.zoom: 'size' may describe sizes"):
        check(("image", "size"), {"image": {"zoom": 0.1}})
    check(("image", "shape", "color", "size"), flip)
    check(("video", "shape", "size"), {"video": {"flip": 0.5, "reverse": 0.5}})
    check((), {"image": {"crop": 2, "brightness": 0.2}, "audio": {"gain": 6}, "text": {"drop": 0.1}})


def test_another_process_renders_the_same():
    fields, indices = {"split": "compositional", "seed": 3}, (0, 5, 900)
    batch = scenes.Source(**fields).read(np.array(indices), np.full(3, 2))
    assert local_sets.digest(batch) == local_sets.digest_elsewhere("scenes", fields, indices, epoch=2)
