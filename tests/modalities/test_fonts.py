"""Captions of any script under samples: fonts of the system where Pillow's own lacks a character."""

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import pytest
from absl import logging
from font_files import font

from mmgen_jax.modalities import fonts, save
from mmgen_jax.modalities.modality import Modality


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A system whose fonts lie in an empty folder."""
    monkeypatch.setattr(fonts, "folders", lambda: (tmp_path / "fonts",))
    monkeypatch.setattr(fonts, "_warned", set())
    (tmp_path / "fonts").mkdir()
    fonts._others.cache_clear()
    yield tmp_path / "fonts"
    fonts._others.cache_clear()


@pytest.fixture
def warnings(monkeypatch):
    found = []
    monkeypatch.setattr(logging, "warning", lambda message, *values: found.append(message % values))
    return found


def drawn(text, size=13, width=200):
    picture = PIL.Image.new("RGB", (width, 30), "white")
    fonts.draw(picture, (5, 3), text, "black", size)
    return np.asarray(picture)[:, :, 0]


def test_latin_letters_are_those_of_pillow(system):
    picture = PIL.Image.new("RGB", (200, 30), "white")
    own = PIL.ImageFont.load_default(13)
    PIL.ImageDraw.Draw(picture).text((5, 3), "a Green star, 7", fill="black", font=own)
    assert (drawn("a Green star, 7") == np.asarray(picture)[:, :, 0]).all()
    assert fonts.length("a Green star, 7", 13) == own.getlength("a Green star, 7")


@pytest.mark.parametrize("form", [4, 12])
@pytest.mark.parametrize("word", ["猫", "ねこ", "고양이", "قطة", "חתול", "♞♟"])
def test_characters_are_drawn_by_the_font_that_has_them(system, warnings, word, form):
    font(system / "latin.ttf", "abc", form)
    font(system / "wanted.ttf", word, form)
    black = (drawn(word) < 50).sum() / (13 * 0.8) ** 2  # a square of 0.8 em for each character
    assert 0.8 * len(word) < black < 1.1 * len(word)
    assert fonts.length(word, 13) == pytest.approx(13 * len(word), abs=0.5)
    assert not warnings


def test_emoji_beyond_16_bits_and_words_of_several_fonts(system, warnings):
    font(system / "emoji.ttf", "🐈🐕")
    font(system / "han.ttf", "猫狗", 4)
    (system / "damaged.ttf").write_bytes(b"\0\1\0\0\0\x09cmap")
    (system / "empty.otf").write_bytes(b"")
    assert fonts.length("🐈 cat 猫", 13) > fonts.length(" cat ", 13) + 25
    assert (drawn("🐈 cat 猫") < 50).sum() > (drawn("cat") < 50).sum() + 2 * 80
    assert not warnings


def test_a_face_knows_what_it_has(system):
    for form in (4, 12):
        face = fonts.Face(font(system / f"{form}.ttf", "acz", form))
        assert ["a" in face, "b" in face, "c" in face, "z" in face, "猫" in face] == [True, False, True, True, False]


def test_upright_fonts_of_normal_weight_go_first(system):
    for name in ("Noto-BoldItalic", "NotoSansMono-Regular", "NotoSans-Regular", "NotoSans-Light"):
        font(system / f"{name}.ttf", "猫")
    assert next(path.stem for path in fonts._others(fonts.folders())) == "NotoSans-Regular"


def test_what_no_font_has_is_said_once(system, warnings, tmp_path):
    black = -np.ones((2, 16, 16, 3), np.float32)
    modalities = {"photo": Modality("image", (16, 16, 3))}
    for step in range(2):
        save.save_samples(tmp_path, step, {"photo": black}, modalities, prompts=["a 猫", "一只狗"])
    (warning,) = warnings
    assert "no font of this system has 4 characters of the captions (一 只 狗 猫): they are drawn as boxes" in warning
    assert "apt install fonts-noto" in warning


def test_a_line_from_right_to_left_begins_at_the_right(system):
    font(system / "hebrew.ttf", "חתול")
    runs = [part for part, _ in fonts._runs("חתול abc")]
    assert runs == [" abc", "חתול"] or runs == ["abc", "חתול "]
    assert next(part for part, _ in fonts._runs("abc חתול")).startswith("abc")
