import shutil

import local_sets
import media_files
import numpy as np
import pytest

from mmgen_jax.data import grid_s1, local
from mmgen_jax.errors import DataError
from mmgen_jax.modalities.modality import check_batch
from mmgen_jax.training import augment

# A clip's id spells its sentence: the first letters of the words, but for z(ero) and the digits.
WORDS = [{word[0]: word for word in words} for words in grid_s1.GRAMMAR.values()]
WORDS[4] = dict(zip("z123456789", grid_s1.GRAMMAR["digit"]))


def sentence(clip: str) -> str:
    return " ".join(words[letter] for words, letter in zip(WORDS, clip))


def align(folder, clip):
    words = sentence(clip).split()
    lines = ["0 14500 sil", *(f"{14500 + i} {14501 + i} {word}" for i, word in enumerate(words)), "30000 74500 sil"]
    lines.insert(4, "15000 15001 sp")
    (folder / f"{clip}.align").write_text("\n".join(lines) + "\n")


@pytest.fixture
def made(tmp_path, cache):
    """Clips that brighten from one end to the other, three in each split and a shorter one, with a sound of 440 Hz."""
    folder = tmp_path / "set"
    (folder / "clips").mkdir(parents=True)
    (folder / "alignments").mkdir()
    for clip, count in {"bbae8n": 75, "lgbf1s": 75, "pwiz9p": 75, "srwzza": 74}.items():
        frames = (
            np.zeros((count, 32, 32, 3), np.uint8) + np.linspace(0, 255, count).astype(np.uint8)[:, None, None, None]
        )
        sound = media_files.sine(16000, count / 25).astype(np.float32)
        media_files.clip(folder / "clips" / f"{clip}.mp4", frames, samples=sound)
        align(folder / "alignments", clip)
    return folder


def all_of(**fields):
    """Every example of every split: the ids and the batch."""
    ids, batches = [], []
    for split in grid_s1.Source.splits:
        try:
            source = grid_s1.Source(split=split, **fields)
        except DataError as error:
            assert f"expected examples in '{split}', got none" in str(error)
            continue
        ids += [source.ids[row] for row in source._rows]
        batches.append(local_sets.check(source))
        check_batch(batches[-1], source.modalities)
    return ids, {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def test_made_clips(made):
    ids, batch = all_of(directory=str(made), num_frames=10, image_size=16, sample_rate=4000)
    assert sorted(ids) == ["bbae8n", "lgbf1s", "pwiz9p", "srwzza"]
    expected = (np.arange(10) + 0.5) / 10 * 2 - 1  # the brightness in the middle of each tenth
    for row, clip in enumerate(ids):
        assert grid_s1.TOKENIZER.decode(batch["text"][row]) == sentence(clip)
        labels = [words[batch[name][row]] for name, words in grid_s1.GRAMMAR.items()]
        assert " ".join(labels) == sentence(clip)
        np.testing.assert_allclose(batch["video"][row].mean((1, 2, 3)), expected, atol=0.05)
        np.testing.assert_array_equal(batch["image"][row], batch["video"][row, 5])
        spectrum = np.abs(np.fft.rfft(batch["audio"][row, :8000]))
        assert abs(spectrum.argmax() / 2 - 440) < 2  # bins of 0.5 Hz
        assert batch["audio"][row].shape == (12000,)
    short = batch["audio"][ids.index("srwzza")]
    assert not short[-60:].any() and short[-400:-300].any()  # 74 frames: 0.04 s less, less what the codec pads


def test_a_picture_that_jumps_is_told_and_kept(made):
    frames = np.full((75, 32, 32, 3), 200, np.uint8)
    frames[:12] = 128
    media_files.clip(made / "clips" / "bbae8n.mp4", frames, samples=media_files.sine(16000, 3).astype(np.float32))
    split = local.split_of("bbae8n")
    source = grid_s1.Source(directory=str(made), split=split)
    assert len(source.warnings()) == 1
    assert source.warnings()[0].startswith("clips/bbae8n.mp4: video: frame 3 of 16 differs from the one before by 7")
    assert grid_s1.Source(directory=str(made), split=split, names=("audio",)).warnings() == []


def test_real_damage_is_told(mmgen_data, tmp_path, cache):
    """Eleven real clips begin with grey frames."""
    for kind, suffix in (("clips", "mp4"), ("alignments", "align")):
        (tmp_path / kind).mkdir()
        for clip in ("pbio7a", "bbizzn", "sbbh4p", "bbaf2n", "sgii3s"):
            (tmp_path / kind / f"{clip}.{suffix}").symlink_to(mmgen_data / "grid_s1" / kind / f"{clip}.{suffix}")
    found = []
    for split in {local.split_of(clip) for clip in ("pbio7a", "bbizzn", "sbbh4p", "bbaf2n", "sgii3s")}:
        found += grid_s1.Source(directory=str(tmp_path), split=split, names=("video",)).warnings()
    assert sorted(line[6:12] for line in found) == ["bbizzn", "pbio7a", "sbbh4p"]


def test_audio_alone_opens_no_picture(made):
    _, batch = all_of(directory=str(made), names=("audio", "text"))
    assert list(batch) == ["audio", "text"] and batch["audio"].shape == (4, 48000)


def test_a_word_outside_the_grammar_is_refused(made):
    path = made / "alignments" / "bbae8n.align"
    path.write_text(path.read_text().replace("blue", "pink"))
    with pytest.raises(DataError, match=r"bbae8n.align: text.words: .*GRID grammar, got 'bin pink at e eight now'"):
        grid_s1.Source(directory=str(made))
    path.unlink()
    with pytest.raises(DataError, match=r"bbae8n.align: text.file: expected a readable file"):
        grid_s1.Source(directory=str(made))


def test_refusals(made, tmp_path):
    for fields, message in (
        ({"num_frames": 76}, "grid_s1.num_frames: expected 1 to 75, got 76"),
        ({"image_size": 4}, "grid_s1.image_size: expected 8 to 288"),
        ({"sample_rate": 1000}, "grid_s1.sample_rate: expected 4000"),
        ({"text_length": 6}, "grid_s1.text_length: expected 7"),
        ({"directory": str(tmp_path)}, r"a folder with clips, alignments, got no clips.*zenodo"),
    ):
        with pytest.raises(ValueError, match=message):
            grid_s1.Source(**{"directory": str(made), **fields})
    media_files.cut(made / "clips" / "bbae8n.mp4")
    with pytest.raises(DataError, match=r"bbae8n.mp4: video"):
        grid_s1.Source(directory=str(made))


def test_a_face_may_be_mirrored_and_enlarged_with_its_frame_but_not_reversed(made):
    source = grid_s1.Source(directory=str(made), split=_split(made))
    allowed = frozenset(source.label_preserving)
    both = {"flip": 0.5, "zoom": 0.1}
    augment.check({"video": both, "image": both}, source.modalities, allowed)
    for settings in ({"video": {"flip": 0.5}}, {"video": {"reverse": 0.5}}):
        with pytest.raises(ValueError, match=r"would not follow|order of events"):
            augment.check(settings, source.modalities, allowed)


def _split(folder) -> str:
    """One that has an example."""
    return local.split_of(min(path.stem for path in (folder / "clips").iterdir()))


def test_real_sentences(mmgen_data):
    fields = {"names": ("text",)}
    sizes = local_sets.assert_disjoint(grid_s1.Source, lambda source, row: source.ids[source._rows[row]], **fields)
    assert sizes == {"train": 778, "validation": 111, "test": 111}
    source = grid_s1.Source(**fields)
    batch = local_sets.read(source, range(len(source)))
    for row, ids in zip(source._rows, batch["text"]):
        assert source.modalities["text"].tokenizer.decode(ids) == sentence(source.ids[row])
    assert len(np.unique(batch["text"], axis=0)) == 778


@pytest.fixture(scope="module")
def few(mmgen_data, tmp_path_factory):
    """Four real clips: one of 74 frames, the damaged one, and two more."""
    folder = tmp_path_factory.mktemp("grid")
    for kind, suffix in (("clips", "mp4"), ("alignments", "align")):
        (folder / kind).mkdir()
        for clip in ("sgib8n", "bbaf2n", "lrae3s", "lwwf6n"):
            shutil.copy(mmgen_data / "grid_s1" / kind / f"{clip}.{suffix}", folder / kind)
    return folder


def test_real_clips(few, cache):
    ids, batch = all_of(directory=str(few))
    assert sorted(ids) == ["bbaf2n", "lrae3s", "lwwf6n", "sgib8n"]
    assert batch["video"].shape == (4, 16, 48, 48, 3) and batch["audio"].shape == (4, 48000)
    moved = np.abs(np.diff(batch["video"], axis=1)).mean((1, 2, 3, 4))
    assert (moved > 0.003).all() and (moved < 0.2).all()  # one take, of a face that speaks
    level = np.sqrt(np.square(batch["audio"]).reshape(4, 12, -1).mean(-1))  # of quarter seconds
    assert (level.max(1) > 5 * level.min(1)).all()  # speech between silences
    split = _split(few)
    source = grid_s1.Source(directory=str(few), split=split)
    fields = {"directory": str(few), "split": split}
    here = local_sets.digest(local_sets.read(source, range(len(source))))
    assert here == local_sets.digest_elsewhere("grid_s1", fields, range(len(source)))


def test_spoken_only_keeps_the_words_and_their_surroundings(made):
    ids, whole = all_of(directory=str(made), names=("text", "audio"))
    same, spoken = all_of(directory=str(made), names=("text", "audio"), spoken_only=True, seconds=0.5)
    assert ids == same and spoken["audio"].shape[1] == 8000
    start, stop = (round(seconds * 16000) for seconds in (14500 / 25000 - 0.05, 14506 / 25000 + 0.15))
    np.testing.assert_array_equal(spoken["audio"][:, : stop - start], whole["audio"][:, start:stop])
    assert not spoken["audio"][:, stop - start :].any()


def test_sentences_as_characters(made):
    ids, batch = all_of(directory=str(made), names=("text",), text_unit="character", text_length=32)
    assert [grid_s1.CHARACTERS.decode(row) for row in batch["text"]] == [sentence(clip) for clip in ids]
