from fractions import Fraction

import numpy as np
import pytest

from mmgen_jax.data.files import abc_notation
from mmgen_jax.errors import AbcError

HEADER = "X: 1\nT: A Tune\nM: 4/4\nL: 1/4\nK: {key}\n"


def parse(music, key="C", voice=""):
    (tune,) = abc_notation.tunes(HEADER.format(key=key) + (music if voice else "[V: S1] " + music))
    return abc_notation.melody(tune, voice or "S1")


def pitches(music, key="C"):
    return [note.pitch for note in parse(music, key).notes]


def lengths(music):
    """In quarters; the default tempo has 120 a minute."""
    return [note.seconds * 2 for note in parse(music).notes]


@pytest.mark.parametrize(
    "music, expected",
    [
        ("C D E F G A B c d e f g a b", [60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77, 79, 81, 83]),
        ("C, C,, c' c'' C' c,", [48, 36, 84, 96, 72, 60]),
        ("^C _D =E ^^F __G", [61, 61, 64, 67, 65]),
        ("^F F f | F", [66, 66, 77, 65]),  # up to the bar line, in its octave
        ("_B c B || B", [70, 72, 70, 71]),
        ("^F =F F", [66, 65, 65]),
        ("z A x2", [None, 69, None]),
        ("[CEG] [c,E]", [67, 64]),  # the highest
        ("[^CE] C [Ac]", [64, 61, 72]),
    ],
)
def test_pitches(music, expected):
    assert pitches(music) == expected


@pytest.mark.parametrize(
    "key, sharps",
    [
        *(("C", ""), ("G", "F"), ("D", "FC"), ("A", "FCG"), ("E", "FCGD"), ("B", "FCGDA"), ("F#", "FCGDAE")),
        *(("Am", ""), ("Em", "F"), ("F#min", "FCG"), ("D dor", ""), ("G mix", ""), ("Cmaj", ""), ("F lydian", "")),
    ],
)
def test_keys_with_sharps(key, sharps):
    natural = pitches("C D E F G A B")
    expected = [pitch + (letter in sharps) for pitch, letter in zip(natural, "CDEFGAB")]
    assert pitches("C D E F G A B", key) == expected


@pytest.mark.parametrize(
    "key, flats",
    [("F", "B"), ("Bb", "BE"), ("Eb", "BEA"), ("Ab", "BEAD"), ("Db", "BEADG"), ("Dm", "B"), ("C minor", "BEA")],
)
def test_keys_with_flats(key, flats):
    natural = pitches("C D E F G A B")
    expected = [pitch - (letter in flats) for pitch, letter in zip(natural, "CDEFGAB")]
    assert pitches("C D E F G A B", key) == expected
    assert pitches("=C =D =E =F =G =A =B | C D E F G A B", key) == natural + expected


@pytest.mark.parametrize(
    "music, expected",
    [
        ("C C2 C/ C// C/4 C3/2 C6/2 C4", [1, 2, 0.5, 0.25, 0.25, 1.5, 3, 4]),
        ("C>D E<F G>>A", [1.5, 0.5, 0.5, 1.5, 1.75, 0.25]),
        ("(3CDE F", [2 / 3] * 3 + [1]),
        ("(3::2 C2 D F", [4 / 3, 2 / 3, 1]),
        ("(2CD (3:2:4CDEF G", [1.5, 1.5, *[2 / 3] * 4, 1]),
        ("(C D) .(E F) (,G A) z2", [1, 1, 1, 1, 1, 1, 2]),
        ("C- C D", [2, 1]),
        ("C2-|C3 C", [5, 1]),
        ("C.-C", [2]),
        ("C- D", [1, 1]),  # a tie to another pitch is a slur
        ("[CE-][CE] [C2E2]- [CE] [CE]2", [2, 3, 2]),
        ('!fermata!C "^Verse" D {=F4 D4}E .F ~G y A', [1, 1, 1, 1, 1, 1]),
        ("C D & E F G | A", [1, 1, 1]),  # the second voice of the bar
        ("|: C D :| E |]", [1, 1, 1]),  # repeats are not played
        ('C |["1" D :|["2-9" E F |] G', [1, 1, 1]),  # of two endings the first
        ("C |1 D :|2 E |] G", [1, 1, 1]),
        ("[L:1/8] C [L:1/2] C", [0.5, 2]),
        ("[Q:1/4=60] C [Q:1/2=60] C", [2, 1]),
    ],
)
def test_lengths(music, expected):
    np.testing.assert_allclose(lengths(music), expected, rtol=1e-12)


def test_a_tie_carries_its_accidental_over_the_bar():
    notes = parse("^F2- | F2 F").notes
    assert [(note.pitch, note.seconds) for note in notes] == [(66, 2.0), (65, 0.5)]


def test_bars():
    assert parse("C D | E/ F/ G A2 | (3CDE |]").bars == (Fraction(1, 2), Fraction(1), Fraction(1, 2))


def test_voices_words_and_hidden_blocks():
    text = (
        "% a comment\n" + HEADER.format(key="G % key signature") + "V: S1V1 clef=treble\n"
        "%%begintext obeylines\nC D E this is no music\n%%endtext\n"
        "[V: S1V1] [Q:1/4=60] B A !sintro!G% a comment\nw: 1.~O sav- * ing vic- tim,_\nw: 2.~Sec- ond verse\n"
        "[V: S1V2] D D D\nw: not this\n"
        "V: S1V1\nF z\nw: o- pen- ing~wide all\\- mer- ci- ful\n"
        "V: S1V1\nF\nw: day\\- Je- sus comes,\\- `tis\nW: More verses\n\n"
        "X: 2\nT: Another\nK: C\n[V: S1] C\n"
    )
    first, second = abc_notation.tunes(text)
    assert (first.title, first.voices, second.title) == ("A Tune", ["S1V1", "S1V2"], "Another")
    melody = abc_notation.melody(first, "S1V1")
    assert [note.pitch for note in melody.notes] == [71, 69, 67, 66, None, 66]
    assert melody.notes[0].seconds == 1
    assert [note.pitch for note in abc_notation.melody(first, "S1V2").notes] == [62, 62, 62]
    expected = "O saving victim, opening wide all-merciful day — Jesus comes, 'tis"
    assert abc_notation.first_verse(first, "S1V1") == expected
    assert abc_notation.first_verse(second, "S1") == ""


@pytest.mark.parametrize(
    "music, message",
    [
        ("C D ? E", r"1 'A Tune', voice S1: expected music, got '\? E'"),
        ("C l", "expected music, got 'l'"),
        ("[C1x]", "expected a chord of notes"),
        ("[Q:Allegro] C", "expected a tempo as in 1/4=120, got 'Allegro'"),
        ("[L:x] C", "expected a fraction, got 'x'"),
        ("[K:H] C", "expected a key as in G"),
        ("z4", "expected notes, got none"),
        ("> C", "expected a note before it"),
    ],
)
def test_what_is_not_understood_is_refused(music, message):
    with pytest.raises(AbcError, match=message):
        parse(music)
