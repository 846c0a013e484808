import pickle

import media_files as media
import numpy as np
import PIL.Image
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgen_jax.errors import DataError
from mmgen_jax.modalities import audio, containers, image, kinds, video
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.resample import resample


def test_image_of_the_asked_size_is_exact(tmp_path):
    array = media.pixels(24, 20)
    expected = array.astype(np.float32) / 127.5 - 1
    np.testing.assert_allclose(image.read(media.picture(tmp_path / "a.png", array), (24, 20, 3)), expected, atol=1e-6)


def test_larger_image_is_antialiased(tmp_path):
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)  # without a filter: all black or all white
    shrunk = image.read(media.picture(tmp_path / "a.png", board), (8, 8, 1))
    np.testing.assert_allclose(shrunk, 0, atol=0.02)


def test_crop_is_central(tmp_path):
    array = np.repeat(np.arange(60, dtype=np.uint8)[None, :, None] * 4, 20, 0).repeat(3, 2)
    middle = array[:, 20:40].astype(np.float32) / 127.5 - 1
    cropped = image.read(media.picture(tmp_path / "a.png", array), (20, 20, 3))
    np.testing.assert_allclose(cropped, middle, atol=1e-6)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_gives_the_shape_and_range(tmp_path, mode, channels):
    if mode == "I;16":
        path = media.picture(tmp_path / "a.png", media.pixels(9, 7, 1).astype(np.uint16) * 257)
    else:
        path = media.picture(tmp_path / "a.png", media.pixels(9, 7), mode)
    decoded = image.read(path, (5, 6, channels))
    assert decoded.shape == (5, 6, channels) and decoded.dtype == np.float32
    assert -1 <= decoded.min() < decoded.max() <= 1


def test_16_bits_keep_their_depth(tmp_path):
    array = np.arange(16, dtype=np.uint16).reshape(4, 4) + 1000  # all one value at 8 bits
    decoded = image.read(media.picture(tmp_path / "a.png", array), (4, 4, 1))[..., 0]
    np.testing.assert_allclose((decoded + 1) * 65535 / 2, array, atol=0.01)


def test_audio_at_its_own_rate_is_exact(tmp_path):
    samples = media.sine().astype(np.float32)
    path = media.sound(tmp_path / "a.wav", samples, subtype="FLOAT")
    np.testing.assert_array_equal(audio.read(path, 4000, 8000), samples)


@pytest.mark.parametrize(
    "rate, target", [(44_100, 8000), (8000, 44_100), (48_000, 16_000), (8000, 8001), (11_025, 16_000)]
)
def test_resampled_sine_is_the_sine_of_the_new_rate(rate, target):
    resampled = resample(media.sine(rate), rate, target, target)
    inside = slice(target // 20, -target // 20)
    expected = media.sine(target, seconds=len(resampled) / target)
    np.testing.assert_allclose(resampled[inside], expected[inside], atol=1e-5)


def test_resampling_agrees_with_scipy_below_the_cut_off():
    noise = np.random.default_rng(0).normal(size=4000)
    noise = scipy.signal.sosfiltfilt(scipy.signal.butter(12, 0.2, output="sos"), noise)
    inside = slice(100, -100)
    expected = scipy.signal.resample_poly(noise, 1, 2, window=("kaiser", 8.0))
    np.testing.assert_allclose(resample(noise, 2, 1, 2000)[inside], expected[inside], atol=5e-3)


def test_what_the_new_rate_cannot_hold_is_removed():
    assert np.abs(resample(media.sine(44_100, frequency=4400), 44_100, 8000, 4000)[200:-200]).max() < 1e-4


@settings(deadline=None, max_examples=30)
@given(st.integers(1000, 50_000), st.integers(1000, 50_000), st.integers(0, 300), st.integers(1, 300))
def test_resampled_length_is_that_of_the_rates(rate, target, length, num_samples):
    resampled = resample(np.ones(length), rate, target, num_samples)
    assert len(resampled) == min(num_samples, -(-length * target // rate)) and np.isfinite(resampled).all()


def test_frames_are_the_middles_of_equal_parts(tmp_path):
    ramp = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.full((1, 32, 32, 3), 6, np.uint8)
    decoded = video.read(media.clip(tmp_path / "a.mp4", ramp), (4, 8, 8, 1)).mean((1, 2, 3))
    np.testing.assert_allclose(decoded, np.array([5, 15, 25, 35]) * 12 / 255 - 1, atol=0.03)


def test_frames_at_a_rate_follow_the_clock_and_hold_the_last(tmp_path):
    ramp = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.full((1, 32, 32, 3), 25, np.uint8)
    path = media.clip(tmp_path / "a.mp4", ramp, rate=20)  # half a second
    decoded = video.read(path, (8, 8, 8, 1), frame_rate=10.0).mean((1, 2, 3))
    np.testing.assert_allclose(decoded, np.array([0, 2, 4, 6, 8, 9, 9, 9]) * 50 / 255 - 1, atol=0.03)


def test_all_frames_together_have_a_bound(tmp_path, monkeypatch):
    path = media.clip(tmp_path / "a.mp4", np.zeros((10, 32, 32, 3), np.uint8))
    monkeypatch.setattr(video, "MAX_CLIP_PIXELS", 10 * 32 * 32)
    assert video.read(path, (4, 8, 8, 1)).shape == (4, 8, 8, 1)
    monkeypatch.setattr(video, "MAX_CLIP_PIXELS", 10 * 32 * 32 - 1)
    with pytest.raises(DataError, match="expected at most 9, got more frames of 32 x 32 pixels"):
        video.read(path, (4, 8, 8, 1))


def test_a_gif_is_divided_by_time(tmp_path):
    black, white = (PIL.Image.new("L", (16, 16), shade) for shade in (0, 255))
    black.save(tmp_path / "a.gif", save_all=True, append_images=[white], duration=[900, 100])
    for frame_rate in (0.0, 10.0):  # one second
        decoded = video.read(tmp_path / "a.gif", (10, 8, 8, 1), frame_rate).mean((1, 2, 3))
        np.testing.assert_allclose(decoded, [-1] * 9 + [1], atol=0.01)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_clip_of_a_variable_rate_is_divided_by_time(tmp_path, name):
    """As phones record: 0.5 s of darkness, then five frames of 0.1 s."""
    shades, starts = np.array([0, 40, 80, 120, 160, 200], np.uint8), [0, 500, 600, 700, 800, 900]
    frames = np.broadcast_to(shades[:, None, None, None], (6, 32, 32, 3))
    path = media.clip(tmp_path / name, frames, rate=10, starts=starts)
    expected = np.array([0, 0, 0, 0, 0, 40, 80, 120, 160, 200]) / 127.5 - 1
    for frame_rate in (0.0, 10.0):
        decoded = video.read(path, (10, 8, 8, 1), frame_rate).mean((1, 2, 3))
        np.testing.assert_allclose(decoded, expected, atol=0.03)


def test_a_clip_of_a_constant_rate_is_divided_as_by_number(tmp_path):
    """Also where the middle of a part is between two frames, and times are rounded to milliseconds."""
    ramp = np.arange(32, dtype=np.uint8)[:, None, None, None] * np.full((1, 32, 32, 3), 7, np.uint8)
    for name in ("a.mp4", "a.mkv", "a.avi"):
        codec = "mpeg4" if name == "a.avi" else "libx264"
        decoded = video.read(media.clip(tmp_path / name, ramp, rate=30, codec=codec), (16, 8, 8, 1)).mean((1, 2, 3))
        np.testing.assert_allclose((decoded + 1) * 127.5 / 7, np.arange(1, 32, 2), atol=0.45)


def test_video_sound_is_the_recorded_one(tmp_path):
    path = media.clip(tmp_path / "a.mp4", samples=media.sine(16_000, frequency=300))
    decoded = audio.read_sound(path, 4000, 8000)[1000:3000]  # AAC delays by a whole number of its samples
    spectrum = np.abs(np.fft.rfft(decoded * np.hanning(2000)))
    assert spectrum.argmax() * 4 == 300 and 0.3 < decoded.std() < 0.4


def test_a_clip_can_be_given_for_its_sound(tmp_path):
    path = media.clip(tmp_path / "a.mp4", samples=media.sine(16_000))
    (given,) = Modality("audio", (4000,), sample_rate=8000).traits.read_given(str(path), "audio")
    np.testing.assert_array_equal(given, audio.read_sound(path, 4000, 8000))
    with pytest.raises(DataError, match=r"a\.gif: audio\.content"):
        Modality("audio", (4000,), sample_rate=8000).traits.read_given(
            media.clip(tmp_path / "a.gif", codec="gif"), "audio"
        )


def test_reading_twice_is_identical(tmp_path):
    path = media.clip(tmp_path / "a.mp4")
    np.testing.assert_array_equal(video.read(path, (4, 8, 8, 3)), video.read(path, (4, 8, 8, 3)))


SUFFIXES = [(kind, suffix) for kind in kinds.names() for suffix in kinds.find(kind).suffixes]


@pytest.mark.parametrize("kind, suffix", SUFFIXES)
def test_kind_is_by_suffix_in_either_case(kind, suffix):
    assert kinds.of_file("a" + suffix) == kinds.of_file("a.b" + suffix.upper()) == kind
    assert kinds.of_file(suffix[1:]) is None


def test_error_survives_pickling_and_is_one_line():
    error = DataError("a\nb", "image", "size", 3, "4\n5", "shrink it")
    assert str(error) == "a b: image.size: expected 3, got 4 5; shrink it" == str(pickle.loads(pickle.dumps(error)))


CODECS = {".gif": "gif", ".webm": "libvpx", ".avi": "mpeg4"}
NAMES = ["a.png", "a.jpg", "a.webp", "a.bmp", "a.tiff", "a.avif", "a.wav", "a.aiff", "a.ogg", "a.flac"]


@pytest.mark.parametrize("name", [*NAMES, "a.gif", "a.mp4", "a.mov", "a.webm", "a.mkv", "a.avi"])
def test_a_file_cut_anywhere_is_noticed(tmp_path, name):
    path = tmp_path / name
    make, read = {
        "image": (lambda: media.picture(path), lambda: image.read(path, (8, 8, 3))),
        "audio": (lambda: media.sound(path), lambda: audio.read(path, 4000, 8000)),
        "video": (
            lambda: media.clip(path, codec=CODECS.get(path.suffix, "libx264")),
            lambda: video.read(path, (4, 8, 8, 3)),
        ),
    }[kinds.of_file(path)]
    make()
    read()
    whole = path.read_bytes()
    for share in (0.2, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DataError):
            read()


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.gif", "a.mp4", "a.webm"])
def test_one_byte_less_is_noticed_where_a_decoder_would_not(tmp_path, name):
    path = tmp_path / name
    (media.sound if kinds.of_file(path) == "audio" else media.clip)(
        path, **{"codec": CODECS[path.suffix]} if path.suffix in CODECS else {}
    )
    containers.check(path, "image")
    whole, at = path.read_bytes(), -2 if name == "a.gif" else -1  # a GIF's last byte is its trailer
    path.write_bytes(whole[:at])
    with pytest.raises(DataError, match="a whole file"):
        containers.check(path, "image")


def test_a_gif_of_one_picture_is_an_image(tmp_path):
    still, moving = media.picture(tmp_path / "a.gif"), media.clip(tmp_path / "b.GIF", codec="gif")
    assert [kinds.of_content(path) for path in (still, moving, "no.gif", "a.png")] == [
        *["image"],
        *["video"] * 2,
        "image",
    ]


@settings(deadline=None, max_examples=100)
@given(
    st.binary(max_size=300),
    st.sampled_from(
        [
            b"",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF\0\0\0\0WAVE",
            b"OggS",
            b"\0\0\0\x10ftyp",
            b"\x1a\x45\xdf\xa3",
            b"GIF89a",
            b"\xff\xd8\xff",
        ]
    ),
)
def test_arbitrary_bytes_are_refused_and_nothing_else_happens(tmp_path_factory, data, start):
    path = tmp_path_factory.getbasetemp() / "arbitrary"
    path.write_bytes(start + data)
    for read in (
        lambda: image.read(path, (4, 4, 3)),
        lambda: audio.read(path, 8, 8000),
        lambda: video.read(path, (2, 4, 4, 3)),
        lambda: audio.read_sound(path, 8, 8000),
    ):
        with pytest.raises(DataError):
            read()


def test_real_photo_is_what_pillow_shows(mmgen_data):
    path = next((mmgen_data / "clothing" / "test").rglob("*.jpg"))
    with PIL.Image.open(path) as picture:
        expected = np.asarray(picture.convert("RGB"), np.float32) / 127.5 - 1
    np.testing.assert_allclose(image.read(path, expected.shape), expected, atol=1e-6)
