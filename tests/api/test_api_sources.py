"""What a notebook holds as the data of a run: arrays, rows, data sets as those of HuggingFace and PyTorch."""

import numpy as np
import pytest
from PIL import Image

from mmgen_jax import api, evaluate
from mmgen_jax.api import sources
from mmgen_jax.config import loading, own_data
from mmgen_jax.config.system import open_source
from mmgen_jax.data.files import npz_columns
from mmgen_jax.errors import ConfigError, DataError, InputError

N = 40
RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (N, 20, 20, 3), np.uint8)
TEXTS = np.array([f"a {'large' if i % 2 else 'small'} thing" for i in range(N)])
LABELS = np.arange(N) % 3


def read(arrays, folder, **fields):
    """The examples of every split, and the source of the training split."""
    np.savez(folder / "own.npz", **arrays)
    config = loading.load("dcgan").copy_and_resolve_references().unlock()
    config.data = {"name": "npz", "file": str(folder / "own.npz"), **fields}
    opened = [open_source(config, split) for split in ("train", "validation", "test")]
    return [source.read(np.arange(len(source)), np.zeros(len(source), int)) for source in opened], opened[0]


SPLITS = {"train": slice(30), "test": slice(30, None)}


class Feature:
    names = ("cat", "dog", "fox")


class HuggingFace:
    """What a `datasets.Dataset` can do."""

    features = {"img": object(), "label": Feature(), "caption": object()}

    def __len__(self):
        return N

    def __getitem__(self, i):
        picture = Image.fromarray(PICTURES[i]).resize((20 + i % 2, 20))
        return {"img": picture, "label": int(LABELS[i]), "caption": str(TEXTS[i]) if i else None}


class Tensor:
    """What a `torch.Tensor` can do."""

    def __init__(self, array):
        self.array, self.ndim, self.shape = array, array.ndim, array.shape

    def numpy(self):
        return self.array


class Torch:
    classes = ["cat", "dog", "fox"]

    def __len__(self):
        return N

    def __getitem__(self, i):
        return Tensor(np.moveaxis(PICTURES[i], -1, 0).astype(np.float32) / 255), int(LABELS[i])


@pytest.mark.parametrize(
    "source, names, numbered",
    [
        (HuggingFace(), (), False),
        (Torch(), (), False),
        (({"picture": p, "label": l} for p, l in zip(PICTURES, LABELS)), {"picture": "image"}, True),
        ([(p, int(l)) for p, l in zip(PICTURES, LABELS)], ("image", "label"), True),
        ({part: {"image": PICTURES[rows], "label": LABELS[rows]} for part, rows in SPLITS.items()}, (), True),
        ({"image": PICTURES, "label": np.array(Feature.names)[LABELS]}, (), False),
    ],
    ids=["HuggingFace", "PyTorch", "dicts", "tuples", "splits", "arrays"],
)
def test_what_a_notebook_holds_becomes_arrays(source, names, numbered, tmp_path):
    arrays = sources.to_arrays(source, names, side=20)
    parts, opened = read(arrays, tmp_path)
    assert opened.modalities["image"].shape == (20, 20, 3) and sum(len(part["image"]) for part in parts) == N
    assert opened.modalities["label"].classes == (("0", "1", "2") if numbered else Feature.names)
    if isinstance(source, HuggingFace):
        assert sum(int((~part["text/mask"]).sum()) for part in parts) == 1
    else:
        every = np.concatenate([part["image"] for part in parts])
        np.testing.assert_allclose(
            np.sort(every.sum((1, 2, 3))), np.sort((PICTURES / 127.5 - 1).sum((1, 2, 3))), atol=1e-3
        )


@pytest.mark.parametrize(
    "source, names, message",
    [
        ([], (), "expected at least one example"),
        (5, (), "expected arrays by name, rows, a path"),
        ([(1.5, "a")], (), r"expected names=\(…\) for the 2 places"),
        ([(1, 2)], ("a",), "expected one for each of 2 places"),
        ([{"pose": np.zeros(2)}, {"pose": np.zeros((2, 2))}], (), r"pose: expected one shape for all examples"),
    ],
)
def test_a_source_that_is_none(source, names, message):
    with pytest.raises(InputError, match=message):
        sources.to_arrays(source, names)


META = {"img": PICTURES, "meta": [{"a": 1}] * N}
BOXES = [np.zeros((1 + i % 2, 4)) for i in range(N)]
IMDB = {
    "train": [{"text": str(text), "label": int(label)} for text, label in zip(TEXTS, LABELS)],
    "test": [{"text": str(text), "label": int(label)} for text, label in zip(TEXTS, LABELS)],
    "unsupervised": [{"text": str(text)} for text in TEXTS],
}


@pytest.mark.parametrize(
    "source, names, message, mended",
    [
        (META, {}, r"meta: expected pictures, .*, got a dict in example 0, .*names=\{'meta': None\}", {"meta": None}),
        (
            {"image": PICTURES, "bbox": BOXES},
            {},
            r"bbox: expected one shape .* got \[1, 4\] and \[2, 4\]",
            {"bbox": None},
        ),
        (
            {"image": PICTURES, "ids": [[0] * (1 + i % 3) for i in range(N)]},
            {},
            r"ids: expected one shape for all examples, got \[1\] and \[3\]; .*names=\{'ids': None\}",
            {"ids": None},
        ),
        (
            {"image": PICTURES, "boxes": [[[0, 1], [2]]] * N},
            {},
            "boxes: expected numbers of one shape, got lists of several lengths in example 0",
            {"boxes": None},
        ),
        (
            {"text": [*TEXTS[1:], float("nan")], "label": LABELS},
            {},
            "text: expected texts, got a float in example 39",
            {"text": None},
        ),
        ({"text": [["a", "b"]] * 9 + [["a", 3]], "label": LABELS[:10]}, {}, "got a list in example 9", {"text": None}),
        (
            {"text": TEXTS, "sentence": TEXTS},
            {},
            r"sentence: expected one field called text, got text as well; .*names=\{'sentence': None\}",
            {"sentence": None},
        ),
        (IMDB, {}, r"unsupervised: expected the splits .*names=\{'unsupervised': None\}", {"unsupervised": None}),
        (
            {"train": IMDB["train"], "test": IMDB["unsupervised"]},
            {},
            r"test: label: expected every field in every split, .*names=\{'label': None\}",
            {"label": None},
        ),
        (
            {"train": META, "test": META},
            {"img": "image"},
            r"train: meta: expected pictures, sounds, .* got a dict in example 0",
            {"img": "image", "meta": None},
        ),
        ([(p, {}) for p in PICTURES], ("image", "meta"), "meta: .*None in its place of names=", ("image", None)),
        ({"image": PICTURES}, {"imgae": None}, "names: no field 'imgae'; did you mean 'image'", {}),
        ({"image": 5}, {}, "image: expected a value of every example, got 5", None),
    ],
)
def test_a_field_that_cannot_be_used_is_named_and_can_be_left_out(source, names, message, mended):
    with pytest.raises(InputError, match=message) as error:
        sources.to_arrays(source, names)
    assert "\n" not in str(error.value)
    assert mended is None or sources.to_arrays(source, mended)


def test_arrays_beside_an_array_are_kept():
    source = {"audio": np.zeros((4, 80)), "audio/sample_rate": 8000, "label": [0, 1, 0, 1], "label/classes": ["a", "b"]}
    found = sources.to_arrays(source)
    assert found["audio/sample_rate"] == 8000 and found["label/classes"].tolist() == ["a", "b"]
    assert {"audio/sample_rate", "label_train"} < set(sources.to_arrays({"train": source, "test": source}))


CAPTIONS = [["a red pet", "a pet"][: 1 + i % 2] if i else None for i in range(N)]


@pytest.mark.parametrize("as_rows", [True, False])
def test_an_example_may_have_several_texts(as_rows, tmp_path):
    """Training draws one of them in each pass, other splits show the first, and all are references."""
    rows = [{"image": p, "text": texts} for p, texts in zip(PICTURES, CAPTIONS)]
    arrays = sources.to_arrays(rows if as_rows else {"image": PICTURES, "text": CAPTIONS})
    assert arrays["text"].tolist()[:3] == [["", ""], ["a red pet", "a pet"], ["a red pet", ""]]
    parts, source = read(arrays, tmp_path)
    assert sum(int((~part["text/mask"]).sum()) for part in parts if "text/mask" in part) == 1
    words = source.modalities["text"].tokenizer
    assert {words.decode(ids) for part in parts[1:] for ids in part["text"]} <= {"a red pet", ""}
    every = np.arange(len(source))
    drawn = [
        [words.decode(ids) for ids in source.read(every, np.full(len(every), epoch))["text"]] for epoch in range(8)
    ]
    assert {"a red pet", "a pet"} in [set(texts) for texts in zip(*drawn)] and len(set(map(tuple, drawn))) > 1
    own = np.array(words.encode("a pet", source.modalities["text"].shape[0]))
    assert {words.decode(ids) for ids in source.references("text", own)} == {"a red pet", "a pet"}
    assert source.layout_found()[0].startswith("text: 20 of 39 examples have several texts (2 to 2)")


def test_splits_may_have_other_numbers_of_texts(tmp_path):
    """Also beside a split with one text an example; a picture with a text is a pair (`retrieval_judge`)."""
    texts = {"train": [["a", "b", "c"]] * N, "validation": ["a"] * N, "test": [["a", "b"], None] * (N // 2)}
    arrays = sources.to_arrays({part: {"image": PICTURES, "text": some} for part, some in texts.items()})
    (train, validation, test), _ = read(arrays, tmp_path)
    assert [len(part["text"]) for part in (train, validation, test)] == [N, N, N]
    assert validation["text/mask"].all() and test["text/mask"].tolist() == [True, False] * (N // 2)
    held = own_data.look({"name": "npz", "file": str(tmp_path / "own.npz")}, 0)
    assert [held.captioned.count(part) for part in texts] == [N, N, N // 2]


CHANGES = {"train.steps": 1, "train.batch_size": 8, "parallel.num_devices": 1, "generator.width": 8}
CHANGES |= {"target_encoder.channels": (8, 8), "train.num_samples": 2, "data.image_size": 16}
CHANGES |= {"optimizers.generator.warmup_steps": 0}


@pytest.mark.parametrize(
    "source, changes, message",
    [
        ({"image": PICTURES, "text": [{}] * N}, {}, "text: expected pictures"),
        ({"image": PICTURES[:9], "text": TEXTS}, {}, r"^source: text\.length: expected 9 as image has, got 40"),
        ({"image": PICTURES}, {}, "^source: the config reads text, and the data has: image"),
        ({"image": PICTURES[:6], "text": TEXTS[:6]}, {}, "expected at least batch_size = 8 examples, got 4"),
        ({"image": PICTURES, "text": TEXTS}, {"train.step": 3}, "has no field 'step'"),
        ("no/such/folder", {}, "expected a folder, got nothing"),
    ],
)
def test_a_refused_source_leaves_nothing_behind(source, changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        api.train("text_to_image_vae", tmp_path / "runs/own", source=source, changes=CHANGES | changes)
    assert not list(tmp_path.iterdir())


def test_an_array_may_have_any_name(tmp_path):
    npz_columns.write(tmp_path / "a.npz", {"file": np.arange(3), "image": np.zeros((3, 2, 2, 1), np.uint8)})
    with np.load(tmp_path / "a.npz", allow_pickle=False) as read:
        np.testing.assert_array_equal(read["file"], np.arange(3))
        assert read["image"].shape == (3, 2, 2, 1)


def test_pictures_of_0_and_1_are_not_taken_for_black(tmp_path):
    with pytest.raises(DataError, match=r"image.range: expected uint8 from 0 to 255, got uint8 of 0 and 1 alone"):
        read({"image": np.tile(np.eye(8, dtype=np.uint8)[None, ..., None], (20, 1, 1, 1))}, tmp_path)


def test_arrays_are_not_written_beside_other_files(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="holds files but no run"):
        api.train("text_to_image_vae", tmp_path, source={"image": PICTURES, "text": TEXTS}, changes=CHANGES)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.slow
def test_a_run_keeps_its_data(tmp_path, monkeypatch):
    """Trained from arrays; measured and gone on with later, without them; other data is refused."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    data = {"image": PICTURES, "text": TEXTS}
    api.train("text_to_image_vae", "~/run", source=data, changes=CHANGES)
    assert not (tmp_path / "~").exists() and (tmp_path / "run/data.npz").is_file()
    assert api.evaluate("~/run")["test/reconstruction/psnr"]["n"] == 4
    assert api.sample(tmp_path / "run", {"text": "a small thing"}, num=2)["image"].shape == (2, 16, 16, 3)
    assert int(api.train("text_to_image_vae", tmp_path / "run", source=data, changes=CHANGES).step) == 1
    with pytest.raises(ConfigError, match="holds a run on other data"):
        api.train("text_to_image_vae", tmp_path / "run", source=data | {"text": TEXTS[::-1]}, changes=CHANGES)
    (tmp_path / "run/data.npz").rename(tmp_path / "moved.npz")
    with pytest.raises(DataError, match="got nothing"):
        api.evaluate("~/run")
    moved = api.evaluate("~/run", changes={"data.file": str(tmp_path / "moved.npz")})
    assert moved == evaluate.read(tmp_path / "run") and "test/reconstruction/psnr" in moved


@pytest.mark.slow
def test_a_run_is_resumed_on_its_own_data_alone(tmp_path):
    """Without it the message says how the data is given; the file in the workdir is enough, here and in a command."""
    changes = CHANGES | {"optimizers.generator.schedule": "constant"}
    data, run = {"image": PICTURES, "text": TEXTS}, tmp_path / "run"
    api.train("text_to_image_vae", run, source=data, changes=changes)
    more = changes | {"train.steps": 2}
    again = rf"holds a run on data of your own \({run}/data.npz\); give .* source=.*--config=NAME:npz={run}/data.npz$"
    with pytest.raises(ConfigError, match=again):
        api.train("text_to_image_vae", run, changes=more)
    assert int(api.train("text_to_image_vae", run, source=run / "data.npz", changes=more).step) == 2
    config = loading.load(f"text_to_image_vae:npz={run}/data.npz")
    assert int(api.train(config, run, changes=changes | {"train.steps": 3}).step) == 3
