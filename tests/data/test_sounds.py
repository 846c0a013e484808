import local_sets
import media_files
import numpy as np
import pytest

from mmgen_jax.data import sounds
from mmgen_jax.errors import DataError
from mmgen_jax.modalities.tokenizer import UNKNOWN

NAMES = {"kenney": ["click_001", "click_002", "click5", "bong_001", "open_003"], "sonic_pi": ["bd_808", "elec_blip"]}
NAMES["sonic_pi"] += ["elec_blip2", "loop_3d_printer", "drum_tom_mid_soft"]
STEMS = [stem for stems in NAMES.values() for stem in stems]


@pytest.fixture
def made(tmp_path, cache):
    """Sine waves of 200, 300, … Hz at rates and in formats that differ, 0.3 s long and followed by silence."""
    for pack, stems in NAMES.items():
        (tmp_path / "set" / pack).mkdir(parents=True)
        (tmp_path / "set" / pack / "LICENSE.txt").write_text("CC0")
        for i, stem in enumerate(stems):
            rate, suffix = ((16000, "flac"), (8000, "wav"), (44100, "ogg"))[i % 3]
            samples = media_files.sine(rate, 0.3, 200 + 100 * STEMS.index(stem))
            media_files.sound(tmp_path / "set" / pack / f"{stem}.{suffix}", samples, rate)
    return str(tmp_path / "set")


def test_made_set_pairs_sound_name_and_pack(made):
    stems = [stem for pack in NAMES for stem in sorted(NAMES[pack])]
    found = []
    for split in sounds.Source.splits:
        source = sounds.Source(directory=made, split=split, sample_rate=8000, seconds=0.5)
        batch = local_sets.check(source)
        for row, text, audio, pack in zip(source._rows, batch["text"], batch["audio"], batch["pack"]):
            stem = stems[row]
            found.append(stem)
            assert stem in NAMES[sounds.PACKS[pack]]
            assert source.texts[row] == sounds.text_of(stem)
            known = source.modalities["text"].tokenizer.decode(text).split()
            assert all(a in (b, "?") for a, b in zip(known, sounds.text_of(stem).split(), strict=True))
            assert split != "train" or UNKNOWN not in text
            assert abs(np.abs(np.fft.rfft(audio)).argmax() * 2 - 200 - 100 * STEMS.index(stem)) <= 2
            assert not audio[2500:].any() and np.abs(audio[1000:2000]).max() > 0.45
    assert sorted(found) == sorted(STEMS)


@pytest.mark.parametrize(
    "stem, text",
    [
        ("click_001", "click"),
        ("switch38", "switch"),
        ("elec_blip2", "elec blip"),
        ("bd_808", "bd 808"),
        ("guit_em9", "guit em9"),
        ("loop_drone_g_97", "loop drone g 97"),
        ("loop_3d_printer", "loop 3d printer"),
        ("drum_tom_mid_soft", "drum tom mid soft"),
        ("007", "007"),
    ],
)
def test_text_of_a_name(stem, text):
    assert sounds.text_of(stem) == text


def test_refusals(made, tmp_path):
    for fields, message in (
        ({"seconds": 0}, "sounds.seconds: expected above 0, to 10, got 0"),
        ({"sample_rate": 100}, "sounds.sample_rate: expected 4000"),
        ({"text_unit": "letter"}, "sounds.text_unit: expected word, character or byte"),
        ({"text_length": 3}, r"sounds: text: expected at most 2 words, got 4; raise the length to 5"),
        ({"directory": str(tmp_path)}, r"a folder with kenney, sonic_pi, got no kenney.*kenney.nl"),
    ):
        with pytest.raises(ValueError, match=message):
            sounds.Source(**{"directory": made, **fields})
    (tmp_path / "set" / "kenney" / "zip_001.wav").write_bytes(b"")
    with pytest.raises(DataError, match=r"zip_001.wav: audio.size: expected at least 1 byte"):
        sounds.Source(directory=made)


def test_real_set(mmgen_data):
    sizes = local_sets.assert_disjoint(sounds.Source, lambda source, row: source.texts[source._rows[row]])
    assert sizes == {"train": 275, "validation": 40, "test": 31}
    source = sounds.Source()
    batch = local_sets.check(source, 40)
    assert (np.abs(batch["audio"]).max(1) > 0.01).all() and set(batch["pack"]) == {0, 1}
    indices = np.unique(np.linspace(0, len(source) - 1, 40).astype(int))
    assert local_sets.digest(batch) == local_sets.digest_elsewhere("sounds", {}, indices)
    texts = [source.modalities["text"].tokenizer.decode(ids) for ids in local_sets.read(source, range(275))["text"]]
    assert len(set(texts)) == 146 and texts.count("switch") == 45
