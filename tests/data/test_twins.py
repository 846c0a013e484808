"""No held-out example has a near twin in training, but for those listed here: what a model draws would be a copy.

Scenes are left out: their splits are drawn from one world, and `compositional` is the split of what training lacks.
`test_small_digits.py` has a test of its own.
`captioned_shapes` is left out: every caption of the test split occurs in training, with pictures that differ in place,
size and grey; a model is measured on known captions. `polymnist` is left out: its digits are those of `digits`, each on
a crop of a photo that both splits have. Styles are left out: a test style is another glyph, or the other half of a
picture.
GRID is left out: all clips are of one speaker; `test_grid_s1.py` tests that no sentence is said twice.
"""

import re

import numpy as np

from mmgen_jax.data import clothing, digits, emoji, hymnal, sounds, spoken_digits

HELD_OUT = ("validation", "test")
VARIANTS = {"man", "men", "woman", "women", "person", "people", "boy", "girl", "left", "right", "up", "down"}
VARIANTS |= {"upwards", "downwards", "leftwards", "rightwards", "facing", "hair", "and"}


def column(source, name):
    return source.read(np.arange(len(source)), np.zeros(len(source), int))[name]


def nearest(held_out, training):
    """Of each row: the root mean square difference to the nearest row of training, and its index."""
    a, b = (rows.reshape(len(rows), -1).astype(np.float32) for rows in (held_out, training))
    squares = (a**2).mean(1)[:, None] + (b**2).mean(1) - 2 * (a @ b.T) / a.shape[1]
    return np.sqrt(np.maximum(squares.min(1), 0)), squares.argmin(1)


def of_splits(source_class, make, **fields):
    """`{split: make(source)}`"""
    return {split: make(source_class(split=split, **fields)) for split in source_class.splits}


def test_distances_are_those_of_the_rows():
    rows = np.random.default_rng(0).uniform(0, 1, (20, 3, 4))
    distances, index = nearest(rows[:3] + 0.1, rows)
    np.testing.assert_allclose(distances, 0.1, atol=1e-6)
    assert index.tolist() == [0, 1, 2]


# Pictures that differ in little and names that differ in meaning; all are in validation, no test glyph has a twin.
ALLOWED_GLYPHS = {
    ("angry face with horns", "smiling face with horns"),
    ("grinning face", "grinning face with big eyes"),
    ("slightly frowning face", "confused face"),
    ("locked", "unlocked"),
    ("white circle", "white large square"),
}


def test_emoji(mmgen_data):
    named = emoji.Source(names=("text",))._annotations()

    def names(source):
        points = (source.code_points[row].split("_") for row in source._rows)
        return [named["".join(chr(int(p, 16)) for p in of).replace(emoji.SELECTOR, "")][0] for of in points]

    known = of_splits(emoji.Source, names, names=("image",))
    pictures = of_splits(emoji.Source, lambda source: column(source, "image") / 2, names=("image",))
    plain = {
        split: [" ".join(sorted({*re.findall(r"[\w!]+", name.lower())} - VARIANTS)) for name in known[split]]
        for split in known
    }
    twins = set()
    for split in HELD_OUT:
        assert not set(plain[split]) & set(plain["train"]) - {""}
        distances, index = nearest(pictures[split], pictures["train"])
        twins |= {(known[split][i], known["train"][index[i]]) for i in np.flatnonzero(distances < 0.08)}
        assert split != "test" or not twins - ALLOWED_GLYPHS
    assert twins == ALLOWED_GLYPHS


def test_clothing(mmgen_data):
    """Blurred to 16 px, no photo is another photo of the same garment in the same place."""

    def blurred(source):
        return column(source, "image").reshape(len(source), 16, 4, 16, 4, 3).mean((2, 4)) / 2

    photos = of_splits(clothing.Source, blurred, names=("image",))
    assert all(nearest(photos[split], photos["train"])[0].min() > 0.04 for split in HELD_OUT)


def test_digits(mmgen_data):
    """At 14 px, none of 1,000 digits is closer than two thin ones are (0.019), and no whole picture is there twice."""
    pictures = of_splits(digits.Source, lambda source: column(source, "image"), names=("image",))
    small = {name: rows.reshape(-1, 14, 2, 14, 2).mean((2, 4)) / 2 for name, rows in pictures.items()}
    known = {row.tobytes() for row in pictures["train"]}
    for split in HELD_OUT:
        assert nearest(small[split][:1000], small["train"])[0].min() > 0.015
        assert not known & {row.tobytes() for row in pictures[split]}


def test_spoken_digits(mmgen_data):
    """By the cosine of magnitude spectra: a speaker says no word twice in quite the same way."""
    heard = of_splits(spoken_digits.Source, spectra, names=("audio",))
    assert all((heard[split] @ heard["train"].T).max() < 0.985 for split in HELD_OUT)


def spectra(source):
    found = np.abs(np.fft.rfft(column(source, "audio")))
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


# Sounds of a text in test or validation that are played backwards, or are another stroke on the same drum, in training.
ALLOWED_SOUNDS = {("maximize", "minimize"), ("tabla te m", "tabla te")}


def test_sounds(mmgen_data):
    """By names without numbers, and by the cosine of magnitude spectra, which neither a shift nor reversal changes."""
    texts = of_splits(sounds.Source, lambda source: [source.texts[row] for row in source._rows], names=("pack",))
    heard = of_splits(sounds.Source, spectra, names=("audio",))
    twins = set()
    for split in HELD_OUT:
        assert not {re.sub(r"\d", "", text) for text in texts[split]} & {
            re.sub(r"\d", "", text) for text in texts["train"]
        }
        cosines = heard[split] @ heard["train"].T
        twins |= {(texts[split][i], texts["train"][cosines[i].argmax()]) for i in np.flatnonzero(cosines.max(1) > 0.95)}
    assert twins == ALLOWED_SOUNDS


# In validation with other marks and without its Alleluias; in training with them.
ALLOWED_TITLES = {"christ the lord is risen today lyra"}


def test_hymnal(mmgen_data):
    """By titles; `test_hymnal.py` tests openings of melodies and words."""

    def titles(source):
        return {re.sub(r"[^a-z ]", "", source.titles[row].lower()) for row in source._rows}

    named = of_splits(hymnal.Source, titles, names=("text",))
    assert not named["test"] & named["train"]
    assert named["validation"] & named["train"] == ALLOWED_TITLES
