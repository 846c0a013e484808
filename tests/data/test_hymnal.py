import local_sets
import numpy as np
import pytest

from mmgen_jax.data import hymnal
from mmgen_jax.data.files import abc_notation
from mmgen_jax.data.files.abc_notation import Note
from mmgen_jax.errors import AbcError, DataError

JOYFUL = [0, 0, 1, 3, 3, 1, 0, -2, -4, -4, -2, 0, 0, -2, -2]  # "Joyful, joyful, we adore Thee", from its third degree
AMAZING = [0, 5, 9, 5, 9, 7, 5, 2, 0]  # "Amazing grace! How sweet the sound", without its passing notes


def loudest(waveform, rate) -> float:
    """The strongest frequency in Hz, to a fraction of a bin."""
    size = 2**16
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)), size))
    return spectrum.argmax() * rate / size


@pytest.mark.parametrize("rate", [8000, 22050])
def test_rendered_notes_have_their_pitch_and_place(rate):
    notes = tuple(Note(pitch, 0.5) for pitch in (58, 60, None, 69, 74, 78))
    waveform = hymnal.render(notes, 3 * rate, rate)
    assert waveform.dtype == np.float32 and np.abs(waveform).max() <= 0.9
    for note, part in zip(notes, np.split(waveform, 6)):
        if note.pitch is None:
            assert not part.any()
            continue
        cents = 1200 * np.log2(loudest(part, rate) / (440 * 2 ** ((note.pitch - 69) / 12)))
        assert abs(cents) < 10
        assert np.abs(part[: rate // 10]).max() > 0.15 and np.abs(part[-20:]).max() < 0.03  # it ends without a click


def test_rendering_has_no_aliases_and_stops_where_it_is_cut():
    waveform = hymnal.render((Note(78, 2.0),), 8000, 4000)  # 740 Hz: its harmonics are 1480, then past 2000 Hz
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(8000)))  # bins of 0.5 Hz
    peaks = np.flatnonzero(spectrum > 0.02 * spectrum.max()) / 2
    assert all(min(abs(peak - 740), abs(peak - 1480)) < 5 for peak in peaks)
    np.testing.assert_array_equal(hymnal.render((Note(78, 2.0),), 100, 4000), waveform[:100])
    silent_end = hymnal.render((Note(60, 0.5),), 8000, 8000)
    assert not silent_end[4000:].any()


def test_groups_join_equal_keys():
    assert hymnal._groups(list("abcdef"), [1, 2, 1, 3, 4, 5], ["x", "y", "z", "y", "u", "z"]) == list("ababea")


@pytest.fixture
def made(tmp_path, cache):
    """30 tunes: scales from different notes, and one that is not in the public domain."""
    letters = "CDEFGABcdefgab"
    tunes = []
    for i in range(30):
        music = " ".join(letters[(i * (k + 1) + k * k) % 14] for k in range(16))
        rights = (
            "public domain."
            if i != 7
            else "Words: Copyright 2009. They may be freely reproduced. Music: public domain."
        )
        words = " ".join(f"word{chr(97 + i % 26)}{chr(97 + k)}" for k in range(16))
        header = f"X: {i}\nT: Tune {i}\nC: copyright: {rights}\nL: 1/4\nK: C\n"
        tunes.append(f"{header}[V: S1V1] [Q:1/4=120] {music} |]\nw: 1.~{words}\n")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "OpenHymnal.abc").write_text("\n".join(tunes))
    return str(tmp_path / "set")


def test_made_set(made):
    count = 0
    for split in hymnal.Source.splits:
        source = hymnal.Source(directory=made, split=split, seconds=4, text_length=8)
        batch = local_sets.check(source, 40)
        count += len(source)
        for row, text, audio in zip(source._rows, batch["text"], batch["audio"]):
            tokenizer = source.modalities["text"].tokenizer
            if split == "train":
                assert tokenizer.decode(text) == " ".join(source.texts[row].split()[:7])  # cut at its end
            first = 440 * 2 ** ((abc_pitch(source, row) - 69) / 12)
            assert abs(1200 * np.log2(loudest(audio[:8000], 16_000) / first)) < 10
    assert count == 29


def abc_pitch(source, row) -> int:
    number = int(source.titles[row].split()[1])
    return [60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77, 79, 81, 83][number % 14]


def test_the_made_file_decides_the_cache(made, tmp_path):
    before = local_sets.read(hymnal.Source(directory=made, names=("audio",)), [0])["audio"]
    path = tmp_path / "set" / "OpenHymnal.abc"
    path.write_text(path.read_text().replace("1/4=120", "1/4=60"))
    after = local_sets.read(hymnal.Source(directory=made, names=("audio",)), [0])["audio"]
    assert np.abs(before - after).max() > 0.1


def test_refusals(made, tmp_path):
    for fields, message in (
        ({"seconds": -1}, "hymnal.seconds: expected above 0, to 120, got -1"),
        ({"sample_rate": 1}, "hymnal.sample_rate: expected 4000"),
        ({"text_length": 1}, "hymnal.text_length: expected 2 or more"),
        ({"text_unit": "note"}, "hymnal.text_unit: expected word, character or byte"),
        ({"directory": str(tmp_path)}, r"a folder with OpenHymnal.abc, got no OpenHymnal.abc.*openhymnal.org"),
    ):
        with pytest.raises(ValueError, match=message):
            hymnal.Source(**{"directory": made, **fields})
    path = tmp_path / "set" / "OpenHymnal.abc"
    path.write_bytes(path.read_bytes().replace(b"Tune 3", b"Tune \xff"))
    with pytest.raises(DataError, match=r"OpenHymnal.abc: text.encoding: expected UTF-8"):
        hymnal.Source(directory=made)


@pytest.fixture(scope="module")
def tunes(mmgen_data):
    return list(abc_notation.tunes((mmgen_data / "hymnal" / hymnal.FILE).read_text(encoding="utf-8")))


def test_every_real_tune_parses_to_a_melody_that_can_be_sung(tunes):
    assert len(tunes) == 292 and sum(map(hymnal.in_public_domain, tunes)) == 275
    for tune in tunes:
        notes = abc_notation.melody(tune, hymnal.melody_voice(tune)).notes
        sounding = [note.pitch for note in notes if note.pitch is not None]
        assert min(sounding) >= 57, tune.title
        assert max(sounding) <= 79, tune.title
        assert max(map(abs, np.diff(sounding))) <= 15, tune.title  # the widest leap is that of Greensleeves
        assert 10 < sum(note.seconds for note in notes) < 90, tune.title


def test_the_four_voices_of_a_real_tune_have_the_same_bars(tunes):
    """Written one by one, they agree only where lengths, tuplets, chords and overlays are read right."""
    different = []
    for tune in tunes:
        try:
            bars = {voice: sum(abc_notation.melody(tune, voice).bars) for voice in tune.voices if voice != "S0"}
        except AbcError as error:
            different.append(str(error).split(", voice")[0])
            continue
        if len(set(bars.values())) > 1:
            different.append(tune.title)
    # An ending that only the first voice marks as such; a verse with an accompaniment of its own; a stray letter.
    assert different == ["I Bind Unto Myself Today", "166 'Hallelujah, What a Savior!'", "For All The Saints"]


def test_real_melodies_are_the_known_ones(tunes):
    by_title = {tune.title: tune for tune in tunes}

    def melody(title):
        tune = by_title[title]
        return [
            note.pitch for note in abc_notation.melody(tune, hymnal.melody_voice(tune)).notes if note.pitch is not None
        ]

    joyful = melody("Joyful, Joyful, We Adore Thee")
    assert [pitch - joyful[0] for pitch in joyful[: len(JOYFUL)]] == JOYFUL
    amazing = iter(pitch - melody("Amazing Grace")[0] for pitch in melody("Amazing Grace")[:14])
    assert all(step in amazing for step in AMAZING)  # in this order


@pytest.mark.slow
def test_real_set(mmgen_data):
    sizes = local_sets.assert_disjoint(hymnal.Source, lambda source, row: source.groups[source._rows[row]])
    assert sizes == {"train": 217, "validation": 37, "test": 21}
    words = local_sets.assert_disjoint(hymnal.Source, lambda source, row: source.texts[source._rows[row]][:40].lower())
    assert words == sizes
    source = hymnal.Source()
    batch = local_sets.check(source)
    assert batch["audio"].shape[1:] == (128000,) and (np.abs(batch["audio"]).max(1) > 0.3).all()
    indices = np.unique(np.linspace(0, len(source) - 1, 12).astype(int))
    assert local_sets.digest(batch) == local_sets.digest_elsewhere("hymnal", {}, indices)
    text = source.texts[source.titles.index("Blessed Jesus at Thy Word")]
    assert text.startswith("Blessed Jesus, at Thy Word We are gathered all to hear Thee; Let our hearts and souls be")
    every = " ".join(source.texts)
    assert not set("*_|\\`~0123456789") & set(every) and "  " not in every
