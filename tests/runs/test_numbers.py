"""Sample i is a function of the seed and i, in every family, whatever is drawn beside it."""

import functools
import shutil

import numpy as np
import pytest
import tiny

from mmgen_jax import api, train
from mmgen_jax.errors import ConfigError
from mmgen_jax.runs.workdir import restore

TEXT = {"text": "a large red star"}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """`family -> workdir` of a trained run."""
    folder = tmp_path_factory.mktemp("runs")

    @functools.cache
    def of(family):
        if family == "vae":
            train.train(tiny.config("vae"), folder / "vae")
        else:
            shutil.unpack_archive(tiny.ROOT / "tests" / "old_workdirs" / f"{family}.tar.gz", folder)
        return folder / family

    return of


@pytest.mark.parametrize(
    "family",
    ["gan", *(pytest.param(name, marks=pytest.mark.slow) for name in ("vae", "latent_diffusion", "autoregressive"))],
)
def test_a_sample_does_not_depend_on_what_is_drawn_beside_it(family, workdir):
    sampler = restore(workdir(family), batch_size=8)[2]
    every = api.sample(sampler, TEXT, num=20, seed=3)["image"]
    assert len(np.unique(every, axis=0)) > 10
    alone = api.sample(sampler, TEXT, num=8, seed=3, first=8)["image"]
    np.testing.assert_array_equal(alone, every[8:16])
    # Another place in the batch, and a batch of another size, which is another program: its sums have another order.
    for other, first, num in ((sampler, 5, 9), (restore(workdir(family), batch_size=16)[2], 2, 18)):
        drawn = api.sample(other, TEXT, num=num, seed=3, first=first)["image"]
        np.testing.assert_allclose(drawn, every[first : first + num], atol=1e-5)


def test_each_text_of_a_file_has_samples_of_its_own_number(workdir, tmp_path):
    (tmp_path / "texts.txt").write_text("a large red star\na large red star\na small blue circle\n")
    texts, sampler = {"text": f"@{tmp_path / 'texts.txt'}"}, restore(workdir("vae"), batch_size=8)[2]
    four = api.sample(sampler, texts, num=4)["image"].reshape(3, 4, 16, 16, 3)
    two = api.sample(sampler, texts, num=2, first=1)["image"].reshape(3, 2, 16, 16, 3)
    np.testing.assert_allclose(two, four[:, 1:3], atol=1e-5)
    assert np.abs(four[0] - four[1]).max() > 1e-3  # the same text in another line has another noise
    np.testing.assert_allclose(api.sample(sampler, TEXT, num=4)["image"], four[0], atol=1e-5)


def test_conditions_go_with_the_number(workdir):
    """Of arrays with one condition for each sample, the text and the noise of a sample are of one number."""
    sampler = restore(workdir("vae"), batch_size=8)[2]
    modality = sampler.system.modalities["text"]
    texts = np.stack(
        [modality.tokenizer.encode(f"a {size} red star", modality.shape[0]) for size in ("large", "small")]
    )
    texts = texts[np.arange(20) % 2]
    every = api.sample(sampler, {"text": texts}, num=1)["image"]
    np.testing.assert_allclose(api.sample(sampler, {"text": texts[:11]}, num=1)["image"], every[:11], atol=1e-5)


def test_evaluation_draws_do_not_depend_on_the_batches(workdir):
    few, many = (restore(workdir("vae"), batch_size=size)[2] for size in (8, 16))
    modality = few.system.modalities["text"]
    texts = np.tile(modality.tokenizer.encode("a red star", modality.shape[0]), (24, 1))
    parts = np.concatenate([few({"text": texts[i : i + 8]})["image"] for i in range(0, 24, 8)])
    np.testing.assert_allclose(many({"text": texts})["image"], parts, atol=1e-5)


@pytest.mark.parametrize("seed", [2**32, 2**64 - 1, -1])
def test_a_seed_that_no_noise_is_of_is_refused(seed, workdir, tmp_path):
    arguments = f"--workdir={workdir('vae')}", f"--out={tmp_path / 'out'}", "--text=a red star", f"--seed={seed}"
    code, _, error = tiny.mmgen("sample", *arguments)
    expected = f"mmgen: seed: expected a whole number, at least 0 and at most 4,294,967,295, got {seed}\n"
    assert (code, error) == (1, expected) and not (tmp_path / "out").exists()
    for call in (api.sample, api.interpolate):
        with pytest.raises(ConfigError, match=f"got {seed}"):
            call(workdir("vae"), TEXT, num=1, seed=seed)


def test_the_ends_of_the_range_are_seeds_of_their_own(workdir):
    sampler = restore(workdir("vae"), batch_size=8)[2]
    drawn = [api.sample(sampler, TEXT, num=1, seed=seed)["image"] for seed in (0, 1, 2**31, 2**32 - 1)]
    assert len(np.unique(np.concatenate(drawn), axis=0)) == 4
    last = api.sample(sampler, TEXT, num=1, first=2**31 - 1)["image"]
    assert np.isfinite(last).all() and not np.array_equal(last, drawn[0])
    with pytest.raises(ConfigError, match="first: expected first"):
        api.sample(sampler, TEXT, num=2, first=2**31 - 1)
    with pytest.raises(ConfigError, match="first: expected a whole number, at least 0"):
        api.sample(sampler, TEXT, num=2, first=-1)
