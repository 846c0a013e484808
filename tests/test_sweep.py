"""Sweeps: what is refused before the first run, what is run, and what a line of the results says."""

import json
import pathlib

import numpy as np
import pytest

from mmgen_jax import evaluate, sweep, train
from mmgen_jax.baselines import base
from mmgen_jax.config import loading, override
from mmgen_jax.errors import DataError, SweepError
from mmgen_jax.results import lines
from mmgen_jax.results.cells import load
from mmgen_jax.training import progress

CONFIG = """
from mmgen_jax.config import schema

def get_config(arg=""):
    config = schema.base()
    data = {"name": "scenes", "names": ("image",), "image_size": 16, "num_train": 64, "num_test": 16}
    config.data = data | {"num_compositional": 16}
    config.target_encoder = {"name": "image.cnn", "features": 8, "channels": (8,), "norm": "none"}
    config.generator = {"name": "conv", "width": 8, "max_width": 8}
    config.objective = {"name": "reconstruction", "target": "image", "latent_dim": 4}
    config.optimizers = {"generator": {"lr": 1e-3}}
    config.evaluators = {"reconstruction": {"name": "reconstruction", "from_target": True, "num_examples": 8}}
    config.train.update({"steps": 6, "batch_size": 8, "log_steps": 1, "checkpoint_steps": 2, "num_samples": 1})
    config.parallel.num_devices = 1
    return config
"""

FLOW = """
from mmgen_jax.config import schema

def get_config(arg=""):
    config = schema.base()
    data = {"name": "scenes", "names": ("text", "image"), "image_size": 16, "num_train": 64, "num_test": 16}
    config.data = data | {"num_compositional": 16}
    config.encoders = {"text": {"name": "text.embedding", "features": 8}}
    config.fusion = {"name": "concat", "features": 8}
    config.generator = {"name": "unet", "channels": (8,)}
    config.objective = {"name": "diffusion", "target": "image", "sampling_steps": 2}
    config.optimizers = {"generator": {"lr": 1e-3}}
    config.evaluators = {"drawn": {"name": "reconstruction", "num_examples": 8}}
    config.train.update({"steps": 6, "batch_size": 8, "checkpoint_steps": 2, "num_samples": 1})
    config.parallel.num_devices = 1
    return config
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with `configs/tiny.py`; `write(entries)` gives it `experiments/made/sweep.py`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny.py").write_text(CONFIG)
    (tmp_path / "experiments" / "made").mkdir(parents=True)
    file = tmp_path / "experiments" / "made" / "sweep.py"

    def write(*entries):
        file.write_text(f"def cells():\n    return {list(entries)!r}\n")
        return file

    return write


def entry(seeds=(0,), **fields):
    return {"config": "configs/tiny.py", "seeds": seeds} | fields


def written(file):
    return lines.read(file.parent / lines.FILE)


def test_cells_are_named_and_told_apart(project):
    cells = load(project(entry((0, 1)), entry((0,), overrides={"objective.latent_dim": 8})))
    assert [cell.seed for cell in cells] == [0, 1, 0] == [cell.config.seed for cell in cells]
    assert cells[2].config.objective.latent_dim == 8
    assert cells[2].name.startswith("tiny_objective.latent_dim=8_seed=0_")
    assert [cell.label for cell in cells] == ["tiny", "tiny", "tiny objective.latent_dim=8"]
    assert len({cell.config_hash for cell in cells}) == len({cell.name for cell in cells}) == 3


@pytest.mark.parametrize(
    "overrides, other_hash, other_workdir",
    [
        ({"train.log_steps": 3, "train.checkpoint_steps": 3}, False, False),
        ({"evaluators.reconstruction.num_examples": 4}, True, False),
        ({"optimizers.generator.lr": 2e-3}, True, True),
        ({"train.steps": 8}, True, True),
    ],
)
def test_a_hash_follows_what_numbers_depend_on(project, overrides, other_hash, other_workdir):
    before, after = (load(project(entry(overrides=changes)))[0] for changes in ({}, overrides))
    assert (before.config_hash != after.config_hash) == other_hash
    assert (before.name != after.name) == other_workdir


def test_a_cell_may_exchange_components_and_take_fields_out(project):
    flow = {"objective.name": "diffusion", "generator.name": "unet", "generator.channels": (8,), "evaluators": None}
    before, flow, without = load(
        project(entry(), entry(overrides=flow), entry(overrides={"evaluators": None, "generator.max_width": None}))
    )
    assert "target_encoder" not in flow.config and flow.config.generator.name == "unet"
    assert not without.config.evaluators and "max_width" not in without.config.generator
    assert len({cell.config_hash for cell in (before, flow, without)}) == 3
    sweep.check([flow])


def test_a_changed_config_file_is_another_cell(project, tmp_path):
    before = load(project(entry()))[0]
    (tmp_path / "configs" / "tiny.py").write_text(CONFIG.replace('"latent_dim": 4', '"latent_dim": 5'))
    after = load(project(entry()))[0]
    assert before.config_hash != after.config_hash and before.name != after.name


def test_a_cell_may_start_from_another_of_its_seed(project, tmp_path, monkeypatch):
    after = {"objective.start_from": "cell:first"}
    config = tmp_path / "configs" / "tiny.py"
    config.write_text(CONFIG.replace('"latent_dim": 4', '"latent_dim": 4, "start_from": ""'))
    both = [entry((0, 1), label="first"), entry((0, 1), label="second", overrides=after)]
    first, _, second, other = cells = load(project(*both))
    assert second.placed(tmp_path).objective.start_from == str(tmp_path / first.name)
    assert sweep.describe(other)["overrides"] == after and other.needs != second.needs
    # What the first depends on, the second does too.
    both[0]["overrides"] = {"optimizers.generator.lr": 2e-3}
    assert all(a.config_hash != b.config_hash for a, b in zip(cells, load(project(*both))))
    for wrong in ([both[1], both[0]], [both[0] | {"seeds": (1,)}, both[1]], [entry(baseline="mean_example"), both[1]]):
        with pytest.raises(SweepError, match="cell:first: no earlier run has that label and seed 0"):
            load(project(*wrong))


@pytest.mark.parametrize(
    "entries, message",
    [
        ([entry(overide={})], r"entry 0: no such field 'overide'; the fields are: baseline, config, label"),
        ([{"seeds": (0,)}], r"entry 0: expected a field 'config'"),
        ([entry(()), entry()], r"entry 0: seeds: expected at least one"),
        ([entry(), entry((1,), overrides={"objective.latent": 8})], r"entry 1: config.objective has no field 'latent'"),
        ([entry(overrides={"seed": 3})], r"expected the seed in `seeds`"),
        ([entry(config="configs/no.py")], r"no file configs/no.py; there are: configs/tiny.py"),
        ([entry(label="a"), entry((1,), label="a")], r"label 'a': expected one entry, got 2"),
        ([entry((0, 1)), entry((1,), label="b")], r"tiny and b train the same model with seed 1"),
        ([entry(), entry(label="b", overrides={"evaluators.reconstruction.num_examples": 4})], r"the same model"),
    ],
)
def test_a_wrong_entry_is_refused(project, entries, message):
    with pytest.raises(SweepError, match=message):
        load(project(*entries))


def sampled(of="model", **overrides):
    return {"label": f"{of} {overrides}", "samples_of": of, "overrides": overrides}


@pytest.mark.parametrize(
    "entries, message",
    [
        ([sampled(), entry(label="model")], r"entry 0: samples_of: model: no earlier run has that label; labels: none"),
        ([entry(label="model", baseline="mean_example"), sampled()], r"samples_of: model: no earlier run"),
        ([entry(label="model"), sampled() | {"seeds": (1,)}], r"no such field 'seeds'; the fields are: label, overrid"),
        ([entry(label="model"), {"label": "a", "samples_of": "model"}], r"entry 1: expected a field 'overrides'"),
        ([entry(label="model"), sampled(**{"objective.latent": 8})], r"config.objective has no field 'latent'"),
        ([entry(label="model"), sampled()], r"model and model {} sample the same model with seed 0"),
        ([entry(label="model"), sampled(), sampled("model {}")], r"samples_of: model {}: no .*; labels: model$"),
    ],
)
def test_a_wrong_way_to_sample_is_refused(project, entries, message):
    with pytest.raises(SweepError, match=message):
        load(project(*entries))


def test_what_sampling_cannot_change_is_refused_before_a_run(project):
    cells = load(project(entry(label="model"), sampled(**{"objective.latent_dim": 8})))
    with pytest.raises(SweepError, match=r"config.objective.latent_dim: is fixed by the training"):
        sweep.check(cells)


@pytest.mark.slow
def test_a_run_is_sampled_in_another_way_without_a_step_of_training(project, tmp_path, monkeypatch):
    (tmp_path / "configs" / "flow.py").write_text(FLOW)
    model = entry((0, 1), config="configs/flow.py", label="model", overrides={"optimizers.generator.lr": 2e-3})
    other = sampled(**{"objective.sampling_steps": 3})
    cells = load(project(model, other))
    assert [cell.name for cell in cells[2:]] == [cell.name for cell in cells[:2]]
    assert len({cell.config_hash for cell in cells}) == 4 and cells[3].seed == 1
    # The first shard has no run of seed 1 yet: it trains what it samples from.
    sweep.run(project(model, other), tmp_path / "runs", "3/4")
    monkeypatch.setattr(train, "train_step", lambda *_, **__: pytest.fail("a step was trained"))
    sweep.run(project(model, other), tmp_path / "runs", "1/4")
    elsewhere, itself = written(pathlib.Path("experiments/made/sweep.py"))
    assert [line["config_hash"] for line in (elsewhere, itself)] == [cells[3].config_hash, cells[1].config_hash]
    assert elsewhere["overrides"] == itself["overrides"] | {"objective.sampling_steps": 3}
    assert elsewhere["seconds"] == itself["seconds"] > 0 and elsewhere["steps"] == itself["steps"] == 6
    ours, own = elsewhere["metrics"], itself["metrics"]
    assert ours.keys() == own.keys() and all(entry["value"] != own[name]["value"] for name, entry in ours.items())
    # What is measured is what the command shows, and the run's own file stays.
    runs = tmp_path / "runs" / cells[1].name
    assert evaluate.evaluate(runs, changes={"objective.sampling_steps": 3}) == ours
    assert evaluate.read(runs) == own


def test_a_missing_file_is_told(project, tmp_path):
    project(entry())
    with pytest.raises(SweepError, match=r"no file nowhere.py; there are: experiments/made/sweep.py"):
        load("nowhere.py")
    pathlib.Path("empty.py").write_text("")
    with pytest.raises(SweepError, match=r"empty.py has no function cells"):
        load("empty.py")


@pytest.mark.parametrize(
    "overrides, message",
    [
        ({"generator.name": "cnov"}, r"entry 1: generators: 'cnov' does not exist"),
        ({"objective.target": "photo"}, r"'photo' is not in the data"),
        ({"train.batch_size": 65}, r"at least batch_size = 65 examples, got 64"),
        ({"train.log_steps": 0}, r"config.train.log_steps"),
        ({"evaluators.reconstruction.name": "psnr"}, r"evaluators: 'psnr' does not exist"),
    ],
)
def test_every_cell_is_checked_before_the_first_trains(project, monkeypatch, tmp_path, overrides, message):
    monkeypatch.setattr(train, "train", lambda *_: pytest.fail("a cell was trained"))
    file = project(entry(), entry((1,), label="wrong", overrides=overrides))
    with pytest.raises(SweepError, match=message):
        sweep.run(file, tmp_path / "runs")
    assert not (tmp_path / "runs").exists() and not written(file)


def test_an_unknown_baseline_is_refused(project):
    with pytest.raises(SweepError, match=r"one of black, class_matched, .*, got 'median'"):
        sweep.check(load(project(entry(baseline="median"))))


def test_a_failure_that_a_user_can_mend_has_no_traceback(project, tmp_path, monkeypatch, capfd):
    def broken(*_):
        raise DataError("a.png", "image", "content", "a picture", "nothing", "replace it")

    monkeypatch.setattr(sweep, "_train", broken)
    with pytest.raises(SweepError, match=r"cells failed: .*DataError: a\.png: image\.content: expected a picture"):
        sweep.run(project(entry()), tmp_path / "runs")
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("shard", ["2/2", "0/0", "1", "-1/2", "1/2/3"])
def test_a_wrong_shard_is_refused(project, tmp_path, shard):
    with pytest.raises(SweepError, match="--shard: expected i/n"):
        sweep.run(project(entry()), tmp_path / "runs", shard)


def test_shards_divide_the_cells_and_finished_ones_are_skipped(project, tmp_path, monkeypatch, capsys):
    trained = []

    def record(cell, workdir, origin):
        trained.append(cell.seed)
        return {"seconds": 100.0, "steps": 6, "metrics": {}}

    monkeypatch.setattr(sweep, "_train", record)
    file = project(entry((0, 1, 2, 3, 4)))
    sweep.run(file, tmp_path / "runs", "1/2")
    assert trained == [1, 3]
    sweep.run(file, tmp_path / "runs", "0/2")
    assert trained == [1, 3, 0, 2, 4]
    assert "cell 1 of 3: tiny_seed=0_" in (shown := capsys.readouterr().out) and "about 0:05:00 left" in shown
    sweep.run(file, tmp_path / "runs")
    assert len(trained) == 5
    assert sorted(line["seed"] for line in written(file)) == [0, 1, 2, 3, 4]


def test_a_sweep_from_interruption_to_table(project, tmp_path, monkeypatch, capfd):
    """Real runs: one is interrupted and resumed by another commit, one fails, a baseline is measured."""
    good = [entry(baseline="mean_example", label="mean"), entry((0, 1), label="model")]
    file = project(*good, entry(overrides={"optimizers.generator.lr": 1e30}, label="diverges"))
    mean, first, second, diverges = load(file)
    update, runs = progress.Progress.update, tmp_path / "runs"

    def interrupt(self, step, metrics=None):
        update(self, step, metrics)
        if step == 3 and (runs / second.name).exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(lines, "commit", lambda: "aaaaaaa")
    monkeypatch.setattr(progress.Progress, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        sweep.run(file, runs)
    assert [line["config_hash"] for line in written(file)] == [mean.config_hash, first.config_hash]

    monkeypatch.setattr(lines, "commit", lambda: "bbbbbbb")
    monkeypatch.setattr(progress.Progress, "update", update)
    with pytest.raises(SweepError, match=rf"1 of 4 cells failed: {diverges.name} \(NotFinite: step"):
        sweep.run(file, runs)
    assert "resuming at step 3" in capfd.readouterr().err  # saved at the interruption
    about_mean, about_first, about_second = written(file)

    measured = json.loads((runs / second.name / evaluate.FILE).read_text())["metrics"]
    assert about_second["metrics"] == measured and measured["test/reconstruction/psnr"]["n"] == 8
    assert about_first["commit"] == "aaaaaaa" and about_second["commit"] == "aaaaaaa + bbbbbbb"
    fields = {"experiment": "made", "config": "configs/tiny.py", "overrides": {}, "seed": 1, "steps": 6}
    assert about_second.items() >= (fields | {"config_hash": second.config_hash}).items()
    assert about_second["hardware"] == lines.hardware()
    windows = [json.loads(line) for line in (runs / second.name / "metrics.jsonl").read_text().splitlines()]
    windows = [line for line in windows if "steps_per_second" in line]
    assert [line["step"] for line in windows] == [1, 2, 3, 4, 5, 6]
    assert about_second["seconds"] == pytest.approx(sum(1 / line["steps_per_second"] for line in windows), abs=0.05)
    assert about_second["processor_seconds"] == pytest.approx(sum(x["processor_seconds"] for x in windows), abs=0.05)
    assert about_second["processor_seconds"] > 0 and "processor_seconds" not in about_mean
    assert about_mean["baseline"] == "mean_example" and about_mean["steps"] == 0

    # Nothing is left to train; of changed evaluators, the trained models are measured again.
    changed = [cell | {"overrides": {"evaluators.reconstruction.num_examples": 4}} for cell in good[1:]]
    monkeypatch.setattr(train, "train_step", lambda *_, **__: pytest.fail("a step was trained"))
    sweep.run(project(*good), runs)
    sweep.run(project(*changed), runs)
    assert len(written(file)) == 5
    assert written(file)[3]["metrics"]["test/reconstruction/psnr"]["n"] == 4
    assert written(file)[4]["seconds"] == about_second["seconds"]


def test_seconds_are_those_of_the_steps_that_count(tmp_path):
    written = [{"step": 0, "psnr": 1.0}, {"step": 10, "steps_per_second": 2.0}, {"step": 10, "psnr": 2.0}]
    written += [{"step": 25, "steps_per_second": 5.0}]

    def times():
        (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in written))
        return sweep.training_times(tmp_path)

    written[3]["processor_seconds"] = 4.25  # a run that an older version began: its first window has no such time
    assert times() == {"seconds": 10 / 2 + 15 / 5}
    written[1]["processor_seconds"] = 7.5
    assert times() == {"seconds": 10 / 2 + 15 / 5, "processor_seconds": 11.8}


def test_time_left_takes_runs_of_the_same_config_first():
    times = {"gan": [600.0, 800.0], "vae": [100.0]}
    assert sweep.time_left(["gan", "vae", "other"], times) == "about 0:21:40 left"  # 700 + 100 + 500 s
    assert sweep.time_left(["gan"], {}) == "time left unknown before the first is done"


def test_baselines_are_training_examples_and_their_mean(project):
    config = loading.load(load(project(entry()))[0].reference)
    batch = {"image": np.zeros((8, 16, 16, 3), np.float32)}
    examples = base.create("training_examples", config, "image")
    drawn = np.concatenate([examples(batch)["image"] for _ in range(8)])  # one pass over the 64
    mean = base.create("mean_example", config, "image")(batch)["image"]
    assert len(np.unique(drawn.reshape(64, -1), axis=0)) == 64
    assert mean.shape == (8, 16, 16, 3) and (mean == mean[0]).all()
    np.testing.assert_allclose(mean[0], drawn.mean(0, dtype=np.float64), atol=1e-6)
    seeded = override.override(config, {"seed": 1})
    assert not np.array_equal(base.create("training_examples", seeded, "image")(batch)["image"], drawn[:8])
