"""`mmgen retrieve`: the nearest examples of the held-out split to a text and to a picture."""

import json
import shutil

import numpy as np
import PIL.Image
import pytest
import tiny

from mmgen_jax import retrieve, train
from mmgen_jax.config import loading, override
from mmgen_jax.data import scenes, subset
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import save
from mmgen_jax.modalities.grid import to_uint8
from mmgen_jax.runs.workdir import restore


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained model's workdir, the test split it searches, and the unit vectors of that: pictures, then texts."""
    workdir = tmp_path_factory.mktemp("retrieval") / "run"
    config = override.override(
        tiny.shrink(loading.load("configs/image_text_retrieval.py"), steps=4, checkpoint_steps=4), {"data.num_test": 30}
    )
    train.train(config, workdir)
    _, _, sampler, _ = restore(workdir)
    examples = scenes.Source(
        names=("text", "image"), split="test", num_test=30, image_size=16, tell_motion=False, seed=config.seed
    ).read(np.arange(30))
    return workdir, examples, *sampler.embed_pair(examples)


@pytest.fixture
def saved(monkeypatch):
    """What was last written as samples: the arrays, and what is said of each."""
    last = {}
    write = save.save_samples

    def record(out, step, samples, modalities, prompts, conditions):
        last.update(samples=samples, prompts=prompts)
        return write(out, step, samples, modalities, prompts, conditions)

    monkeypatch.setattr(save, "save_samples", record)
    return last


def test_a_text_finds_the_nearest_pictures_with_their_texts(run, saved, tmp_path):
    workdir, examples, pictures, texts = run
    caption = scenes.Source(names=("text",)).modalities["text"].tokenizer.decode(examples["text"][7])
    paths = retrieve.retrieve(workdir, tmp_path / "out", {"text": caption}, num=5)
    cosines = pictures @ texts[7]
    expected = np.argsort(-cosines, kind="stable")[:5]
    np.testing.assert_array_equal(saved["samples"]["image"], examples["image"][expected])
    assert [prompt.split()[0] for prompt in saved["prompts"]] == [f"{cosines[i]:.3f}" for i in expected]
    assert paths == [tmp_path / "out" / "image.png", tmp_path / "out" / "nearest.jsonl"]
    found = [json.loads(line) for line in paths[1].read_text().splitlines()]
    assert [(line["split"], line["index"]) for line in found] == [("test", i) for i in expected]
    np.testing.assert_allclose([line["cosine"] for line in found], cosines[expected], rtol=1e-5)
    assert len(set(saved["prompts"])) > 1
    retrieve.retrieve(workdir, tmp_path / "train", {"text": caption}, num=1, split="train")
    assert json.loads((tmp_path / "train" / "nearest.jsonl").read_text())["split"] == "train"
    assert all(len(prompt.split()) > 2 for prompt in saved["prompts"])  # the pictures' own captions


def test_places_of_a_part_are_those_of_its_own_examples():
    class Files:
        def __len__(self):
            return 40

        def places(self, indices):
            return [f"{i}.png" for i in indices]

    some = subset.Subset(Files(), 0.25, seed=0)
    assert some.places([0, 3]) == [f"{some._rows[i]}.png" for i in (0, 3)] != ["0.png", "3.png"]
    assert not hasattr(subset.Subset(range(4), 0.5, seed=0), "places")


def test_a_model_that_draws_is_refused_with_what_to_train(tmp_path):
    shutil.unpack_archive(tiny.ROOT / "tests" / "old_workdirs" / "gan.tar.gz", tmp_path)
    with pytest.raises(ConfigError, match=r"draws its target, and compares nothing; train one .*image_text_retrieval"):
        retrieve.retrieve(tmp_path / "gan", tmp_path / "out", {"text": "a large red star"}, num=1)


def test_a_picture_finds_the_nearest_texts(run, saved, tmp_path):
    workdir, examples, _, texts = run
    pixels = to_uint8(examples["image"][3])
    PIL.Image.fromarray(pixels).save(tmp_path / "query.png")
    _, _, sampler, _ = restore(workdir)
    query = examples["image"][3:4] * 0 + (pixels / 127.5 - 1).astype(np.float32)
    (vector,), _ = sampler.embed_pair({"image": query, "text": examples["text"][:1]})
    paths = retrieve.retrieve(workdir, tmp_path / "out", {"image": str(tmp_path / "query.png")}, num=100)
    expected = np.argsort(-(texts @ vector), kind="stable")
    np.testing.assert_array_equal(saved["samples"]["text"], examples["text"][expected])  # all 30: there are no more
    assert {path.name for path in paths} == {"text.txt", "text.png", "nearest.jsonl"}
    assert len((tmp_path / "out" / "text.txt").read_text().splitlines()) == 30


@pytest.mark.parametrize(
    "given, message",
    [
        ({}, r"expected --given.image to find the nearest text, or --given.text alone to find .* image; got nothing"),
        ({"text": "@queries.txt"}, r"--given.text: expected one to look for, got 2; give one of them"),
        ({"text": "a red star", "image": "query.png"}, r"got text, image"),
        (
            {"audio": "a.wav"},
            r"--given.audio: the model has no such condition; it has: image \(image\), text",
        ),
    ],
)
def test_a_query_that_cannot_be_is_refused(run, tmp_path, given, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    PIL.Image.new("RGB", (16, 16)).save("query.png")
    (tmp_path / "queries.txt").write_text("a red star\na blue star\n")
    with pytest.raises(ConfigError, match=message):
        retrieve.retrieve(run[0], tmp_path / "out", given, num=2)
    assert not (tmp_path / "out").exists()


def test_an_example_without_what_is_sought_is_no_candidate():
    vectors = np.eye(3, dtype=np.float32)

    class Towers:
        def embed_pair(self, batch):
            return vectors, vectors[::-1]

    batch = {"image": np.zeros((3, 2)), "text": np.zeros((3, 2)), "image/mask": np.array([True, False, True])}
    by_text = retrieve._cosines(Towers(), batch, vectors[2], ("image",), by_target=True)
    by_image = retrieve._cosines(Towers(), batch, vectors[2], ("text",), by_target=False)
    np.testing.assert_array_equal(by_text, [0, -np.inf, 1])
    np.testing.assert_array_equal(by_image, [1, 0, 0])
