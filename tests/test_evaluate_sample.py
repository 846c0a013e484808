"""What is done with a trained run: drawing from it and measuring it, from its folder alone."""

import dataclasses
import json

import jax
import numpy as np
import PIL.Image
import pytest
import tiny

from mmgen_jax import evaluate, sample, train
from mmgen_jax.config import schema
from mmgen_jax.config.override import override
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import text as text_kind
from mmgen_jax.modalities.grid import to_uint8
from mmgen_jax.runs import workdir as workdirs
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.runs.workdir import read_workdir, restore
from mmgen_jax.training import checkpoint, parallel
from mmgen_jax.training.state import averaged


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """`(workdir, state)` of a text-to-image VAE, trained for a few steps."""
    workdir = tmp_path_factory.mktemp("run") / "vae"
    config = tiny.config("vae", steps=3)
    with config.unlocked():
        config.evaluators = {
            "pixels": {"name": "reconstruction", "splits": ("test", "compositional")},
            "copy": {"name": "reconstruction", "from_target": True},
        }
        config.train.update({"checkpoint_steps": 1, "keep_checkpoints": 0})
    return workdir, train.train(config, workdir)


@pytest.fixture(scope="module")
def restored(run):
    return restore(run[0], batch_size=8)


def conditions(restored, num=5):
    _, system, _, _ = restored
    texts = ["a large red star", "a small blue circle"]
    tokenizer, length = system.modalities["text"].tokenizer, system.modalities["text"].shape[0]
    return {"text": np.stack([tokenizer.encode(texts[i % 2], length) for i in range(num)])}


@pytest.mark.slow
def test_what_a_folder_holds_is_what_was_trained(run, restored):
    _, state = run
    _, system, sampler, step = restored
    assert step == 3 and system.target == "image" and system.conditions == ("text",)
    expected = jax.tree.leaves(averaged(state))
    for a, b in zip(jax.tree.leaves(sampler._variables), expected):
        np.testing.assert_array_equal(a, b)
    # The average, not the last parameters.
    assert any(not np.array_equal(a, b) for a, b in zip(expected, jax.tree.leaves((state.params, state.collections))))


def test_a_restored_run_draws_what_the_loop_drew(run, restored):
    """In the loop, the parameters were on their way through a donation; from the folder, through a file."""
    _, state = run
    config, system, sampler, _ = restored
    batch = conditions(restored, num=8)
    layout = parallel.create("jit", config.train.batch_size)
    live = Sampler(system, layout, 8, config.seed).load(*averaged(state))
    drawn = sampler.load(*sampler._variables)(batch)["image"]
    np.testing.assert_array_equal(drawn, live(batch)["image"])
    tiny.assert_sample(drawn, system.modalities["image"], 8)


def test_any_number_of_examples_and_the_same_calls_give_the_same_samples(restored):
    sampler = restored[2]
    variables = sampler._variables
    batch = conditions(restored, num=11)  # one batch of 8, and 3 that are filled up
    first = sampler.load(*variables)(batch)["image"]
    second = sampler(batch)["image"]
    assert first.shape == (11, 16, 16, 3)
    assert len(np.unique(first[0::2], axis=0)) == 6  # one prompt, six noises
    assert not np.array_equal(first, second)
    again = sampler.load(*variables)
    np.testing.assert_array_equal(again(batch)["image"], first)
    np.testing.assert_array_equal(again(batch)["image"], second)


def test_what_the_model_lacks_is_refused(restored):
    with pytest.raises(ValueError, match="has no 'embed'"):
        restored[2].embed(conditions(restored))
    assert restored[2].supports("elbo") and not restored[2].supports("embed")


def test_samples_are_files(run, tmp_path):
    workdir, _ = run
    paths = sample.sample(workdir, tmp_path / "a", {"text": "a large red star"}, num=3)
    assert paths and all(path.is_file() and path.parent == tmp_path / "a" for path in paths)
    same = sample.sample(workdir, tmp_path / "b", {"text": "a large red star"}, num=3)
    other = sample.sample(workdir, tmp_path / "c", {"text": "a large red star"}, num=3, seed=1)
    pixels = [
        np.asarray(PIL.Image.open(next(p for p in found if p.suffix == ".png"))) for found in (paths, same, other)
    ]
    np.testing.assert_array_equal(pixels[0], pixels[1])
    assert pixels[0].shape == pixels[2].shape and not np.array_equal(pixels[0], pixels[2])
    assert [path.name for path in paths] == ["image.png", "image_0.png", "image_1.png", "image_2.png"]
    _, system, sampler, _ = restore(workdir, batch_size=3)
    drawn = sample.draw(sampler, sample.batch_of(system, {"text": "a large red star"}, 3), 3)
    alone = np.stack([np.asarray(PIL.Image.open(path)) for path in paths[1:]])
    np.testing.assert_array_equal(alone, to_uint8(drawn["image"]))


def test_a_checkpoint_of_an_earlier_step_is_measured_beside_the_newest(run, tmp_path):
    workdir, _ = run
    newest = (workdir / "evaluation.json").read_text()
    code, printed, errors = tiny.mmgen("evaluate", f"--workdir={workdir}", "--split=test", "--step=2")
    assert code == 0 and "test/pixels/psnr" in printed, errors
    content = json.loads((workdir / "evaluation_2.json").read_text())
    assert content["checkpoint_step"] == 2 and (workdir / "evaluation.json").read_text() == newest
    before = json.loads(newest)["metrics"]["test/pixels/psnr"]["value"]
    assert content["metrics"]["test/pixels/psnr"]["value"] != before
    assert restore(workdir, step=1)[3] == 1
    arguments = "sample", f"--workdir={workdir}", f"--out={tmp_path / 'out'}", "--text=a red star", "--step=7"
    code, _, errors = tiny.mmgen(*arguments)
    assert code == 1 and "has no checkpoint of step 7; it has [1, 2, 3]" in errors


def test_other_sampling_is_measured_and_not_written(run, monkeypatch):
    before = (run[0] / "evaluation.json").read_text()
    monkeypatch.setattr("mmgen_jax.objectives.variational.Objective.sampling", ("scale",), raising=False)
    changed = evaluate.evaluate(run[0], "test", {"objective.scale": 0.3})
    assert changed and (run[0] / "evaluation.json").read_text() == before


def test_what_only_decoding_reads_may_be_changed():
    config = schema.base()
    config.objective = {"name": "diffusion"}
    config.representation = {"name": "vq_vae", "of": {"name": "log_mel"}}
    changed = workdirs.changed(config, {"representation.of.num_iterations": "64"})
    assert changed.representation.of.num_iterations == 64
    config.representation = {"sound": {"name": "log_mel"}, "photo": {"name": "identity"}}
    assert workdirs.changed(config, {"representation.sound.momentum": 0.0}).representation.sound.momentum == 0
    with pytest.raises(ConfigError, match=r"fixed by the training.*representation.sound.num_iterations"):
        workdirs.changed(config, {"representation.sound.n_mels": 40})


@pytest.mark.parametrize(
    "field, got",
    [
        ("beta", "is fixed by the training; 'variational' can change in sampling: nothing"),
        ("temperature", "config.objective has no field 'temperature'; it has: "),
        ("latent_dims", "config.objective has no field 'latent_dims'; did you mean 'latent_dim'? it has: "),
    ],
)
def test_a_refused_change_says_whether_its_field_exists_and_what_sampling_can_change(field, got):
    config = schema.base()
    config.data = {"name": "folder", "directory": "pets"}
    config.objective = {"name": "variational", "latent_dim": 4, "beta": 1.0}
    with pytest.raises(ConfigError) as error:
        workdirs.changed(config, {f"objective.{field}": "0.5"})
    assert str(error.value).startswith(f"--config.objective.{field}: {got}")
    assert str(error.value).endswith("; 'variational' can change in sampling: nothing")


def test_what_training_fixed_is_not_changed_in_sampling(run, tmp_path):
    code, _, error = tiny.mmgen("sample", f"--workdir={run[0]}", f"--out={tmp_path}", "--config.objective.latent_dim=3")
    assert (
        code == 1 and "--config.objective.latent_dim: is fixed by the training" in error and not [*tmp_path.iterdir()]
    )


def test_a_model_that_draws_nothing_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr("mmgen_jax.objectives.variational.Objective.abilities", frozenset())
    with pytest.raises(ConfigError, match="its objective draws nothing; measure it with mmgen evaluate"):
        sample.sample(run[0], tmp_path / "out", {"text": "a large red star"}, num=1)


def test_words_that_an_open_vocabulary_lacks_are_named(run, tmp_path, monkeypatch):
    config, modalities = read_workdir(run[0])
    text = modalities["text"]
    text = dataclasses.replace(text, tokenizer=dataclasses.replace(text.tokenizer, open=True, _ids={}))
    for module in (sample, workdirs):
        monkeypatch.setattr(module, "read_workdir", lambda _: (config, modalities | {"text": text}))
    named = []
    monkeypatch.setattr(text_kind.logging, "warning", lambda message, *words: named.append(words))
    sample.sample(run[0], tmp_path / "out", {"text": "a red star"}, num=1)
    assert not named
    sample.sample(run[0], tmp_path / "other", {"text": "a purple velvet star"}, num=1)
    assert named == [("text", "purple, velvet")]


def test_the_command_prints_the_files(run, tmp_path):
    arguments = [f"--workdir={run[0]}", f"--out={tmp_path / 'out'}", "--text=a large red star", "--num=2"]
    code, printed, errors = tiny.mmgen("sample", *arguments)
    assert code == 0, errors
    assert [str(path) for path in sorted((tmp_path / "out").iterdir())] == sorted(printed.split())


def test_samples_do_not_replace_files_unasked(run, tmp_path):
    arguments = "sample", f"--workdir={run[0]}", f"--out={tmp_path / 'out'}", "--text=a large red star", "--num=1"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".DS_Store").touch()  # a system's own file is no file of the user's
    assert tiny.mmgen(*arguments)[0] == 0
    (tmp_path / "out" / "notes.txt").write_text("mine")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    code, _, error = tiny.mmgen(*arguments, "--seed=1")
    assert code == 1 and "it holds image.png and 2 more; give another one, or --overwrite" in error
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert tiny.mmgen(*arguments, "--seed=1", "--overwrite")[0] == 0
    after = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert sorted(path.name for path in before if after[path] != before[path]) == ["image.png", "image_0.png"]


def test_evaluation_file(run):
    workdir, _ = run
    content = json.loads((workdir / "evaluation.json").read_text())
    assert content["checkpoint_step"] == 3 and set(content) == {"checkpoint_step", "config", "data", "metrics"}
    metrics = content["metrics"]
    expected = {"test/pixels", "compositional/pixels", "test/copy"}
    assert {name.rpartition("/")[0] for name in metrics} == expected
    assert all(np.isfinite(entry["value"]) and entry["n"] == 16 for entry in metrics.values())
    # The loop also writes them where the other metrics are.
    logged = [line for line in tiny.metrics_lines(workdir) if "test/pixels/psnr" in line]
    assert len(logged) == 1 and logged[0]["step"] == 3
    assert logged[0]["test/pixels/psnr"] == metrics["test/pixels/psnr"]["value"]


def test_what_was_measured_is_printed_although_it_cannot_be_written(run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", str(run[0] / evaluate.FILE))

    monkeypatch.setattr(evaluate, "write", full)
    code, printed, errors = tiny.mmgen("evaluate", f"--workdir={run[0]}", "--split=test")
    assert code == 1 and "test/pixels/psnr" in printed
    assert errors.splitlines()[-1] == f"mmgen: {run[0] / evaluate.FILE}: No space left on device"


def test_evaluating_again_gives_the_same_numbers(run):
    workdir, _ = run
    before = evaluate.read(workdir)
    code, printed, errors = tiny.mmgen("evaluate", f"--workdir={workdir}")
    assert code == 0, errors
    after = evaluate.read(workdir)
    assert after.keys() == before.keys()
    for name, entry in after.items():
        np.testing.assert_allclose(entry["value"], before[name]["value"], rtol=1e-6, err_msg=name)
        assert name in printed


@pytest.mark.slow
def test_one_split_keeps_the_others_entries_of_the_same_checkpoint(run):
    workdir, _ = run
    file = workdir / "evaluation.json"
    before = evaluate.read(workdir)
    measured = evaluate.evaluate(workdir, split="train")
    assert {name.partition("/")[0] for name in measured} == {"train"}
    train.train(read_workdir(workdir)[0], workdir)  # a finished run is only measured again
    assert {name.partition("/")[0] for name in evaluate.read(workdir)} == {"train", "test", "compositional"}
    alone = evaluate.evaluate(workdir, split="compositional")["compositional/pixels/psnr"]
    assert alone == before["compositional/pixels/psnr"]  # the same noise, whatever else is measured
    stale = json.loads(file.read_text()) | {"checkpoint_step": 2}
    file.write_text(json.dumps(stale))
    evaluate.evaluate(workdir, split="test")
    assert {name.partition("/")[0] for name in evaluate.read(workdir)} == {"test"}
    evaluate.evaluate(workdir)
    with pytest.raises(ConfigError, match="split 'tset': scenes has the splits train, test, compositional"):
        evaluate.evaluate(workdir, split="tset")


def test_a_finished_run_started_again_changes_nothing(run):
    workdir, state = run
    files = {
        path: path.read_bytes() for path in workdir.rglob("*") if path.name in ("metrics.jsonl", "evaluation.json")
    }
    config = read_workdir(workdir)[0]
    again = train.train(config, workdir)
    jax.tree.map(np.testing.assert_array_equal, again, state)
    assert {path: path.read_bytes() for path in files} == files


@pytest.mark.slow
def test_a_run_goes_on_for_longer(tmp_path):
    config = override(tiny.config("autoencoder", steps=2), {"parallel.num_devices": 1})
    train.train(config, tmp_path)
    longer = override(config, {"train.steps": 4, "train.log_steps": 2})
    assert train.train(longer, tmp_path).step == 4
    assert [line["step"] for line in tiny.metrics_lines(tmp_path)][:2] == [1, 2]
    with checkpoint.Checkpointer(tmp_path / "checkpoints", create=False) as checkpoints:
        assert checkpoints.latest_step() == 4


def test_table_shows_what_stands_beside():
    metrics = {
        "test/a/accuracy": {
            "value": 0.5,
            "n": 10,
            "interval": [0.25, 0.75],
            "judge_accuracy": 0.99,
            "note": "no number",
        },
        "test/b": {"value": 2.0},
    }
    first, second = evaluate.table(metrics).splitlines()
    assert first.split() == ["test/a/accuracy", "0.5000", "[0.2500,", "0.7500]", "judge_accuracy", "0.9900", "n=10"]
    assert second.split() == ["test/b", "2.0000"]
    assert evaluate.table({}) == ""
