"""Vectors: files, lines of a manifest and samples; a folder of them trains a VAE, an autoencoder and a GAN."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from mmgen_jax import check_data, lookup, sample, train
from mmgen_jax.config import schema
from mmgen_jax.data.files import folder_listing
from mmgen_jax.data.folder import Source
from mmgen_jax.errors import ConfigError, DataError
from mmgen_jax.modalities import save, vector
from mmgen_jax.modalities.modality import Modality, check_batch

ALL = {"test_fraction": 0.0, "validation_fraction": 0.0}
RNG = np.random.default_rng(0)


def written(path, array):
    np.save(path, array)
    return path


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.uint8, ">f4"])
@pytest.mark.parametrize("shape", [(3,), (4, 3)])
def test_integers_and_floats_of_any_width_are_read(tmp_path, dtype, shape):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    read = vector.load(written(tmp_path / "a.npy", array))
    assert read.dtype == np.float32 and read.shape == shape
    np.testing.assert_array_equal(read, array)
    in_columns = vector.load(written(tmp_path / "b.npy", np.asfortranarray(array)))
    np.testing.assert_array_equal(in_columns, array)


REFUSED = {
    "a scalar": (np.float32(1), ("shape", "[D] or [T, D]", "[]")),
    "three axes": (np.zeros((2, 2, 2)), ("shape", "[D] or [T, D]", "[2, 2, 2]")),
    "no value": (np.zeros((0, 3)), ("size", "1 to", "0")),
    "complex": (np.zeros(2, complex), ("dtype", "integers or floats", "complex128")),
    "booleans": (np.zeros(2, bool), ("dtype", "integers or floats", "bool")),
    "text": (np.array(["a"]), ("dtype", "integers or floats", "<U1")),
    "NaN": (np.array([[0, 1], [np.nan, 2]]), ("range", "finite values", "nan at [1, 0]")),
    "infinite in float32": (np.array([1e300]), ("range", "finite values", "1e+300 at [0]")),
    "objects": (np.array([{}], object), ("content", "a whole .npy file of numbers", "Python objects")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_holds_no_vector_is_refused(tmp_path, name):
    array, parts = REFUSED[name]
    path = written(tmp_path / "a.npy", array)
    with pytest.raises(DataError) as error:
        vector.load(path, "pose")
    line = str(error.value)
    assert line.startswith(f"{path}: pose.{parts[0]}: expected ") and "; " in line and "\n" not in line
    assert all(part in line for part in parts), line


def test_a_file_of_another_format_or_cut_off_is_refused(tmp_path):
    path = written(tmp_path / "a.npy", np.zeros(100))
    whole = path.read_bytes()
    for content in (whole[:-4], whole[:20], b"", b"1 2 3\n"):
        path.write_bytes(content)
        with pytest.raises(DataError):
            vector.load(path)
    np.savez(tmp_path / "b.npz", np.zeros(3))
    with pytest.raises(DataError, match="expected one array, got an archive"):
        vector.load((tmp_path / "b.npz").rename(tmp_path / "b.npy"))


def read_all(source):
    return source.read(np.arange(len(source)), np.zeros(len(source), int))


@pytest.fixture
def files(tmp_path, cache):
    """12 captions, 10 of them with a vector of 6 values that tell the caption."""
    folder = tmp_path / "files"
    folder.mkdir()
    for i in range(12):
        (folder / f"{i:02d}.txt").write_text("rising" if i % 2 else "falling")
        if i < 10:
            np.save(folder / f"{i:02d}.npy", (np.arange(6.0) - 2.5) * (1 if i % 2 else -1) + i)
    return folder


def test_files_beside_a_stem_are_vectors(files, capsys):
    source = Source(directory=str(files), **ALL)
    assert source.names == ("text", "vector") and source.modalities["vector"] == Modality("vector", (6,))
    batch = read_all(source)
    check_batch(batch, source.modalities)
    assert batch["vector/mask"].sum() == 10 and not batch["vector"][~batch["vector/mask"]].any()
    numbers = np.round(batch["vector"].mean(1)[batch["vector/mask"]])
    assert sorted(numbers) == list(range(10))

    assert check_data.check_source(Source, {"directory": str(files)}) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  vector ")]
    assert sum(int(line.split(" present")[0].split()[-1]) for line in lines) == 10
    assert "vector [6], " in lines[0] and "; values -" in lines[0] and ", mean " in lines[0]


def test_statistics_are_of_the_examples_that_have_it():
    statistics = Modality("vector", (2,)).traits.statistics()
    statistics.add(np.array([[1, 2], [3, 4]], np.float32))
    statistics.add(np.array([[-8, 10]], np.float32))
    assert str(statistics) == "values -8 to 10, mean 2"


def test_one_shape_in_a_folder(files):
    np.save(files / "05.npy", np.zeros((2, 3)))
    with pytest.raises(DataError, match=r"05\.npy: vector\.shape: expected \[6\], got \[2, 3\]; give every example"):
        Source(directory=str(files), **ALL)
    problems = Source.examine(directory=str(files)).problems
    assert [problem.args[:3] for problem in problems] == [(str(files / "05.npy"), "vector", "shape")]
    assert Source(directory=str(files), names=("text",), **ALL).names == ("text",)


def manifest(tmp_path, *lines):
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path


def test_columns_of_a_manifest_are_vectors_by_their_names(tmp_path, cache):
    path = written(tmp_path / "a.npy", np.array([[1, 2], [3, 4], [5, 6]]))
    lines = [
        {"text": "one", "age": [3.5], "walk": [[0, 0], [1, 1], [2, 4]]},
        {"text": "two", "age": [7], "walk": path.name},
        {"text": "three", "age": [1e3]},
    ]
    source = Source(directory=str(manifest(tmp_path, *lines)), **ALL)
    assert source.names == ("text", "age", "walk")
    assert source.modalities["age"].shape == (1,) and source.modalities["walk"].shape == (3, 2)
    batch = read_all(source)
    check_batch(batch, source.modalities)
    words = [source.modalities["text"].tokenizer.decode(ids) for ids in batch["text"]]
    assert dict(zip(words, batch["age"][:, 0])) == {"one": 3.5, "two": 7, "three": 1000}
    np.testing.assert_array_equal(batch["walk"][words.index("one")], lines[0]["walk"])
    np.testing.assert_array_equal(batch["walk"][words.index("two")], np.load(path))
    assert batch["walk/mask"].tolist() == [word != "three" for word in words]
    # The numbers are a part of the cache's key.
    lines[2]["age"] = [-1]
    again = read_all(Source(directory=str(manifest(tmp_path, *lines)), **ALL))
    assert sorted(again["age"][:, 0]) == [-1, 3.5, 7]


@pytest.mark.parametrize(
    "second, parts",
    [
        ({"pose": [1, 2]}, ("manifest.jsonl:2: pose.shape", "[3]", "[2]", "give every example")),
        ({"pose": [[1], [2, 3]]}, ("manifest.jsonl:2: pose.value", "lists of them of one length")),
        ({"pose": [1, None, 3]}, ("manifest.jsonl:2: pose.dtype", "integers or floats")),
        ({"pose": [1, "2", 3]}, ("manifest.jsonl:2: pose.dtype", "integers or floats")),
        ({"pose": []}, ("manifest.jsonl:2: pose.", "expected")),
        ({"pose": 3}, ("manifest.jsonl:2: pose.field", "another word with a file, numbers or {kind: value}", "3")),
        ({"pose": "b.png"}, ("manifest.jsonl:2: pose.path", "a file", "nothing")),
        ({"pose": {"text": "no"}}, ("manifest.jsonl:2: pose.kind", "one kind, vector as in the lines before")),
        ({"pose": "b.npy"}, ("manifest.jsonl:2: pose.path", "a file", "nothing")),
        ({"pose": "b\0.png"}, ("manifest.jsonl:2: pose.path", "inside the folder")),
        ({"pose": "b" * 300 + ".png"}, ("manifest.jsonl:2: pose.path", "the name of a file")),
        ({"a/mask": [1, 2, 3]}, ("manifest.jsonl:2: a/mask.field", "another word")),
        ({"vector": 3}, ("manifest.jsonl:2: vector.value", "a string or a list", "3")),
        ({"image": [1, 2, 3]}, ("manifest.jsonl:2: image.value", "a string", "[1, 2, 3]")),
    ],
)
def test_a_line_that_holds_no_vector_is_refused(tmp_path, cache, second, parts):
    folder = manifest(tmp_path, {"text": "one", "pose": [1, 2, 3]}, {"text": "two", **second})
    with pytest.raises(DataError) as error:
        Source(directory=str(folder), **ALL)
    assert all(part in str(error.value) for part in parts), error.value


def test_lines_of_numbers_alone_are_split_by_what_they_hold(tmp_path):
    listing = folder_listing.read(manifest(tmp_path, {"age": [1]}, {"age": [2], "text": " old "}, {"age": [1]}))
    assert [example.group for example in listing.examples] == ["[1]", "old", "[1]"]
    lines = [{"pose": [i, 1], "color": {"label": "red"}} for i in range(3)]
    listing = folder_listing.read(manifest(tmp_path, *lines))
    assert len({example.group for example in listing.examples}) == 3


def test_samples_are_one_array_and_a_table(tmp_path):
    modalities = {"pose": Modality("vector", (2, 6)), "photo": Modality("image", (8, 8, 3))}
    poses = RNG.normal(0, 100, (3, 2, 6)).astype(np.float32)
    array, table = save.save_samples(tmp_path, 7, {"pose": poses}, modalities, prompts=["a", "b", "c"])
    assert [path.name for path in (array, table)] == ["0000007_pose.npy", "0000007_pose.txt"]
    np.testing.assert_array_equal(np.load(array, allow_pickle=False), poses)
    lines = table.read_text().splitlines()
    assert len(lines) == 3
    for line, pose, prompt in zip(lines, poses, "abc"):
        said, _, values = line.partition("\t")
        assert said == prompt and values.startswith(f"{pose.min():.4g} to {pose.max():.4g}, mean {pose.mean():.4g}: ")
        assert f"{pose[1, 1]:.4g} … (12 values)" in values
    photos = {"photo": np.zeros((3, 8, 8, 3), np.float32)}
    paths = save.save_samples(tmp_path, None, {"pose": poses}, modalities, conditions=photos)
    assert [path.name for path in paths] == ["pose.npy", "pose.txt", "pose.png"]
    with pytest.raises(ValueError, match="'pose': expected finite values, got 36"):
        save.save_samples(tmp_path, None, {"pose": poses * np.nan}, modalities)
    assert save.describe({"pose": poses}, modalities, 0) == "[pose]"


def drawing(files, family):
    """A model that draws vectors from captions (the autoencoder: from nothing)."""
    config = schema.base()
    config.data = {"name": "folder", "directory": str(files)}
    config.encoders = {"text": {"name": "text.embedding", "features": 8}}
    config.fusion = {"name": "concat", "features": 8}
    config.generator = {"name": "mlp"}
    config.objective = {"name": family, "target": "vector"}
    config.optimizers = {"generator": {"lr": 1e-3}}
    if family == "adversarial":
        config.discriminator = {"name": "mlp", "spectral_norm": True}
        config.optimizers.discriminator = {"lr": 1e-3}
    else:
        config.target_encoder = {"name": "vector.mlp"}
    if family == "reconstruction":
        config.encoders = {}
        del config.fusion
    return tiny.shrink(config.lock())


SLOW = [("variational", (2, 3)), ("adversarial", (2, 3)), ("reconstruction", (6,))]


@pytest.mark.parametrize(
    "family, shape",
    [("variational", (6,)), *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)],
)
def test_a_folder_of_vectors_trains_and_samples(files, tmp_path, family, shape):
    for file in files.glob("*.npy"):
        np.save(file, np.load(file).reshape(shape))
    config = drawing(files, family)
    state = train.train(config, tmp_path / "run")
    assert state.step == 1
    assert {path.name for path in (tmp_path / "run" / "samples").iterdir()} >= {"0000001_vector.npy"}
    given = {} if family == "reconstruction" else {"text": "rising"}
    array, table = sample.sample(tmp_path / "run", tmp_path / "out", given, num=3)
    assert np.load(array).shape == (3, *shape) and np.isfinite(np.load(array)).all()
    assert len(table.read_text().splitlines()) == 3


@pytest.mark.slow
def test_every_layer_of_the_networks_gets_a_gradient(files):
    config = drawing(files, "adversarial")
    with config.unlocked():
        config.objective.loss_type = "non_saturating"  # at the hinge the last bias has none
    training = tiny.Training(config)
    before, (after, _) = training.init(), training.run(1)
    for player in ("generator", "discriminator"):
        same = [np.array_equal(a, b) for a, b in zip(*map(leaves, (before.params[player], after.params[player])))]
        assert same and not any(same), player


def leaves(tree):
    return jax.tree.leaves(tree)


def test_the_mlp_draws_images_too():
    generator = lookup.build("generators", {"name": "mlp", "width": 8}, shape=(4, 6, 3))
    output, variables = jax.eval_shape(generator.init_with_output, jax.random.key(0), jnp.zeros((2, 5)), None)
    assert output.shape == (2, 4, 6, 3)
    assert variables["params"]["output"]["kernel"].shape == (8, 4 * 6 * 3)


@pytest.mark.parametrize("shape", [(), (2, 4, 4, 3)])
def test_the_mlp_refuses_other_shapes(shape):
    expected = r"generators/mlp: expected a shape \(D,\), \(T, C\) or \(H, W, C\), got"
    with pytest.raises(ConfigError, match=expected):
        lookup.build("generators", {"name": "mlp"}, shape=shape)
