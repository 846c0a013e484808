import pickle
import subprocess
import sys

import local_sets
import numpy as np
import pytest

from mmgen_jax.data import digits
from mmgen_jax.data.cache import arrays
from mmgen_jax.errors import Unusable
from mmgen_jax.modalities import modality
from mmgen_jax.training import augment

SPEAKERS = ("ada", "bob")


def _write_mnist(folder, count, seed):
    """Made images: the class is the value of every pixel of a centred bar, 100 + 10 × class."""
    labels = np.random.default_rng(seed).permutation(np.arange(count) % 10).astype(np.int32)
    image = np.zeros((count, 28, 28, 1), np.uint8)
    image[:, 4:24, 10:18, 0] = (100 + 10 * labels)[:, None, None]
    image[:, 0, 0, 0] = np.arange(count) % 90  # tells images of a class apart
    provenance = {"export": 1, "splits": ["train", "test"], "split": folder.name}
    with arrays.write(folder, provenance) as writer:
        writer.extend({"image": image, "label": labels})


def _write_spoken(folder):
    """Made recordings: constant at 1000 × (class + 1) + 10 × recording + speaker, 50 per speaker and class."""
    examples = [(d, s, i) for i in range(50) for s in range(2) for d in range(10)]
    with arrays.write(folder, {"export": 1, "splits": ["train"], "split": "train"}) as writer:
        writer.extend(
            {
                "audio": [np.full(100 + 40 * i, 1000 * (d + 1) + 10 * i + s, np.int16) for d, s, i in examples],
                "audio/filename": [f"{d}_{SPEAKERS[s]}_{i}.wav" for d, s, i in examples],
                "label": np.array([d for d, _, _ in examples], np.int32),
            }
        )


@pytest.fixture
def made(cache, monkeypatch):
    """A prepared pair of made sets: 5,200 training images, so 200 are left beside the validation split."""
    monkeypatch.delenv("MMGEN_DATA", raising=False)
    _write_mnist(cache / "prepared" / "mnist" / "train", 5200, seed=0)
    _write_mnist(cache / "prepared" / "mnist" / "test", 300, seed=1)
    _write_spoken(cache / "prepared" / "spoken_digit" / "train")


def _read(source, indices=None, epoch=0):
    indices = np.arange(len(source)) if indices is None else np.asarray(indices)
    return source.read(indices, np.full(len(indices), epoch))


def _class_of_pixels(pixels):
    return np.rint(((pixels.reshape(len(pixels), -1).max(1) + 1) * 127.5 - 100) / 10).astype(int)


def _recordings(audio):
    """(class, recording, speaker) of made waveforms."""
    value = np.rint(audio[:, 0] * 32768).astype(int)
    return value // 1000 - 1, value % 1000 // 10, value % 10


@pytest.mark.parametrize("split, size", [("train", 200), ("validation", 5000), ("test", 300)])
def test_batches_keep_to_the_modalities(made, split, size):
    source = digits.Source(split=split, video_size=32)
    assert len(source) == size
    batch = _read(source, range(64))
    assert list(batch) == ["text", "image", "audio", "video", "digit"]
    modality.check_batch(batch, source.modalities)


@pytest.mark.parametrize("split", digits.Source.splits)
def test_all_modalities_are_of_the_class(made, split):
    source = digits.Source(split=split, video_size=56, num_moving=2)
    batch = _read(source, range(200))
    label = batch["digit"]
    np.testing.assert_array_equal(_class_of_pixels(batch["image"]), label)
    for frame in range(source.num_frames):
        np.testing.assert_array_equal(_class_of_pixels(batch["video"][:, frame]), label)
    np.testing.assert_array_equal(_recordings(batch["audio"])[0], label)
    for ids, digit in zip(batch["text"], label):
        assert digits.TOKENIZER.decode(ids) in digits.captions(digit)


def test_splits_share_no_image_and_no_recording(made):
    recordings, images = {}, {}
    for split in digits.Source.splits:
        source = digits.Source(split=split, names=("audio", "image"))
        heard = [_recordings(_read(source, range(200), epoch)["audio"])[1] for epoch in range(4)]
        recordings[split] = set(np.concatenate(heard).tolist())
        images[split] = (source._mnist[0].directory, source._mnist[1])
    assert recordings["test"] == set(range(5))
    assert recordings["validation"] == set(range(5, 10))
    assert recordings["train"] == set(range(10, 50))
    train, validation = images["train"], images["validation"]
    assert train[0] == validation[0] and train[0] != images["test"][0]
    rows = np.arange(5200)
    assert sorted([*rows[train[1]], *rows[validation[1]]]) == rows.tolist()


def test_reading_is_a_function_of_seed_epoch_and_index(made):
    source = digits.Source(video_size=32)
    whole = _read(source, range(40), epoch=2)
    again = _read(pickle.loads(pickle.dumps(source)), range(39, -1, -1), epoch=2)
    for name, values in whole.items():
        np.testing.assert_array_equal(values, again[name][::-1])
    mixed = source.read(np.arange(40), np.arange(40) % 2 + 1)
    for name, values in whole.items():
        np.testing.assert_array_equal(values[1::2], mixed[name][1::2])
    for other in (_read(source, range(40), epoch=3), _read(digits.Source(seed=1, video_size=32), range(40), epoch=2)):
        for name in ("image", "digit"):
            np.testing.assert_array_equal(whole[name], other[name])
        for name in ("text", "audio", "video"):
            changed = (whole[name] != other[name]).reshape(40, -1).any(1)
            assert changed.mean() > 0.8, name


def test_evaluation_splits_are_the_same_in_every_pass(made):
    for split in ("validation", "test"):
        source = digits.Source(split=split, video_size=32)
        first, second = _read(source, range(40), epoch=0), _read(source, range(40), epoch=5)
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])


def test_draws_are_uniform_and_independent(made):
    source = digits.Source(split="test")
    indices = np.tile(np.arange(300), 40)
    epochs = np.repeat(np.arange(40), 300)
    draws = np.stack([source._draw(role, epochs, indices) for role in ("text", "audio", "x0", "x1")])
    assert draws.min() >= 0 and draws.max() < 1
    counts = np.stack([np.histogram(draw, 20, (0, 1))[0] for draw in draws])
    chi_squared = ((counts - 600) ** 2 / 600).sum(1)
    assert (chi_squared < 44).all()  # 19 degrees of freedom: exceeded once in 1,000
    assert np.abs(np.corrcoef(draws) - np.eye(4)).max() < 0.04
    by_epoch = draws[0].reshape(40, 300)
    assert np.abs(np.corrcoef(by_epoch) - np.eye(40)).max() < 0.3


def test_recordings_are_padded_at_the_end_and_cut_at_the_end(made):
    source = digits.Source(names=("audio",), audio_seconds=0.1)  # 800 samples; recording i has 100 + 40 i
    audio = _read(source)["audio"]
    assert audio.shape == (200, 800)
    _, recording, _ = _recordings(audio)
    np.testing.assert_array_equal((audio != 0).sum(1), np.minimum(100 + 40 * recording, 800))
    assert (audio[:, 0] != 0).all()


def test_larger_images_are_padded_with_black(made):
    small, large = (_read(digits.Source(names=("image",), image_size=size), range(8))["image"] for size in (28, 32))
    np.testing.assert_array_equal(large[:, 2:30, 2:30], small)
    border = np.ones((32, 32), bool)
    border[2:30, 2:30] = False
    assert (large[:, border] == -1).all()


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_digit_moves_straight_and_stays_inside(made, size):
    """The bar's centre of mass follows a triangle wave: its second difference is zero except at a reflection."""
    source = digits.Source(names=("video",), video_size=size, num_frames=12)
    mass = _read(source, range(100))["video"][..., 0] + 1
    total = mass.sum((2, 3))
    np.testing.assert_allclose(total, np.broadcast_to(total[:, :1], total.shape), rtol=1e-4)  # never cut
    centres = [(mass.sum(axis) * np.arange(size)).sum(-1) / total for axis in (3, 2)]  # y, x: [B, T]
    for centre in centres:
        turns = np.abs(np.diff(centre, 2)) > 2.01  # positions are rounded to pixels, so up to 2 without a reflection
        assert turns.mean() < 0.35
    speed = np.hypot(*(np.abs(np.diff(centre)) for centre in centres))
    assert np.median(speed) > 0.04 * size and speed.max() < 0.15 * size + 1.5


def test_reflect_is_a_triangle_wave():
    np.testing.assert_allclose(
        digits._reflect(np.array([-3, -1, 0, 2, 4, 5, 8, 9, 13.0]), 4), [3, 1, 0, 2, 4, 3, 0, 1, 3]
    )


def test_area_average_keeps_the_mean():
    rows = digits._area_average(28, 16)
    np.testing.assert_allclose(rows.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(rows.sum(0), 16 / 28, rtol=1e-6)
    np.testing.assert_allclose(digits._area_average(4, 2), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])


def test_captions_have_one_digit_and_a_closed_vocabulary():
    every = [caption for digit in range(10) for caption in digits.captions(digit)]
    assert len(set(every)) == len(every) == 200
    assert "an eight" in " ".join(digits.captions(8)) and "an 8" in " ".join(digits.captions(8))
    for digit in range(10):
        for caption in digits.captions(digit):
            found = [d for d in range(10) if {str(d), digits.WORDS[d]} & set(caption.split())]
            assert found == [digit]
    with pytest.raises(ValueError, match=r"'seventy' is not in the vocabulary; it has: .*seven"):
        digits.TOKENIZER.encode("seventy", 8)


def test_names_choose_what_is_read_and_needed(made, cache):
    arrays.shutil.rmtree(cache / "prepared" / "spoken_digit")
    source = digits.Source(names=("image", "digit"))
    assert list(source.modalities) == list(_read(source, [3])) == ["image", "digit"]
    with pytest.raises(Unusable, match=r"spoken_digit: not prepared.*mmgen prepare-data --dataset=digits"):
        _read(digits.Source(names=("audio",)), [3])


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"split": "dev"}, "split 'dev' does not exist; the splits are train, validation, test"),
        ({"names": ("photo",)}, "no modality 'photo'; there are text, image, audio, video, digit"),
        ({"image_size": 27}, "image_size: expected 28"),
        ({"video_size": 8}, "video_size: expected 16 to 128, got 8"),
    ],
)
def test_refuses_wrong_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        digits.Source(**fields)


def test_a_path_may_be_reversed_and_a_digit_enlarged_but_not_mirrored():
    source = digits.Source()
    allowed = frozenset(source.label_preserving)
    settings = {"video": {"reverse": 0.5, "zoom": 0.2}, "image": {"crop": 2, "rotate": 10, "zoom": 0.2}}
    augment.check(settings, source.modalities, allowed)
    with pytest.raises(ValueError, match=r"augment.image.flip: 'text' may describe sides and directions"):
        augment.check({"image": {"flip": 0.5}, "video": {"flip": 0.5}}, source.modalities, allowed)


def test_reads_without_tensorflow(made, cache):
    code = (
        "import sys, numpy as np; from mmgen_jax.data import digits; s = digits.Source(video_size=32);"
        "s.read(np.arange(4), np.zeros(4, int)); print({m.split('.')[0] for m in sys.modules})"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'numpy'" in modules
    for absent in ("tensorflow", "tensorflow_datasets", "PIL", "jax"):
        assert f"'{absent}'" not in modules


# The real sets, in the user's own cache: prepared there from $MMGEN_DATA the first time.


@pytest.mark.parametrize(
    "split, size, recordings", [("train", 55000, 2000), ("validation", 5000, 250), ("test", 10000, 250)]
)
def test_real_counts(mmgen_data, split, size, recordings):
    source = digits.Source(split=split)
    assert len(source) == size
    indices = (0, 7, size - 1)
    batch = source.read(np.array(indices), np.full(3, 4))
    assert local_sets.digest(batch) == local_sets.digest_elsewhere("digits", {"split": split}, indices, epoch=4)
    waveforms, order, starts = source._recordings
    assert len(waveforms) == len(order) == recordings
    np.testing.assert_array_equal(np.diff(starts), recordings // 10)
    modality.check_batch(_read(source, range(0, size, size // 50)), source.modalities)


def test_real_images_videos_and_labels_agree(mmgen_data):
    """The nearest class mean of the training images names 4 in 5 test digits, still or moving."""
    train = _read(digits.Source(names=("image", "digit")), range(5000))
    means = np.stack([train["image"][train["digit"] == digit].mean(0).ravel() for digit in range(10)])

    def nearest(images):
        return np.square(images.reshape(len(images), 1, -1) - means).sum(-1).argmin(1)

    test = _read(digits.Source(split="test", video_size=28, num_frames=2), range(1000))
    assert (nearest(test["image"]) == test["digit"]).mean() > 0.78
    rows = digits._area_average(28, 14)
    small = np.stack([(rows @ mean.reshape(28, 28) @ rows.T).ravel() for mean in means])
    centred = np.stack([_crop_to_ink(frames[0, ..., 0], 14) for frames in test["video"]])
    smaller = np.stack([_crop_to_ink(mean.reshape(14, 14), 14) for mean in small])
    guess = np.square(centred.reshape(1000, 1, -1) - smaller.reshape(1, 10, -1)).sum(-1).argmin(1)
    assert (guess == test["digit"]).mean() > 0.6


def _crop_to_ink(image, size):
    """`[size, size]` with the centre of mass in the middle."""
    ink = np.pad(image + 1, size)
    y, x = (int(np.rint((ink.sum(axis) * np.arange(len(ink))).sum() / ink.sum())) for axis in (1, 0))
    return ink[y - size // 2 :][:size, x - size // 2 :][:, :size]


def test_real_recordings_of_a_word_sound_alike(mmgen_data):
    """A recording's nearest other recording, by its log spectrogram, is of its class far more often than 1 in 10."""
    source = digits.Source(split="test", names=("audio", "digit"))
    waveforms, order, _ = source._recordings
    labels = np.empty(250, int)
    labels[order] = np.repeat(np.arange(10), 25)
    level = np.abs(waveforms.astype(np.float32)).max(1, keepdims=True)
    frames = (waveforms / level).reshape(250, -1, 200)
    spectra = np.log(np.abs(np.fft.rfft(frames * np.hanning(200), axis=-1)) + 0.05).reshape(250, -1)
    distance = np.square(spectra).sum(1) + np.square(spectra).sum(1)[:, None] - 2 * spectra @ spectra.T
    np.fill_diagonal(distance, np.inf)
    assert (labels[distance.argmin(1)] == labels).mean() > 0.6


def test_images_are_resized_bilinearly(mmgen_data):
    import PIL.Image

    source = digits.Source(names=("image",), split="test", image_size=64, image_fit="resize")
    plain = digits.Source(names=("image",), split="test")
    images, originals = (s.read(np.arange(5), np.zeros(5, int))["image"] for s in (source, plain))
    for image, original in zip(images, originals):
        expected = PIL.Image.fromarray(original[..., 0]).resize((64, 64), PIL.Image.Resampling.BILINEAR)
        np.testing.assert_allclose(image[..., 0], np.asarray(expected), atol=1e-5)
    with pytest.raises(ValueError, match="expected pad or resize, got 'crop'"):
        digits.Source(image_fit="crop")
