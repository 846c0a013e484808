"""modalities/save.py: the files hold the samples, and a person can tell which is which."""

import av
import numpy as np
import PIL.Image
import pytest
import soundfile

from mmgen_jax.modalities import animation, grid, save, streams, tokenizer, video
from mmgen_jax.modalities.modality import Modality

TOKENIZER = tokenizer.build(["a red circle", "two blue squares"])
MODALITIES = {
    "caption": Modality("text", (8,), tokenizer=TOKENIZER),
    "digit": Modality("label", (), classes=("zero", "one", "two")),
    "edges": Modality("image", (28, 28, 1)),
    "photo": Modality("image", (32, 48, 3)),
    "speech": Modality("audio", (4000,), sample_rate=8000),
    "clip": Modality("video", (4, 16, 16, 3), frame_rate=10),
}
RNG = np.random.default_rng(0)


def sample(name, count):
    return RNG.uniform(-1, 1, (count, *MODALITIES[name].shape)).astype(np.float32)


def pixels(path):
    return np.asarray(PIL.Image.open(path).convert("RGB"))


def find(sheet, picture):
    """Whether the enlarged `picture [H, W, C]` stands somewhere in the sheet, pixel by pixel."""
    factor = -(-96 // min(picture.shape[:2]))
    block = grid.to_uint8(np.broadcast_to(picture, (*picture.shape[:2], 3)))
    block = block.repeat(factor, 0).repeat(factor, 1)
    h, w = block.shape[:2]
    corners = np.argwhere((sheet[: -h + 1, : -w + 1] == block[0, 0]).all(-1))
    return [(y, x) for y, x in corners if (sheet[y : y + h, x : x + w] == block).all()]


def test_to_uint8_covers_the_range():
    assert grid.to_uint8(np.array([-2, -1, 0, 1, 3.0])).tolist() == [0, 0, 128, 255, 255]
    every = np.arange(256)
    assert (grid.to_uint8((every / 127.5 - 1).astype(np.float32)) == every).all()


@pytest.mark.parametrize("name", ["edges", "photo"])
def test_every_picture_is_in_the_grid_enlarged(tmp_path, name):
    pictures = sample(name, 5)
    (path,) = save.save_samples(tmp_path / "out", 12, {name: pictures}, MODALITIES, prompts=["a prompt"] * 5)
    assert path == tmp_path / "out" / f"0000012_{name}.png"
    sheet = pixels(path)
    assert len({place for picture in pictures for place in find(sheet, picture)}) == 5


def test_the_prompt_is_drawn_under_its_picture(tmp_path):
    black = -np.ones((2, 32, 48, 3), np.float32)
    (plain,) = save.save_samples(tmp_path, 1, {"photo": black}, MODALITIES)
    (prompted,) = save.save_samples(tmp_path, 2, {"photo": black}, MODALITIES, prompts=["", "a long prompt " * 40])
    plain, prompted = pixels(plain), pixels(prompted)
    added = prompted.shape[0] - plain.shape[0]
    assert added == grid.MAX_LINES * grid.LINE_HEIGHT  # cut, so that one prompt cannot push the sheet apart
    below = prompted[grid.GAP + 96 :]
    half = grid.GAP + 144 + grid.GAP // 2
    assert (below[:, :half] == 255).all() and (below[:, half:] < 128).any()


def test_conditions_stand_to_the_left_of_the_sample(tmp_path):
    samples, conditions = sample("photo", 3), {"edges": sample("edges", 3), "digit": np.arange(3)}
    (path,) = save.save_samples(tmp_path, None, {"photo": samples}, MODALITIES, conditions=conditions)
    assert path.name == "photo.png"
    sheet = pixels(path)
    for i in range(3):
        (left,), (right,) = find(sheet, conditions["edges"][i]), find(sheet, samples[i])
        assert left[0] == right[0] and left[1] + 112 < right[1] < left[1] + 112 + 10


def test_video_is_an_animation_of_every_frame(tmp_path):
    shades = np.linspace(-1, 1, 4, dtype=np.float32)
    clip = np.broadcast_to(shades[None, :, None, None, None], (2, 4, 16, 16, 3))
    path, mp4, sheet = save.save_samples(tmp_path, 3, {"clip": clip}, MODALITIES, prompts=["x", "y"])
    assert [one.name for one in (path, mp4, sheet)] == [
        "0000003_clip.gif",
        "0000003_clip.mp4",
        "0000003_clip_frames.png",
    ]
    with PIL.Image.open(path) as animation:
        assert animation.n_frames == 4 and animation.info["duration"] == 100
        seen = []
        for t in range(4):
            animation.seek(t)
            seen.append(int(np.asarray(animation.convert("L"))[grid.GAP + 40, grid.GAP + 40]))
    np.testing.assert_allclose(seen, grid.to_uint8(shades), atol=3)
    with av.open(str(mp4)) as clip:
        assert clip.streams.video[0].average_rate == 10
        grey = [frame.to_ndarray(format="gray")[grid.GAP + 40, grid.GAP + 40] for frame in clip.decode(video=0)]
    assert len(grey) == 4 and (np.diff(np.array(grey, int)) > 0).all()


def test_a_contact_sheet_has_time_from_left_to_right(tmp_path):
    """Of 15 frames 8, with the first and the last; the given clip stands to the left of the sample."""
    shades = np.linspace(-1, 1, 15, dtype=np.float32)
    clips = np.broadcast_to(shades[None, :, None, None, None], (10, 15, 16, 16, 3))
    of = {name: Modality("video", clips.shape[1:], frame_rate=10) for name in ("clip", "past")}
    *_, path = save.save_samples(tmp_path, None, {"clip": clips}, of, conditions={"past": clips[:, ::-1]})
    sheet = pixels(path)[..., 0]
    cell = 96 + grid.MIN_PICTURE // 16  # a frame of 16 px enlarged six times, and its line
    assert (sheet.shape[0] - grid.GAP - grid.LINE_HEIGHT) // (96 + grid.GAP) == grid.MAX_ROWS
    row = sheet[grid.GAP + grid.LINE_HEIGHT + 48, grid.GAP :]
    shown = grid.to_uint8(shades[::2])
    np.testing.assert_array_equal(row[48 : 8 * cell : cell], shown[::-1])
    np.testing.assert_array_equal(row[8 * cell - 6 + 2 + 48 :: cell][:8], shown)
    assert (row[96:102] == 255).all()


def test_each_picture_and_clip_has_a_file_of_its_own_size(tmp_path):
    """Grey stays grey; a clip is read again as it was drawn, up to the colours of H.264 and GIF."""
    rng = np.random.default_rng(0)
    grey = rng.uniform(-1, 1, (2, 20, 12, 1)).astype(np.float32)
    clips = np.broadcast_to(np.linspace(-0.8, 0.8, 8, dtype=np.float32).reshape(2, 4, 1, 1, 1), (2, 4, 16, 16, 3))
    of = {"photo": Modality("image", grey.shape[1:]), "clip": Modality("video", clips.shape[1:], frame_rate=10)}
    paths = save.save_each(tmp_path, {"photo": grey, "clip": clips}, of)
    clip_files = [f"clip_{i}.{suffix}" for i in range(2) for suffix in ("gif", "mp4")]
    assert [path.name for path in paths] == ["photo_0.png", "photo_1.png", *clip_files]
    alone = [np.asarray(PIL.Image.open(path)) for path in paths[:2]]
    np.testing.assert_array_equal(alone, grid.to_uint8(grey[..., 0]))
    for path, clip in zip(paths[2:], clips.repeat(2, axis=0)):
        np.testing.assert_allclose(video.read(path, clip.shape, frame_rate=10), clip, atol=0.03)


@pytest.mark.parametrize(
    "rate, shown, durations", [(30, 30, {30, 40}), (50, 30, {20}), (60, 25, {20}), (150, 10, {20})]
)
def test_a_gif_keeps_the_time_of_the_clip_at_no_more_than_50_frames_a_second(
    tmp_path, monkeypatch, rate, shown, durations
):
    said = []
    monkeypatch.setattr(animation.logging, "log_first_n", lambda level, message, n, *words: said.append(words[0]))
    clip = np.linspace(-1, 1, 30, dtype=np.float32)[None, :, None, None, None] * np.ones((1, 30, 16, 17, 3), np.float32)
    path, *more, _ = save.save_samples(
        tmp_path, None, {"clip": clip}, {"clip": Modality("video", clip.shape[1:], frame_rate=rate)}
    )
    with PIL.Image.open(path) as gif:
        assert gif.n_frames == shown
        lasts = []
        for t in range(shown):
            gif.seek(t)
            lasts.append(gif.info["duration"])
    assert set(lasts) == durations and abs(sum(lasts) - 30 / rate * 1000) < 10
    assert [one.name for one in more] == ["clip.mp4"]
    if rate <= 50:
        assert not said
        return
    assert said == [f"clip.gif: a GIF shows at most 50 frames/s; it has {shown} of 30, clip.mp4 has all"]
    with av.open(str(more[0])) as mp4:
        stream = mp4.streams.video[0]
        grey = [frame.to_ndarray(format="gray")[40, 40] for frame in mp4.decode(stream)]
        assert stream.average_rate == rate
    assert len(grey) == 30 and (np.diff(np.array(grey, int)) > 0).all()


def test_without_the_codec_the_gif_alone_is_written_and_said(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(animation.logging, "log_first_n", lambda level, message, n, *words: said.append(words[0]))
    monkeypatch.setattr(animation, "CODEC", "none")
    frames = [PIL.Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in range(0, 240, 20)]
    assert [path.name for path in animation.save(tmp_path / "a", frames, 60)] == ["a.gif"]
    assert said and "no MP4 beside it" in said[0]


def test_audio_reads_back_and_its_spectrogram_shows_the_pitch(tmp_path):
    time = np.arange(4000) / 8000
    tones = np.stack([0.8 * np.sin(2 * np.pi * hz * time) for hz in (500, 3000)]).astype(np.float32)
    *waves, sheet = save.save_samples(tmp_path, 7, {"speech": tones}, MODALITIES)
    assert [path.name for path in waves] == ["0000007_speech_0.wav", "0000007_speech_1.wav"]
    for path, tone in zip(waves, tones):
        samples, rate = soundfile.read(path)
        assert rate == 8000 and soundfile.info(path).subtype == "PCM_16"
        np.testing.assert_allclose(samples, tone, atol=2**-15)
    sheet = pixels(sheet).astype(float)[:, :, 0]
    for place, hz in zip((grid.GAP, 2 * grid.GAP + 128), (500, 3000)):
        loudest = sheet[grid.GAP : grid.GAP + 96, place + 30 : place + 98].mean(1).argmax()
        assert abs((96 - loudest) / 96 * 4000 - hz) < 120


def test_text_and_labels_are_lines_and_show_what_they_were_made_from(tmp_path):
    ids = np.stack([TOKENIZER.encode(line, 8) for line in ("a red circle", "two blue squares")])
    conditions = {"photo": sample("photo", 2)}
    lines, sheet = save.save_samples(tmp_path, 1, {"caption": ids}, MODALITIES, conditions=conditions)
    assert lines.read_text() == "a red circle\ntwo blue squares\n"
    assert all(find(pixels(sheet), photo) for photo in conditions["photo"])
    (labels,) = save.save_samples(tmp_path, 1, {"digit": np.array([2, 0])}, MODALITIES, prompts=["p", "q"])
    assert labels.read_text() == "p\ttwo\nq\tzero\n"


def test_a_sample_that_is_not_finite_is_an_error(tmp_path):
    broken = np.full((1, 32, 48, 3), np.nan, np.float32)
    with pytest.raises(ValueError, match="'photo'"):
        save.save_samples(tmp_path, 1, {"photo": broken}, MODALITIES)


def test_describe_says_what_is_there():
    batch = {
        "caption": np.stack([TOKENIZER.encode("a red circle", 8)] * 2),
        "digit": np.array([1, 2]),
        "photo": sample("photo", 2),
        "photo/mask": np.array([True, False]),
    }
    assert save.describe(batch, MODALITIES, 0) == "a red circle, digit one, [photo]"
    assert save.describe(batch, MODALITIES, 1) == "a red circle, digit two"
    assert save.describe({}, MODALITIES, 0) == ""


@pytest.mark.parametrize(
    ("form", "dtype", "middle"), [("u8", np.uint8, 128), ("s16", np.int16, 0), ("flt", np.float32, 0)]
)
def test_silence_of_every_form_of_samples_is_zero(form, dtype, middle):
    silence = np.full((1, 4), middle, dtype)
    np.testing.assert_array_equal(streams.mono(av.AudioFrame.from_ndarray(silence, format=form, layout="mono")), 0)
    low = np.full((1, 4), -1 if dtype == np.float32 else np.iinfo(dtype).min, dtype)
    np.testing.assert_array_equal(streams.mono(av.AudioFrame.from_ndarray(low, format=form, layout="mono")), -1)
