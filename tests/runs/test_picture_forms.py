"""Forms of picture files: grey in files of colours, masks with transparency, lists of files."""

import gc

import numpy as np
import PIL.Image
import pytest
from test_pictures import Fake, completer, noise, save

from mmgen_jax.modalities import image, mask
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.runs import pictures


def tinted(batch):
    return batch["photo"] * [1, 0, 0]


def test_a_palette_of_greys_is_grey_and_rgb_is_colour(tmp_path):
    grey = PIL.Image.fromarray(noise(20, 30))
    for form, picture in (("palette", grey.convert("P")), ("quantized", grey.convert("RGB").quantize(16))):
        picture.save(tmp_path / f"{form}.png")
        (drawn,) = Fake(tinted).save(tmp_path / form, photo=str(tmp_path / f"{form}.png"))
        assert drawn.shape == (20, 30), form
    grey.convert("RGB").save(tmp_path / "rgb.png")  # a source like edges, to which the model adds colour
    (drawn,) = Fake(tinted).save(tmp_path / "rgb", photo=str(tmp_path / "rgb.png"))
    assert drawn.shape == (20, 30, 3) and np.ptp(drawn[..., 1]) == 0


def test_a_hole_in_a_grey_picture_of_three_channels_becomes_grey(tmp_path):
    pixels, hole = np.repeat(noise(30, 40)[..., None], 3, axis=-1) // 2, np.zeros((30, 40), np.uint8)
    hole[8:16, 8:16] = 255
    red = completer(lambda batch: np.ones_like(batch["photo"]) * [1, -1, -1])
    asked = {"mask": save(tmp_path / "m.png", hole)}
    (drawn,) = red.save(tmp_path / "grey", photo=save(tmp_path / "p.png", pixels), **asked)
    assert drawn.shape == (30, 40, 3) and (drawn == drawn[..., :1]).all() and (drawn[8:16, 8:16] == 76).all()
    grey = {"photo": str(tmp_path / "p.png"), **asked}
    array = pictures.request(red.system, grey).arrays(red, 1)[0]  # as `api.sample` gives it
    np.testing.assert_allclose((array + 1) * 127.5, drawn, atol=0.51)
    pixels[10, 10] = (200, 0, 0)  # inside of the hole: a garment on a white ground
    (drawn,) = red.save(tmp_path / "colour", photo=save(tmp_path / "p.png", pixels), **asked)
    assert (drawn[8:16, 8:16] == (255, 0, 0)).all()


@pytest.mark.parametrize("ground", ["transparent", "white strokes", "black strokes"])
def test_strokes_on_a_transparent_ground(ground, tmp_path):
    """White strokes are the hole; black strokes are kept, and the rest is the hole, as on a white ground."""
    strokes = np.zeros((16, 16), bool)
    strokes[4:8, 4:12] = True
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[strokes] = 255 if ground != "black strokes" else (0, 0, 0, 255)
    if ground == "transparent":
        pixels[:] = 0
    path = save(tmp_path / "m.png", pixels)
    hole = {"transparent": np.zeros_like(strokes), "white strokes": strokes, "black strokes": ~strokes}[ground]
    np.testing.assert_array_equal(mask.read(path)[..., 0] > 0, hole)
    kind = Modality("mask", (16, 16, 1)).traits
    np.testing.assert_array_equal(kind.of_picture(pictures.picture_files.read(path, "mask"))[..., 0] > 0, hole)


def test_a_line_is_dropped_when_its_picture_is_drawn(tmp_path):
    sizes = [(20, 30), (16, 16), (40, 16), (16, 16), (16, 16), (7, 9)]
    paths = [save(tmp_path / f"{i}.png", noise(*size, 3)) for i, size in enumerate(sizes)]
    fake, alive = Fake(lambda batch: batch["photo"]), []
    asked = pictures.request(fake.system, {"photo": paths})
    gc.collect()
    assert not asked.lines._alive and asked.num_tiles == 6 + 1 + 3 + 1 + 1 + 1
    for path, (line, drawn) in zip(paths, asked.draw(fake, 1), strict=True):
        pixels = np.asarray(PIL.Image.open(path)).astype(np.float32) / 127.5 - 1
        np.testing.assert_allclose(drawn, pixels, atol=1e-5)
        del line
        gc.collect()
        alive.append(len(asked.lines._alive))
    assert max(alive) <= fake.batch_size + 1 and alive[-1] <= 3


def test_losses_of_a_file_are_said(tmp_path, monkeypatch):
    heard = []
    monkeypatch.setattr(pictures.logging, "warning", lambda message, *values: heard.append(message % values))
    Modality("image", (16, 16, 3)).traits.read_given(save(tmp_path / "p.png", noise(20, 40, 3)), "style")
    assert heard == [f"{tmp_path / 'p.png'}: 20 x 40 px, cropped about the centre to the aspect of style, 16 x 16"]
    Modality("image", (16, 16, 3)).traits.read_given(save(tmp_path / "p.png", noise(20, 20, 3)), "style")
    assert len(heard) == 1 and image.logging is pictures.logging
    given = {
        "photo": save(tmp_path / "p.png", noise(30, 40, 3)),
        "mask": save(tmp_path / "m.png", np.eye(30, 40, dtype=np.uint8)),
    }
    pictures.request(completer().system, given)
    assert "nothing is white (its lightest pixel has 1 of 255)" in heard[1]
    given["mask"] = save(tmp_path / "m.png", np.full((30, 40, 3), (255, 0, 0), np.uint8))
    pictures.request(completer().system, given)
    assert "nothing is white (its lightest pixel has 76 of 255)" in heard[2]
    clip = {"photo": save(tmp_path / "p.png", noise(20, 40, 3))}
    Modality("mask", (16, 16, 1)).traits.read_given(save(tmp_path / "wide.png", np.zeros((20, 40), np.uint8)), "mask")
    pictures.request(Fake(lambda batch: batch["photo"]).system, clip)
    assert len(heard) == 3
