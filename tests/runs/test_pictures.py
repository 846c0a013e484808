"""Pictures of any size, drawn in tiles: sizes, seams, holes, forms of files, and what is refused."""

import types

import media_files as media
import numpy as np
import PIL.Image
import pytest
import tiny

from mmgen_jax import api, sample
from mmgen_jax.config import schema
from mmgen_jax.errors import ConfigError, DataError, InputError
from mmgen_jax.modalities import tokenizer
from mmgen_jax.modalities.modality import Modality, check_batch
from mmgen_jax.runs import pictures, tiles
from mmgen_jax.runs.workdir import prepared
from mmgen_jax.training.checkpoint import Checkpointer

RNG = np.random.default_rng(0)
TEXT = Modality("text", (4,), tokenizer=tokenizer.build(["a red dress"], open=False))
SIZES = [(1, 1), (7, 300), (16, 16), (16, 17), (301, 187), (2, 16)]


class Fake:
    """A sampler whose model is a function of a batch."""

    batch_size = 4

    def __init__(self, function, source=(16, 16, 3), target=(16, 16, 3), completes=(), reads_whole=(), **others):
        self.modalities = {"photo": Modality("image", source), "image": Modality("image", target), **others}
        if completes:
            self.modalities["mask"] = Modality("mask", (*source[:2], 1))
        conditions = tuple(name for name in self.modalities if name != "image")
        aligned = tuple(name for name in conditions if len(self.modalities[name].shape) == 3)
        self.system = types.SimpleNamespace(
            modalities=self.modalities,
            conditions=conditions,
            targets=("image",),
            objective=types.SimpleNamespace(aligned=aligned, completes=completes, reads_whole=reads_whole),
        )
        self.function, self.numbers, self.batches = function, [], []

    def __call__(self, batch, given=(), numbers=None):
        check_batch(batch, self.modalities)
        assert given == () and len(numbers) <= self.batch_size
        self.numbers += numbers.tolist()
        self.batches.append(batch)
        return {"image": np.asarray(self.function(batch), np.float32)}

    def save(self, folder, num=1, seed=0, first=0, **given):
        asked = pictures.request(self.system, given)
        return [np.asarray(PIL.Image.open(path)) for path in asked.save(folder, self, num, seed, first)]


def identity(batch):
    return batch["photo"]


def completer(function=lambda batch: np.ones_like(batch["photo"])):
    return Fake(function, completes=("photo", "mask"))


def save(path, pixels, **options):
    PIL.Image.fromarray(pixels).save(path, **options)
    return str(path)


def noise(*shape, dtype=np.uint8):
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("size", SIZES)
def test_a_model_that_returns_its_source_returns_the_picture(size, tmp_path):
    for form, pixels in {"colour": noise(*size, 3), "deep": noise(*size, dtype=np.uint16)}.items():
        file = save(tmp_path / f"{form}.png", pixels)
        (drawn,) = Fake(identity).save(tmp_path / form, photo=file)
        assert drawn.dtype == pixels.dtype
        np.testing.assert_array_equal(drawn, pixels)


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("size", SIZES)
def test_super_resolution_has_the_factor_as_it_is(size, factor, tmp_path):
    def enlarge(batch):
        return batch["photo"].repeat(factor, 1).repeat(factor, 2)

    pixels = noise(*size, 3)
    fake = Fake(enlarge, target=(16 * factor, 16 * factor, 3))
    (drawn,) = fake.save(tmp_path, photo=save(tmp_path / "p.png", pixels))
    np.testing.assert_array_equal(drawn, pixels.repeat(factor, 0).repeat(factor, 1))


@pytest.mark.parametrize("tile", [(16, 16), (1, 1), (3, 24)])
@pytest.mark.parametrize("size", [*SIZES, (5, 70)])
def test_shares_of_tiles_sum_to_one_everywhere(size, tile):
    """So a constant stays constant; neighbours overlap, and no share jumps."""
    tiling = tiles.Tiling(size, tile)
    for scale in ((1, 1), (2, 2)):
        canvas = tiling.canvas(1, scale)
        for i in range(len(tiling.corners)):
            tiling.add(canvas, i, np.ones((tile[0] * scale[0], tile[1] * scale[1], 1)), scale)
        np.testing.assert_allclose(canvas, 1, rtol=1e-6)
        assert tiling.crop(canvas, scale).shape == (size[0] * scale[0], size[1] * scale[1], 1)


def test_seams_are_smooth():
    """A step of the brightness between two tiles becomes a ramp over what they share."""
    tiling = tiles.Tiling((64, 112), (64, 64))
    assert tiling.corners == [(0, 0), (0, 48)]
    canvas = tiling.canvas(1)
    for i, value in enumerate((0, 1)):
        tiling.add(canvas, i, np.full((64, 64, 1), value))
    ramp = canvas[0, :, 0]
    assert (ramp[:48] == 0).all() and (ramp[64:] == 1).all() and np.diff(ramp)[48:63].min() > 0
    assert np.diff(ramp).max() < 0.11


def test_each_tile_also_reads_the_whole_picture_where_the_model_wants_it(tmp_path):
    """So a statistic of the picture is the same in all of its tiles: dark tiles and bright tiles lose one mean."""
    fake = Fake(
        lambda batch: batch["photo"] - batch["photo/whole"].mean((1, 2, 3), keepdims=True), reads_whole=("photo",)
    )
    pixels = np.where(np.arange(48) < 24, 40, 160)[None, :, None].repeat(16, 0).repeat(3, 2).astype(np.uint8)
    (drawn,) = fake.save(tmp_path, photo=save(tmp_path / "p.png", pixels))
    np.testing.assert_allclose(drawn, pixels + (127.5 - 100), atol=1)
    assert {batch["photo/whole"].shape[1:] for batch in fake.batches} == {(16, 16, 3)}


def test_a_small_picture_lies_in_the_middle_of_its_reflection(tmp_path):
    fake = Fake(identity, source=(8, 8, 3), target=(8, 8, 3))
    pixels = noise(2, 4, 3)
    fake.save(tmp_path, photo=save(tmp_path / "p.png", pixels))
    (seen,) = fake.batches[0]["photo"]
    rows, columns = [1, 0, 1, 0, 1, 0, 1, 0], [2, 1, 0, 1, 2, 3, 2, 1]
    np.testing.assert_allclose(seen, pixels[rows][:, columns] / 127.5 - 1, atol=1e-6)


def test_grey_stays_grey_and_added_colour_stays(tmp_path):
    grey = save(tmp_path / "p.png", noise(20, 30))
    (drawn,) = Fake(lambda batch: batch["photo"] * [1, 0, 0]).save(tmp_path / "a", photo=grey)
    assert drawn.shape == (20, 30)
    colours = Fake(lambda batch: batch["photo"] * [1, 0, 0], source=(16, 16, 1))
    (drawn,) = colours.save(tmp_path / "b", photo=grey)
    assert drawn.shape == (20, 30, 3) and np.ptp(drawn[..., 1]) == 0


def test_all_tiles_of_a_sample_have_one_noise(tmp_path):
    fake = Fake(lambda batch: batch["photo"] * 0)
    file = save(tmp_path / "p.png", noise(20, 40, 3))
    num_tiles = len(tiles.Tiling((20, 40), (16, 16)).corners)
    fake.save(tmp_path / "out", num=2, first=5, photo=file)
    assert fake.numbers == [[0, 5]] * num_tiles + [[0, 6]] * num_tiles
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["image_0.png", "image_1.png"]


def test_prompts_are_those_of_every_tile(tmp_path):
    fake = Fake(lambda batch: np.where(batch["text"][:, None, None, :1] == 1, 1, -1) + 0 * batch["photo"], text=TEXT)
    words = [TEXT.tokenizer.encode(text, 4) for text in ("a dress", "red")]
    (tmp_path / "texts.txt").write_text("a dress\nred\n")
    file = save(tmp_path / "p.png", noise(20, 40, 3))
    drawn = fake.save(tmp_path / "out", photo=file, text=f"@{tmp_path / 'texts.txt'}")
    assert [array.shape for array in drawn] == [(20, 40, 3)] * 2
    rows = np.concatenate([batch["text"] for batch in fake.batches])
    np.testing.assert_array_equal(rows, np.repeat(words, len(rows) // 2, axis=0))
    assert [group for group, _ in fake.numbers] == [0] * (len(rows) // 2) + [1] * (len(rows) // 2)


def test_pictures_of_several_sizes_one_a_line(tmp_path):
    files = [save(tmp_path / f"{i}.png", noise(5, 20 * (i + 1), 3)) for i in range(2)]
    (tmp_path / "files.txt").write_text("\n".join(files))
    fake = Fake(identity)
    drawn = fake.save(tmp_path / "out", photo=f"@{tmp_path / 'files.txt'}")
    for array, file in zip(drawn, files):
        np.testing.assert_array_equal(array, np.asarray(PIL.Image.open(file)))
    assert all(map(np.array_equal, fake.save(tmp_path / "list", photo=files), drawn))
    asked = pictures.request(fake.system, {"photo": f"@{tmp_path / 'files.txt'}"})
    with pytest.raises(InputError, match=r"^image: expected pictures of one size, got 5 x 20 and 5 x 40; draw each"):
        asked.arrays(fake, 1)


def blob(height, width):
    """A round hole, about a fifth of a picture."""
    rows, columns = np.ogrid[:height, :width]
    return (rows / height - 0.4) ** 2 + (columns / width - 0.6) ** 2 < 0.06


@pytest.mark.parametrize("shape, dtype", [((3,), np.uint8), ((), np.uint8), ((), np.uint16), ((4,), np.uint8)])
def test_outside_of_a_hole_the_file_is_kept_bit_for_bit(shape, dtype, tmp_path):
    pixels, hole = noise(301, 187, *shape, dtype=dtype), blob(301, 187)
    photo, mask = save(tmp_path / "p.png", pixels), save(tmp_path / "m.png", hole.astype(np.uint8) * 255)
    fake = completer()
    (drawn,) = fake.save(tmp_path / "out", photo=photo, mask=mask)
    assert drawn.shape == pixels.shape and drawn.dtype == pixels.dtype
    np.testing.assert_array_equal(drawn[~hole], pixels[~hole])
    largest = np.iinfo(dtype).max
    assert (drawn[hole] if shape != (4,) else drawn[hole & (pixels[..., 3] > 0)][:, :3]).min() == largest
    seen = np.concatenate([batch["photo"] for batch in fake.batches])
    masks = np.concatenate([batch["mask"] for batch in fake.batches])
    assert (seen[masks[..., 0] > 0] == 0).all()  # the model does not see what was there
    assert (masks > 0).any((1, 2, 3)).all() and len(masks) < len(tiles.Tiling((301, 187), (16, 16)).corners)


@pytest.mark.parametrize("form", ["PNG", "1-bit", "JPEG", "anti-aliased"])
def test_a_mask_is_cut_at_one_half_in_any_file(form, tmp_path):
    hole, path = np.zeros((40, 60), bool), tmp_path / "m"
    hole[8:24, 16:48] = True
    grey = hole.astype(np.uint8) * 255
    if form == "anti-aliased":
        grey[7, 16:48], grey[8, 16:48] = 127, 128
    picture = PIL.Image.fromarray(hole if form == "1-bit" else grey)
    picture.save(path, "JPEG" if form == "JPEG" else "PNG", **({"quality": 60} if form == "JPEG" else {}))
    pixels = noise(40, 60, 3) // 2
    (drawn,) = completer().save(tmp_path / "out", photo=save(tmp_path / "p.png", pixels), mask=str(path))
    np.testing.assert_array_equal((drawn == 255).all(-1), hole)
    np.testing.assert_array_equal(drawn[~hole], pixels[~hole])


@pytest.fixture
def heard(monkeypatch):
    """What the user is told."""
    lines = []
    monkeypatch.setattr(pictures.logging, "warning", lambda message, *values: lines.append(message % values))
    return lines


@pytest.mark.parametrize(
    "value, said", [(0, "nothing is white (its lightest pixel has 0 of 255), so"), (255, "everything is white")]
)
def test_a_mask_of_one_colour_is_answered(value, said, tmp_path, heard):
    pixels = noise(30, 40, 3) // 2
    mask = save(tmp_path / "m.png", np.full((30, 40), value, np.uint8))
    fake = completer()
    (drawn,) = fake.save(tmp_path / "out", photo=save(tmp_path / "p.png", pixels), mask=mask)
    np.testing.assert_array_equal(drawn, pixels if not value else np.full_like(pixels, 255))
    assert (
        len(heard) == 1 and heard[0].startswith(f"{tmp_path / 'm.png'}: {said}") and bool(fake.batches) == bool(value)
    )


def test_what_a_hole_does_not_show_is_said(tmp_path, heard):
    pixels, mask = noise(30, 40, 4) | 1, np.zeros((30, 40), np.uint8)
    mask[2:18, 2:18] = 255
    photo = save(tmp_path / "p.png", pixels)
    pictures.request(completer().system, {"photo": photo, "mask": save(tmp_path / "m.png", mask)})
    assert not heard
    mask[:17, :16], pixels[5, 5:8, 3] = 255, 0
    photo = save(tmp_path / "p.png", pixels)
    pictures.request(completer().system, {"photo": photo, "mask": save(tmp_path / "m.png", mask)})
    assert heard == [
        f"{tmp_path / 'm.png'}: the hole is larger than the model's 16 x 16, so parts are drawn without surroundings",
        f"{photo}: 3 pixels of the hole are transparent and stay so",
    ]


def test_what_does_not_fit_is_refused(tmp_path):
    photo = save(tmp_path / "p.png", noise(30, 40, 3))
    mask = save(tmp_path / "m.png", np.full((30, 41), 255, np.uint8))
    system = completer().system
    expected = (
        rf"^{mask}: mask\.size \(height x width\): expected 30 x 40, as photo \({photo}\) is 30 x 40, got 30 x 41; draw"
    )
    with pytest.raises(DataError, match=expected):
        pictures.request(system, {"photo": photo, "mask": mask})
    for alone in ({"photo": photo}, {"mask": mask}):
        with pytest.raises(ConfigError, match=r"^--given\.(mask|photo): .* give both"):
            pictures.request(system, alone)
    with pytest.raises(InputError, match=r"^mask: expected a file as photo is, got an array; give both"):
        pictures.request(system, {"photo": photo, "mask": np.ones((16, 16, 1), np.float32)})
    with pytest.raises(DataError, match=r"absent\.png: photo\.file: expected a readable file"):
        pictures.request(Fake(identity).system, {"photo": str(tmp_path / "absent.png")})
    with pytest.raises(ConfigError, match=r"^--given\.phot: the model has no such condition; did you mean 'photo'"):
        pictures.request(Fake(identity).system, {"photo": photo, "phot": photo})
    with pytest.raises(ConfigError, match=r"^image: its grid of 24 x 24 is no whole multiple of 16 x 16"):
        pictures.request(Fake(identity, target=(24, 24, 3)).system, {"photo": photo})


def test_sources_of_one_picture_have_one_size(tmp_path):
    """A second source of twice the grid has a file of twice the size."""
    fake = Fake(lambda batch: batch["fine"], source=(8, 8, 3), fine=Modality("image", (16, 16, 3)))
    pixels = noise(62, 46, 3)
    photo = save(tmp_path / "p.png", noise(31, 23, 3))
    (drawn,) = fake.save(tmp_path / "out", photo=photo, fine=save(tmp_path / "fine.png", pixels))
    np.testing.assert_array_equal(drawn, pixels)
    with pytest.raises(DataError, match=r"fine\.size .*: expected 62 x 46, as photo \(.*\) is 31 x 23, got 31 x 23"):
        pictures.request(fake.system, {"photo": photo, "fine": photo})


def test_depth_that_cannot_be_kept_is_refused_around_a_hole(tmp_path):
    import media_files as media

    rows = b"".join(b"\0" + noise(40, 3, dtype=np.uint16).astype(">u2").tobytes() for _ in range(30))
    photo = str(media.png(tmp_path / "deep.png", 40, 30, 16, 2, rows))
    mask = save(tmp_path / "m.png", np.full((30, 40), 255, np.uint8))
    with pytest.raises(DataError, match=r"photo\.depth: expected 8 bits a channel, or grey of 16, got colour of 16"):
        pictures.request(completer().system, {"photo": photo, "mask": mask})
    assert pictures.request(Fake(identity).system, {"photo": photo}).num_tiles


def test_clips_are_no_pictures(tmp_path):
    """They are read whole, as `prompts.read_given` reads them."""
    system = Fake(identity).system
    system.modalities["photo"] = Modality("video", (4, 16, 16, 3))
    assert pictures.request(system, {"photo": str(media.clip(tmp_path / "clip.mp4"))}) is None


def test_the_present_way_is_taken_where_no_file_is_aligned():
    system = Fake(identity, text=TEXT).system
    assert pictures.request(system, {"text": "a red dress"}) is None
    assert pictures.request(system, {"photo": np.zeros((16, 16, 3), np.float32)}) is None
    system.objective.aligned = ()
    assert pictures.request(system, {"photo": "p.png"}) is None


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The workdir of a completion model with latent noise and a prompt, in its initial state."""
    config = schema.base()
    config.data = {"name": "scenes", "names": ("text", "image")}
    config.derived = {"mask": {"name": "mask", "of": "image"}, "photo": {"name": "hole", "of": ("image", "mask")}}
    config.aligned = ("photo", "mask")
    config.encoders = {"text": {"name": "text.embedding"}}
    config.fusion = {"name": "concat"}
    config.generator = {"name": "translation"}
    config.discriminator = {"name": "patch", "num_stages": 1}
    config.objective = {"name": "adversarial", "target": "image", "hole": "mask", "known": "photo", "latent_dim": 4}
    config.optimizers = {"generator": {"lr": 1e-3}, "discriminator": {"lr": 1e-3}}
    workdir, training = tmp_path_factory.mktemp("run"), tiny.Training(tiny.shrink(config.lock()))
    with prepared(workdir, training.config, training.source), Checkpointer(workdir / "checkpoints") as checkpoints:
        checkpoints.save(1, training.init(), {})
    return workdir


@pytest.mark.slow
def test_a_trained_model_completes_a_photo(run, tmp_path):
    """By the command and from Python; with a prompt, of a size that is no multiple of anything."""
    pixels, hole = noise(301, 187, 3), blob(301, 187)
    photo, mask = save(tmp_path / "p.png", pixels), save(tmp_path / "m.png", hole.astype(np.uint8) * 255)
    arguments = [f"--workdir={run}", f"--given.photo={photo}", f"--given.mask={mask}", "--text=a large red star"]
    code, printed, errors = tiny.mmgen("sample", *arguments, f"--out={tmp_path / 'out'}", "--num=2")
    assert code == 0, errors
    paths = printed.split()
    assert paths == [str(tmp_path / "out" / f"image_{i}.png") for i in range(2)]
    drawn = np.stack([np.asarray(PIL.Image.open(path)) for path in paths])
    np.testing.assert_array_equal(drawn[:, ~hole], np.stack([pixels[~hole]] * 2))
    assert (drawn[0] != drawn[1]).any() and (drawn[0][hole] != pixels[hole]).any()

    given = {"photo": photo, "mask": mask, "text": "a large red star"}
    second = api.sample(run, given, num=1, first=1)["image"]
    assert second.shape == (1, 301, 187, 3) and second.dtype == np.float32
    assert np.abs((second[0] + 1) * 127.5 - drawn[1]).max() < 0.6  # not compiled for the same size of a batch
    again = f"--out={tmp_path / 'out'}", "--num=1"
    code, _, errors = tiny.mmgen("sample", *arguments, *again)
    assert code == 1 and "it holds image_0.png and 1 more" in errors
    assert tiny.mmgen("sample", *arguments, *again, "--overwrite")[0] == 0
    assert (tmp_path / "out" / "image.png").is_file()


def test_a_picture_of_the_models_size_is_drawn_as_its_array_is(run, tmp_path):
    pixels, hole = noise(16, 16, 3), blob(16, 16)
    files = {"photo": save(tmp_path / "p.png", pixels), "mask": save(tmp_path / "m.png", hole.astype(np.uint8) * 255)}
    loaded = api.load(run)
    drawn = api.sample(loaded, files, num=2, seed=3)["image"]
    photo = np.where(hole[..., None], 0, pixels / np.float32(127.5) - 1).astype(np.float32)
    arrays = {"photo": photo, "mask": np.where(hole, 1, -1).astype(np.float32)[..., None]}
    np.testing.assert_allclose(api.sample(loaded, arrays, num=2, seed=3)["image"], drawn, atol=1e-5)


def test_a_refusal_writes_nothing_and_restores_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "restore", None)
    photo, mask = save(tmp_path / "p.png", noise(20, 20, 3)), save(tmp_path / "m.png", noise(20, 21))
    with pytest.raises(DataError, match="expected 20 x 20"):
        sample.sample(run, tmp_path / "out", {"photo": photo, "mask": mask}, num=1)
    assert not (tmp_path / "out").exists()
