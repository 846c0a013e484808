"""Runs of version 0.1 go on, are sampled and evaluated as if nothing had been renamed since.

`old_workdirs/<name>.tar.gz` are workdirs that version 0.1 trained for 4 steps on the built-in scenes, their networks as
small as they get: a GAN (batch statistics, power iteration, EMA), latent diffusion and an autoregressive model of
images, these two with 3 steps of their autoencoder first, diffusion of pixels, a VAE, an autoencoder, a captioner
(LSTM), a captioner against a discriminator, a classifier and a retrieval model (InfoNCE).
`resumed.json` is what version 0.1 wrote to `metrics.jsonl` when it resumed them itself, to step 6.
"""

import functools
import json
import pathlib
import shutil

import jax
import numpy as np
import pytest
import tiny

from mmgen_jax import evaluate, retrieve, train
from mmgen_jax.config.override import override
from mmgen_jax.errors import ConfigError
from mmgen_jax.runs.workdir import create_state, read_workdir, restore
from mmgen_jax.training import checkpoint, parallel

FOLDER = pathlib.Path(__file__).parent / "old_workdirs"
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("latent_diffusion", "diffusion", "captions_gan")]
DRAWING = ("gan", "autoregressive", "vae", "autoencoder", "captioner", *SLOW)
NAMES = (*DRAWING, "recognition", "retriever")
# Metrics of what is drawn: version 0.1 drew other random numbers (its sample i depended on the batch size).
DRAWN = ("test/coherence", "compositional/coherence", "test/likelihood", "captions/", "factors/")


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """`name -> workdir`, each trained on to step 6."""
    folder = tmp_path_factory.mktemp("old")

    @functools.cache
    def workdir(name):
        path = unpacked(name, folder)
        train.train(override(read_workdir(path)[0], {"train.steps": 6}), path)
        return path

    return workdir


def unpacked(name, folder):
    shutil.unpack_archive(FOLDER / f"{name}.tar.gz", folder)
    return folder / name


@pytest.mark.parametrize("name", NAMES)
def test_an_old_run_goes_on_as_it_would_have_then(name, resumed):
    lines = [line for line in tiny.metrics_lines(resumed(name)) if line["step"] > 4]
    expected = json.loads((FOLDER / "resumed.json").read_text())[name]
    assert [line["step"] for line in lines] == [line["step"] for line in expected]
    for line, old in zip(lines, expected):
        assert set(old) <= set(line)
        for metric, value in old.items():
            # Rounding depends on the order of sums, so on the processor (1.01e-4 was seen in the norm of a gradient).
            # Evaluators read 8 bits of what is drawn, so values at a half go to either side (6e-4 was seen in SSIM).
            if any(part in metric for part in DRAWN):
                assert np.isfinite(line[metric]), metric
                continue
            rtol = 1e-5 if metric.endswith("loss") else 1e-3 if metric.endswith(("_norm", "ssim")) else 1e-4
            np.testing.assert_allclose(line[metric], value, rtol=rtol, err_msg=metric)


@pytest.mark.parametrize("name", DRAWING)
def test_an_old_run_is_sampled(name, tmp_path):
    config, system, sampler, step = restore(unpacked(name, tmp_path))
    if "text" in system.conditions:
        text = system.modalities["text"]
        batch = {"text": np.stack([text.tokenizer.encode("a small blue circle", text.shape[0])] * 3)}
    else:  # a captioner, or an autoencoder, which reads its target
        batch = {"image": np.zeros((3, 16, 16, 3), np.float32)}
    drawn = sampler(batch)
    assert step == 4 and set(drawn) == {config.objective.target}
    tiny.assert_sample(drawn[config.objective.target], system.modalities[config.objective.target], 3)


def test_an_old_run_retrieves(tmp_path):
    workdir = unpacked("retriever", tmp_path)
    retrieve.retrieve(workdir, tmp_path / "out", {"text": "a small blue circle"}, num=3)
    found = [json.loads(line) for line in (tmp_path / "out" / retrieve.FILE).read_text().splitlines()]
    assert [line["cosine"] for line in found] == sorted((line["cosine"] for line in found), reverse=True)
    assert len({line["index"] for line in found}) == 3


@pytest.mark.parametrize("name", NAMES)
def test_an_old_run_is_evaluated(name, resumed):
    """With the numbers that the loop wrote at its end, to which version 0.1 came too, but for what is drawn."""
    if name == "gan":  # which has no evaluator in its config
        config, system, sampler, _ = restore(resumed(name))
        config = override(config, {"evaluators.coherence": {"name": "scenes_coherence"}})
        metrics = evaluate.run(config, system, sampler, "")
    else:
        metrics = evaluate.evaluate(resumed(name))
    last = tiny.metrics_lines(resumed(name))[-1]
    assert metrics and all(np.isfinite(entry["value"]) and entry["n"] == 16 for entry in metrics.values())
    for metric, entry in metrics.items():
        if name != "gan":
            np.testing.assert_allclose(entry["value"], last[metric], rtol=1e-6, err_msg=metric)


def test_what_was_extra_is_stats(tmp_path):
    """Leaf by leaf: the file has `extra/…` and `ema/<player>/extra/…`, the state `stats` and their average."""
    workdir = unpacked("gan", tmp_path)
    _, system, _, _ = restore(workdir)
    config, _ = read_workdir(workdir)
    with checkpoint.Checkpointer(workdir / "checkpoints", create=False) as checkpoints:
        abstract = parallel.create("jit", 8, num_devices=1).abstract(lambda: create_state(config, system))
        state, data_state = checkpoints.restore(4, abstract)
    stored = (workdir / "checkpoints" / "4" / "_CHECKPOINT_METADATA").read_text()
    assert '"extra/generator/' in stored and '"ema/generator/extra/' in stored and "stats/generator" not in stored
    assert state.step == 4 and data_state
    assert set(state.stats["generator"]) == {"batch_stats"} and state.buffers == {"generator": {}, "discriminator": {}}
    assert jax.tree.structure(state.ema["generator"]["stats"]) == jax.tree.structure(state.stats["generator"])
    live, average = (
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])
        for tree in (state.stats["generator"], state.ema["generator"]["stats"])
    )
    assert np.any(live != 0) and np.any(live != average)


def test_an_old_run_of_data_that_has_changed_is_refused(mmgen_data, tmp_path):
    """Emoji have another split since version 0.1, and so another vocabulary; the archive has no checkpoint."""
    workdir = unpacked("emoji", tmp_path)
    with pytest.raises(
        ConfigError, match=r"the data is no longer what this run began with \(shapes, classes or vocabu"
    ):
        train.train(read_workdir(workdir)[0], workdir)


def test_an_old_run_refuses_another_config(tmp_path):
    workdir = unpacked("autoregressive", tmp_path)
    config = override(read_workdir(workdir)[0], {"representation.codebook_size": 8})
    with pytest.raises(ValueError, match=r"representation\.codebook_size was 16, now 8"):
        train.train(config, workdir)
    shutil.rmtree(workdir)
