"""Picture files at their own size and depth, and drawn pictures in the form of a file."""

import numpy as np
import PIL.Image
import pytest

from mmgen_jax.modalities import image, picture

RNG = np.random.default_rng(0)


def noise(*shape, dtype=np.uint8):
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def palette(path):
    PIL.Image.fromarray(noise(9, 13, 3)).quantize(16).save(path)


def transparent_palette(path):
    PIL.Image.fromarray(noise(9, 13, 3)).quantize(16).save(path, transparency=3)


FILES = {
    "L": lambda path: PIL.Image.fromarray(noise(9, 13)).save(path),
    "1": lambda path: PIL.Image.fromarray(noise(9, 13) > 127).save(path),
    "LA": lambda path: PIL.Image.fromarray(noise(9, 13, 2)).save(path),
    "I;16": lambda path: PIL.Image.fromarray(noise(9, 13, dtype=np.uint16)).save(path),
    "RGB": lambda path: PIL.Image.fromarray(noise(9, 13, 3)).save(path),
    "RGBA": lambda path: PIL.Image.fromarray(noise(9, 13, 4)).save(path),
    "P": palette,
    "P transparent": transparent_palette,
    "L transparent": lambda path: PIL.Image.fromarray(noise(9, 13) // 64).save(path, transparency=2),
}
MODES = {"1": "L", "P": "RGB", "P transparent": "RGBA", "L transparent": "LA"}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("form", FILES)
def test_what_is_read_and_drawn_unchanged_is_the_file(form, channels, tmp_path):
    """Bit for bit, as far as a model of so many channels can know the picture; in the mode of the file."""
    FILES[form](tmp_path / "p.png")
    file, mode = picture.read(tmp_path / "p.png", "photo"), MODES.get(form, form)
    with PIL.Image.open(tmp_path / "p.png") as opened:
        expected = np.asarray(opened if mode == "I;16" else opened.convert(mode))
    values = file.values(channels)
    assert file.size == (9, 13) and values.shape == (9, 13, channels) and values.dtype == np.float32
    drawn = file.drawn(values, channels)
    if channels == 3 or mode in ("L", "LA", "I;16"):
        assert (drawn.mode == mode) if channels == 3 else (drawn.mode in (mode, "L"))
        np.testing.assert_array_equal(np.asarray(drawn), expected)
    else:
        assert drawn.mode == {"RGB": "L", "RGBA": "LA"}[mode]
    around = file.drawn(-values, channels, np.zeros((9, 13, 1), bool))
    assert around.mode == mode
    np.testing.assert_array_equal(np.asarray(around), expected)


@pytest.mark.parametrize("form", FILES)
def test_values_are_those_of_a_file_that_is_read_in_its_own_size(form, tmp_path):
    FILES[form](tmp_path / "p.png")
    for channels in (1, 3):
        expected = image.read(tmp_path / "p.png", (9, 13, channels))
        values = picture.read(tmp_path / "p.png", "photo").values(channels)
        np.testing.assert_allclose(values, expected, atol=3 / 255)  # there, layers are composited in 8 bits


def test_colour_that_a_model_adds_to_grey_stays(tmp_path):
    FILES["LA"](tmp_path / "p.png")
    file, colour = picture.read(tmp_path / "p.png", "grey"), np.zeros((9, 13, 3), np.float32)
    assert file.drawn(colour, read=1).mode == "RGBA" and file.drawn(colour, read=3).mode == "LA"
    FILES["I;16"](tmp_path / "p.png")
    file = picture.read(tmp_path / "p.png", "grey")
    assert file.drawn(colour, read=1).mode == "RGB" and file.drawn(colour, read=3).mode == "I;16"


def test_only_the_hole_is_drawn_and_nothing_becomes_visible_that_was_not(tmp_path):
    pixels = noise(9, 13, 4)
    pixels[..., 3] = np.where(np.arange(13) < 6, 0, 255)
    PIL.Image.fromarray(pixels).save(tmp_path / "p.png")
    hole = np.zeros((9, 13, 1), bool)
    hole[:, 4:9] = True
    drawn = np.asarray(picture.read(tmp_path / "p.png", "photo").drawn(np.full((9, 13, 3), 1.0), 3, hole))
    np.testing.assert_array_equal(drawn[..., 3], pixels[..., 3])
    np.testing.assert_array_equal(drawn[:, [0, 1, 2, 3, 4, 5, 9, 10, 11, 12]], pixels[:, [*range(6), *range(9, 13)]])
    assert (drawn[:, 6:9, :3] == 255).all()


def test_a_larger_drawing_has_the_transparency_enlarged(tmp_path):
    pixels = noise(9, 13, 4)
    pixels[..., 3] = np.where(np.arange(13) < 6, 0, 255)
    PIL.Image.fromarray(pixels).save(tmp_path / "p.png")
    drawn = np.asarray(picture.read(tmp_path / "p.png", "photo").drawn(np.full((18, 26, 3), -1.0), 3))
    assert drawn.shape == (18, 26, 4) and (drawn[:, :8, 3] == 0).all() and (drawn[:, 16:, 3] == 255).all()
    assert (drawn[:, 16:, :3] == 0).all()


@pytest.mark.parametrize("mode, form, orientation", [("RGB", "JPEG", 6), ("L", "PNG", 8), ("I;16", "PNG", 3)])
def test_files_are_upright(mode, form, orientation, tmp_path):
    pixels = noise(9, 13, dtype=np.uint16) if mode == "I;16" else np.full((9, 13), 40, np.uint8)
    if mode != "I;16":
        pixels[:, :4] = 220
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    stored = PIL.Image.fromarray(pixels)
    (stored if mode == "I;16" else stored.convert(mode)).save(tmp_path / "p", form, exif=exif, quality=100)
    file = picture.read(tmp_path / "p", "photo")
    expected = np.rot90(pixels, {6: 3, 8: 1, 3: 2}[orientation])
    np.testing.assert_allclose(file.colour[..., 0].astype(int), expected, atol=3)
    assert "exif" not in file.drawn(file.values(3), 3).info


def test_the_profile_is_kept_while_the_colours_are_the_files(tmp_path):
    profile = b"a profile of the file's colours"
    PIL.Image.fromarray(noise(4, 5, 3)).save(tmp_path / "p.png", icc_profile=profile)
    file = picture.read(tmp_path / "p.png", "photo")
    file.drawn(file.values(3), 3).save(tmp_path / "q.png")
    assert PIL.Image.open(tmp_path / "q.png").info["icc_profile"] == profile
    assert "icc_profile" not in file.drawn(file.values(1), 1).info
    PIL.Image.fromarray(noise(4, 5, 4), "CMYK").save(tmp_path / "p.jpg", icc_profile=profile)
    assert picture.read(tmp_path / "p.jpg", "photo").profile is None


def test_colour_of_which_only_the_high_byte_is_read_is_known(tmp_path):
    import media_files as media

    rows = b"".join(b"\0" + noise(13, 3, dtype=np.uint16).astype(">u2").tobytes() for _ in range(9))
    file = picture.read(media.png(tmp_path / "deep.png", 13, 9, 16, 2, rows), "photo")
    assert file.cut and file.colour.dtype == np.uint8
    for form in ("RGB", "I;16", "L"):
        FILES[form](tmp_path / "p.png")
        assert not picture.read(tmp_path / "p.png", "photo").cut
