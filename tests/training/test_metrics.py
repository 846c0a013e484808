"""metric_writer.py: what is written reads back, a resume leaves no step twice, means and the first non-finite value."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboardX.proto import event_pb2

from mmgen_jax.modalities import save
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.training import collapse, metric_writer


def events(workdir):
    """Every TensorBoard event of a run, read by the record format: length, its crc, payload, its crc."""
    for path in sorted((workdir / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            yield event_pb2.Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_read_back_exactly(tmp_path_factory, value):
    workdir = tmp_path_factory.mktemp("run")
    with metric_writer.MetricWriter(workdir, 0) as writer:
        writer.write(3, {"loss": value, "other": np.float32(0.1)})
    assert metric_writer.read(workdir) == [{"step": 3, "loss": value, "other": float(np.float32(0.1))}]


def test_one_flat_json_line_per_write(tmp_path):
    with metric_writer.MetricWriter(tmp_path / "new" / "run", 0) as writer:
        writer.write(1, {"a": 1, "b": jnp.float32(2)})
        writer.write(2, {"c": 3})
    lines = (tmp_path / "new" / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 1, "a": 1.0, "b": 2.0}, {"step": 2, "c": 3.0}]


@pytest.mark.parametrize("given_metrics", [{"loss": float("nan")}, {"loss": float("-inf")}, {"step": 1.0}])
def test_refuses_what_json_or_the_line_cannot_hold(tmp_path, given_metrics):
    with metric_writer.MetricWriter(tmp_path, 0) as writer, pytest.raises(ValueError, match="step 7"):
        writer.write(7, given_metrics)
    assert metric_writer.read(tmp_path) == []


def test_resume_drops_later_lines_and_an_unfinished_one(tmp_path):
    with metric_writer.MetricWriter(tmp_path, 0) as writer:
        for step in (10, 20, 30):
            writer.write(step, {"loss": step / 3})
    with (tmp_path / metric_writer.FILE).open("a") as file:
        file.write('{"step": 40, "lo')
    assert [line["step"] for line in metric_writer.read(tmp_path)] == [10, 20, 30]
    with metric_writer.MetricWriter(tmp_path, 20) as writer:
        writer.write(30, {"loss": -1.0})
    assert metric_writer.read(tmp_path) == [
        {"step": 10, "loss": 10 / 3},
        {"step": 20, "loss": 20 / 3},
        {"step": 30, "loss": -1.0},
    ]


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / metric_writer.FILE).write_text('{"step": 1}\nbroken\n{"step": 2}\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl:2"):
        metric_writer.read(tmp_path)


def test_tensorboard_has_the_scalars_and_the_sample_files(tmp_path):
    modalities = {
        "photo": Modality("image", (4, 4, 3)),
        "clip": Modality("video", (3, 4, 4, 1), frame_rate=5),
        "sound": Modality("audio", (900,), sample_rate=8000),
        "digit": Modality("label", (), classes=("zero", "one")),
    }
    rng = np.random.default_rng(0)
    samples = {n: rng.uniform(-1, 1, (1, *m.shape)).astype(np.float32) for n, m in modalities.items()}
    samples["digit"] = np.array([1], np.int32)
    with metric_writer.MetricWriter(tmp_path, 4) as writer:
        writer.write(5, {"loss": 0.25})
        paths = save.save_samples(tmp_path / "samples", 5, samples, modalities)
        paths.append(tmp_path / "samples" / "0000005_pose.npy")  # nothing to see: left out
        writer.write_samples(5, paths)
    written = list(events(tmp_path))
    start = [event for event in written if event.HasField("session_log")]
    assert [(event.step, event.session_log.status) for event in start] == [(5, event_pb2.SessionLog.START)]
    values = {value.tag: value for event in written if event.step == 5 for value in event.summary.value}
    assert values["loss"].simple_value == 0.25
    assert values["samples/photo"].image.encoded_image_string == (tmp_path / "samples/0000005_photo.png").read_bytes()
    assert values["samples/clip"].image.encoded_image_string.startswith(b"GIF89a")
    sound = values["samples/sound_0"].audio
    assert (sound.sample_rate, sound.length_frames, sound.num_channels) == (8000, 900, 1)
    assert "one" in values["samples/digit/text_summary"].tensor.string_val[0].decode()


def test_summarise_means_in_float64_over_the_steps_that_have_the_metric():
    steps = [{"loss": jnp.float32(x)} for x in (1e8, 1.0, 3.0)]
    steps[1]["rare"] = jnp.float32(5)
    means, first = metric_writer.summarise(steps)
    assert means == {"loss": (1e8 + 4) / 3, "rare": 5.0} and first is None


def test_summarise_finds_the_first_value_that_is_not_finite():
    steps = [{"a": 1.0, "b": 1.0}, {"b": np.inf}, {"a": np.nan, "b": np.nan}]
    assert metric_writer.summarise(steps)[1] == (1, "b")
    stacked = [{"a": jnp.arange(3.0), "b": jnp.ones(3)}, {"a": jnp.ones(3), "b": jnp.array([1.0, 1.0, jnp.nan])}]
    means, first = metric_writer.summarise(stacked)
    assert first == (5, "b") and means["a"] == 1.0
    assert metric_writer.summarise([]) == ({}, None)


@pytest.mark.parametrize("real", ["d/logits_real", "d/logits_real_photo"])
def test_a_collapse_is_told_once_and_only_if_it_lasts(real):
    watch = collapse.Watch()
    low = {"tokenizer/codebook_perplexity": 1.2, "d/loss": 1e-5, real: 9.0, "g/loss": 1e-5, "g/kl": 3.0}
    low |= {"g/active_dimensions": 0.5}
    assert [watch.warnings(step, low) for step in (1, 2)] == [[], []]
    assert watch.warnings(3, low | {"d/loss": 0.7}) == [
        "WARNING step 3: tokenizer/codebook_perplexity is 1.2, below 2: nearly all vectors get one code; lower the "
        "learning rate or the commitment"
    ]
    told = [line for step in range(4, 20) for line in watch.warnings(step, low)]
    assert len(told) == 1 and told[0].startswith(
        "WARNING step 6: d/loss is 1e-05, below 0.0001: it tells real from fake"
    )
    told = [line for step in range(20, 25) for line in watch.warnings(step, low | {"g/active_dimensions": 0.05})]
    assert len(told) == 1 and "g/active_dimensions is 0.05, below 0.1: the share of the latent's dimensions" in told[0]


def test_samples_that_hardly_differ_are_told_once():
    rng, watch = np.random.default_rng(0), collapse.Watch()
    held_out = {"image": rng.standard_normal((8, 4, 4, 3)), "text": rng.integers(0, 9, (8, 5))}
    alike = {"image": 0.5 + 0.01 * held_out["image"], "text": np.zeros((8, 5), np.int32)}
    assert not watch.of_samples(10, held_out, held_out) and not watch.of_samples(20, alike, held_out)
    pictures, texts = watch.of_samples(30, alike, held_out)
    assert pictures.startswith("WARNING step 30: samples of image differ by 0.01 of what held-out examples differ by")
    assert texts.startswith("WARNING step 30: samples of text differ by 0 of what held-out examples differ by")
    assert not watch.of_samples(40, alike, held_out)
