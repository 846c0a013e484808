"""What a person gives to `mmgen sample` and `mmgen retrieve`: conditions by name, of every kind."""

import pathlib

import numpy as np
import PIL.Image
import pytest
import soundfile
import tiny

from mmgen_jax import api, sample, train
from mmgen_jax.errors import BatchError, ConfigError, DataError, InputError, TextError
from mmgen_jax.modalities import tokenizer
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.runs import prompts

TOKENIZER = tokenizer.build(["a red star"], open=False)
MODALITIES = {
    "caption": Modality("text", (5,), tokenizer=TOKENIZER),
    "edges": Modality("image", (8, 8, 1)),
    "photo": Modality("image", (8, 8, 3)),
    "sound": Modality("audio", (40,), sample_rate=8000),
    "animal": Modality("label", classes=("cat", "dog", "1")),
    "pose": Modality("vector", (3,)),
}
NAMES = tuple(MODALITIES)


def read(**given):
    return prompts.read_given(given, NAMES, MODALITIES)


def test_every_kind_is_read_as_its_own(tmp_path):
    PIL.Image.new("L", (8, 8), 255).save(tmp_path / "edges.png")
    soundfile.write(tmp_path / "sound.wav", np.full(40, 0.5, np.float32), 8000, subtype="FLOAT")
    np.save(tmp_path / "pose.npy", [1, 2, 300])
    given = read(
        caption="a star",
        edges=str(tmp_path / "edges.png"),
        sound=tmp_path / "sound.wav",
        animal="dog",
        pose=str(tmp_path / "pose.npy"),
    )
    assert {name: array.shape for name, array in given.items()} == {
        name: (1, *MODALITIES[name].shape) for name in NAMES if name != "photo"
    }
    assert all(array.dtype == MODALITIES[name].dtype for name, array in given.items())
    assert TOKENIZER.decode(given["caption"][0]) == "a star" and given["pose"][0].tolist() == [1, 2, 300]
    assert (given["edges"] == 1).all() and (given["sound"] == 0.5).all() and given["animal"].tolist() == [1]


@pytest.mark.parametrize("value, expected", [("cat", 0), ("0", 0), (1, 2), ("1", 2), (2, 2)])
def test_a_label_is_a_class_or_its_number(value, expected):
    """The class that is called 1 is the third."""
    assert read(animal=value)["animal"].tolist() == [expected]


def test_a_text_without_a_tokenizer_is_refused():
    with pytest.raises(InputError, match="a text without a tokenizer has ids but no words"):
        prompts.read_given({"ids": "a star"}, ("ids",), {"ids": Modality("text", (5,))})


@pytest.mark.parametrize("value", ["bird", "3", "-1", ""])
def test_a_class_that_there_is_not(value):
    with pytest.raises(ConfigError, match=rf"^animal: expected a class, .* 0 to 2, got '{value}'; .*: cat, dog, 1$"):
        read(animal=value)


def test_a_file_of_texts_is_one_prompt_a_line(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("a star\n\n  a red star \r\nred\n", encoding="utf-8")
    texts = [TOKENIZER.decode(ids) for ids in read(caption=f"@{file}")["caption"]]
    assert texts == ["a star", "a red star", "red"]
    file.write_text("a star\n\na blue star\n")
    with pytest.raises(TextError, match="'blue' is not in the vocabulary"):
        read(caption=f"@{file}")
    for content in (b"", b"\n \n", b"\xff"):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"prompts\.txt: caption\."):
            read(caption=f"@{file}")
    with pytest.raises(DataError, match="No such file"):
        read(caption=f"@{tmp_path / 'none.txt'}")


def test_a_file_may_hold_values_of_any_kind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, grey in (("a", 0), ("b", 255)):
        PIL.Image.new("L", (8, 8), grey).save(f"{name}.png")
    (tmp_path / "edges.txt").write_text("a.png\n\nb.png\n")
    (tmp_path / "animals.txt").write_text("dog\n0\n")
    given = read(edges="@edges.txt", animal="@animals.txt")
    assert given["edges"][:, 0, 0, 0].tolist() == [-1, 1] and given["animal"].tolist() == [1, 0]
    (tmp_path / "animals.txt").write_text("dog\nbird\n")
    with pytest.raises(ConfigError, match=r"^animal: expected a class, .* got 'bird'"):
        read(animal="@animals.txt")
    with pytest.raises(DataError, match="No such file"):
        read(edges="@none.txt")


def test_numbers_and_arrays_are_read_as_they_are():
    assert read(animal=np.int64(2))["animal"].tolist() == [2]
    assert read(animal=np.array([0, 1], np.int32))["animal"].tolist() == [0, 1]
    assert read(pose=np.zeros(3, np.float32))["pose"].shape == (1, 3)
    with pytest.raises(BatchError, match=r"batch\['pose'\]\.shape: expected \[B, 3\], got \[1, 4\]"):
        read(pose=np.zeros(4, np.float32))


def test_names_that_there_are_not_and_kinds_that_do_not_fit():
    with pytest.raises(ConfigError, match=r"^--given.captoin: .*did you mean 'caption'\? it has: caption"):
        read(captoin="a star")
    named = prompts.named({"pose": "a.npy"}, {"text": "a star"}, NAMES, MODALITIES)
    assert named == {"pose": "a.npy", "caption": "a star"}
    two = r"--image: the model has 2 conditions .*; name one: --given\.edges=…, --given\.photo=…$"
    for by_kind, line in (
        ({"image": "a.png"}, two),
        ({"video": "a.mp4"}, r"^--video: the model has 0 conditions of that kind; it has: caption \(text\)"),
    ):
        with pytest.raises(ConfigError, match=line):
            prompts.named({}, by_kind, NAMES, MODALITIES)
    with pytest.raises(ConfigError, match=r"--text: --given\.caption gives the same one; give it once"):
        prompts.named({"caption": "a star"}, {"text": "a star"}, NAMES, MODALITIES)
    with pytest.raises(ConfigError, match=r"--text: the model has 0 conditions of that kind; it has: none$"):
        prompts.named({}, {"text": "a star"}, (), {})
    # Of several targets, the one of a kind that no condition has.
    assert prompts.named({}, {"text": "a star"}, ("photo",), MODALITIES, ("caption",)) == {"caption": "a star"}
    assert prompts.named({}, {"image": "a.png"}, ("photo",), MODALITIES, ("edges",)) == {"photo": "a.png"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A GAN of images from a text and a label."""
    config = tiny.config("gan", steps=1)
    with config.unlocked():
        config.data.names = ("text", "image", "color")
        config.encoders = {"text": {"name": "text.embedding"}, "color": {"name": "label"}}
    workdir = tmp_path_factory.mktemp("run") / "gan"
    train.train(tiny.shrink(config, steps=1), workdir)
    return workdir


@pytest.mark.slow
def test_a_label_draws_by_the_command(run, tmp_path):
    code, printed, errors = tiny.mmgen(
        "sample", f"--workdir={run}", f"--out={tmp_path / 'out'}", "--given.color=2", "--num=3"
    )
    assert code == 0, errors
    assert [pathlib.Path(path).name for path in printed.split()] == ["image.png", *(f"image_{i}.png" for i in range(3))]
    for argument, line in (
        (
            "--given.colour=2",
            "--given.colour: the model has no such condition; did you mean 'color'? it has: ",
        ),
        ("--given.color", "--given.color: expected --given.color=VALUE"),
    ):
        code, _, errors = tiny.mmgen("sample", f"--workdir={run}", f"--out={tmp_path / 'new'}", argument)
        assert code == 1 and line in errors and not (tmp_path / "new").exists()
    code, _, errors = tiny.mmgen("evaluate", f"--workdir={run}", "--given.color=2")
    assert code == 1 and errors == "mmgen: --given.color: is for mmgen sample and mmgen retrieve\n"


@pytest.mark.slow
def test_each_of_several_texts_is_drawn_num_times(run, tmp_path):
    (tmp_path / "prompts.txt").write_text("a red star\na blue circle\na small ring\n")
    drawn = api.sample(run, {"text": f"@{tmp_path / 'prompts.txt'}", "color": 1}, num=2)["image"]
    assert len(drawn) == 6
    alone = api.sample(run, {"text": "a red star", "color": 1}, num=2)["image"]
    np.testing.assert_allclose(drawn[:2], alone, atol=1e-6)
    assert not np.allclose(drawn[2:4], alone, atol=1e-3)


@pytest.mark.slow
def test_two_conditions_of_one_kind_are_given_by_name(tmp_path):
    config = tiny.config("gan", steps=1)
    with config.unlocked():
        config.data.names = ("text", "image", "color", "shape")
        config.encoders = {"color": {"name": "label"}, "shape": {"name": "label"}}
    train.train(tiny.shrink(config, steps=1), tmp_path / "run")
    drawn = api.sample(tmp_path / "run", {"color": 0, "shape": 1}, num=2)["image"]
    other = api.sample(tmp_path / "run", {"color": 0, "shape": 2}, num=2)["image"]
    assert len(drawn) == 2 and not np.array_equal(drawn, other)
    code, _, errors = tiny.mmgen("sample", f"--workdir={tmp_path / 'run'}", f"--out={tmp_path / 'out'}")
    assert code == 1 and "give at least one of --given.color, --given.shape" in errors


class Pair:
    """Stands in for a model that draws two targets from a label: it has what `sample.draw` asks for."""

    targets, target = ("edges", "photo"), "edges"
    conditions = ("animal",)
    modalities = MODALITIES

    @property
    def system(self):
        return self

    def __call__(self, batch, given=(), numbers=None):
        self.seen = batch, given
        return {name: MODALITIES[name].zeros(len(batch["animal"])) for name in self.targets}


def test_a_target_may_be_given_where_another_is_left_to_draw(tmp_path):
    PIL.Image.new("L", (8, 8), 255).save(tmp_path / "a.png")
    pair, edges = Pair(), str(tmp_path / "a.png")
    batch = sample.batch_of(pair, {"animal": "cat", "edges": edges}, num=2)
    drawn = sample.draw(pair, batch, num=2)
    assert list(drawn) == ["photo"] and len(drawn["photo"]) == 2
    assert pair.seen[1] == ("edges",) and (pair.seen[0]["edges"] == 1).all()
    assert list(sample.draw(pair, sample.batch_of(pair, {"animal": "cat"}, 2), 2)) == ["edges", "photo"]
    with pytest.raises(ConfigError, match=r"all that the model draws is given \(photo, edges\); leave one out"):
        sample.batch_of(pair, {"photo": edges, "edges": edges}, num=2)
    pair.targets = ("edges",)  # the only target is nothing that can be given
    with pytest.raises(ConfigError, match=r"--given.edges: the model has no such condition; it has: animal"):
        sample.batch_of(pair, {"edges": edges}, num=2)


def test_files_of_texts_have_equal_lengths(tmp_path):
    pair = Pair()
    pair.conditions, pair.modalities = ("caption", "title"), MODALITIES | {"title": MODALITIES["caption"]}
    for name, lines in (("two", "red\nstar\n"), ("three", "red\nstar\na\n")):
        (tmp_path / name).write_text(lines)
    two, three = f"@{tmp_path / 'two'}", f"@{tmp_path / 'three'}"
    batch = sample.batch_of(pair, {"caption": two, "title": "red"}, num=3)
    words = {name: [TOKENIZER.decode(ids) for ids in rows] for name, rows in batch.items()}
    assert words == {"caption": ["red"] * 3 + ["star"] * 3, "title": ["red"] * 6}
    with pytest.raises(ConfigError, match=r"--given\.caption: expected one or 3, as others have, got 2"):
        sample.batch_of(pair, {"caption": two, "title": three}, num=1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.5 -1 2", [[0.5, -1, 2]]),
        ("[0.5, -1, 2]", [[0.5, -1, 2]]),
        ([0.5, -1, 2], [[0.5, -1, 2]]),
        (np.array([[0.5, -1, 2], [1, 2, 3]], np.float32), [[0.5, -1, 2], [1, 2, 3]]),
    ],
)
def test_numbers_are_given_as_they_are(value, expected):
    pose = Modality("vector", (3,))
    np.testing.assert_array_equal(prompts.read_given({"pose": value}, ("pose",), {"pose": pose})["pose"], expected)


def test_one_number_and_lists_of_numbers(tmp_path):
    age, walk = Modality("vector", (1,)), Modality("vector", (2, 2))
    for value in (3.5, "3.5", [3.5]):
        assert prompts.read_given({"age": value}, ("age",), {"age": age})["age"].tolist() == [[3.5]]
    assert prompts.read_given({"age": [3.5, 4]}, ("age",), {"age": age})["age"].tolist() == [[3.5], [4]]
    for value in ("[[0, 1], [2, 3]]", [[0, 1], [2, 3]]):
        assert prompts.read_given({"walk": value}, ("walk",), {"walk": walk})["walk"].tolist() == [[[0, 1], [2, 3]]]
    row = Modality("vector", (1, 2))
    assert prompts.read_given({"row": "[[1, 2]]"}, ("row",), {"row": row})["row"].tolist() == [[[1, 2]]]
    np.save(tmp_path / "a.npy", np.ones(1, np.float32))
    assert prompts.read_given({"age": str(tmp_path / "a.npy")}, ("age",), {"age": age})["age"].tolist() == [[1]]
    with pytest.raises(DataError, match=r"--given.age: age.shape: expected \[1\], got \[2\]"):
        prompts.read_given({"age": "1 2"}, ("age",), {"age": age})
    with pytest.raises(InputError, match=r"photo: expected a file's name or an array, got 3"):
        prompts.read_given({"photo": 3}, ("photo",), {"photo": Modality("image", (2, 2, 1))})
