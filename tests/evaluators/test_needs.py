"""An evaluator that does not fit is refused before the training, with its place, its need, and what to do."""

import functools
import importlib
import re

import pytest
import tiny

from mmgen_jax import evaluate, lookup, train
from mmgen_jax.config import loading, override
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.errors import ConfigError

SHAPE = {"label": "shape"}
# evaluator: (family or config of a model that it cannot measure, its fields, the message)
MISFITS = {
    "alignment": ("vae", {}, "needs a model that can 'align'"),
    "bits_per_sample": ("vae", {}, "target: expected a sound, got 'image' "),
    "captioned_shapes_coherence": ("vae", {}, "data: expected captioned_shapes, got 'scenes'"),
    "captions": ("vae", {}, "target: expected a text, got 'image' "),
    "class_and_place": ("image_captioning", {"classes": "shape"}, "target: expected a picture, got 'text' "),
    "class_retrieval": ("multi_task", {"label": "audio"}, "label: expected a label, got 'audio' .*set label"),
    "classifier_accuracy": ("image_captioning", SHAPE, "no network judges 'text'"),
    "classifier_frechet": ("image_captioning", SHAPE, "no network judges 'text'"),
    "completion": ("image_captioning", {}, "target: expected a picture, got 'text' "),
    "error_rate": ("vae", {}, "target: expected a text, got 'image' "),
    "frechet_audio": ("vae", {"sample_rate": 8000}, "target: expected a sound, got 'image' "),
    "frame_error": ("quickstart", {}, "target: expected a clip, got 'image' "),
    "importance_likelihood": ("vae", {"target": "text"}, "target: expected what the model draws .image., got 'text'"),
    "judge_controls": ("image_captioning", SHAPE, "no network judges 'text'"),
    "label_accuracy": ("vae", {}, "target: expected a label, got 'image' "),
    "latent_probe": ("vae", {"label": "audio"}, "label: expected a label, got 'audio' .*set label"),
    "likelihood": ("vae", {"target": "text"}, "target: expected what the model draws .image., got 'text'"),
    "ms_ssim": ("image_captioning", {}, "target: expected a picture, got 'text' "),
    "picture_from_clip": ("image_captioning", {"clip": "video"}, "target: expected a picture, got 'text' "),
    "perplexity": ("vae", {}, "target: expected a text, got 'image' "),
    "reconstruction": ("image_captioning", {}, "target: expected a picture or a clip, got 'text' "),
    "restoration": ("image_captioning", {}, "target: expected a picture, got 'text' "),
    "retrieval_judge": ("image_captioning", {}, "target: expected a picture, got 'text' "),
    "retrieval_recall": ("image_text_retrieval", {"target": "image"}, "target: expected what the model draws"),
    "scenes_captions": ("vae", {}, "target: expected a text, got 'image' "),
    "scenes_coherence": ("multi_task", {}, "no judge for 'shape'"),
    "sliced_wasserstein": ("image_captioning", {}, "target: expected a picture, got 'text' "),
    "speech_error_rate": ("vae", {}, "target: expected a sound, got 'image' "),
    "sound_fidelity": ("vae", {"sample_rate": 8000}, "target: expected a sound, got 'image' "),
    "style": ("image_captioning", {"photo": "image", "style": "image", **SHAPE}, "target: expected a picture"),
    "translation_accuracy": ("vae", {"source": "photo"}, "no set 'photo' in config.data"),
    "subsets": (
        "vae",
        {"conditions": "('video',)", "evaluator.name": "scenes_coherence"},
        "conditions: the model has no condition 'video'; expected some of text",
    ),
    "video_frechet": ("image_captioning", {}, "target: expected a clip, got 'text' "),
    "view_coherence": (
        "vae",
        {"views": "('image', 'text')", "label": "audio"},
        "label: expected a label, got 'audio' .*set label",
    ),
    "variety": ("image_captioning", {}, "target: expected a picture or a clip, got 'text' "),
}


@functools.cache
def model(name):
    if name == "unconditional":
        whole = tiny.config("vae").copy_and_resolve_references().unlock()
        whole.encoders, whole.data.names = {}, ("text", "image")
        del whole.fusion
        return whole.lock()
    return tiny.config(name) if name in ("vae", "autoencoder") else tiny.shrink(loading.load(name))


def refused(of: str, **fields) -> str:
    """The message of a run with an evaluator `x`."""
    with pytest.raises(ConfigError) as caught:
        train.prepare(override.override(model(of), prefixed(fields)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_evaluator_has_a_misfit():
    assert sorted(MISFITS) == lookup.available("evaluators")


@pytest.mark.parametrize("name", MISFITS)
def test_a_wrong_target_or_label_is_refused(name):
    of, fields, expected = MISFITS[name]
    message = refused(of, name=name, **fields)
    assert name in message
    assert re.search(expected, message), message


@pytest.mark.parametrize("name", ["ms_ssim", "sliced_wasserstein"])
def test_pictures_that_are_too_small(name, monkeypatch):
    monkeypatch.setattr(importlib.import_module(f"mmgen_jax.evaluators.{name}"), "SMALLEST", 17)
    assert "target: expected pictures with sides from 17 px, got 16 x 16" in refused("vae", name=name)


PAIRED = {"reconstruction": {}, "classifier_accuracy": SHAPE, "scenes_coherence": {}, "retrieval_judge": {}}


@pytest.mark.parametrize("name", PAIRED)
def test_samples_without_conditions_are_not_compared_with_examples(name):
    message = refused("unconditional", name=name, **PAIRED[name])
    assert f"config.evaluators.x: {name}: expected a model with conditions, got none" in message
    assert ("set from_target=true" in message) == (name != "retrieval_judge")


@pytest.mark.parametrize("name", ["classifier_accuracy", "classifier_frechet", "judge_controls"])
@pytest.mark.parametrize("label", ["digit", "text"])
def test_a_label_that_the_data_lacks_or_that_has_no_classes(name, label):
    message = refused("vae", name=name, label=label)
    assert repr(label) in message and "shape" in message and "evaluators.x=none" in message
    assert re.search("label: expected a label with classes .*; set label|set evaluators.x.label", message)


def test_a_modality_of_captions_that_no_neighbour_has():
    assert "by: expected a picture, a clip, a sound or a vector, got 'shape' (label); set by to such a one (image" in (
        refused("image_captioning", name="captions", by="shape")
    )


def test_data_without_a_split_for_the_judge(monkeypatch):
    monkeypatch.setattr(lookup.find("data", "scenes"), "splits", ("train", "compositional"))
    config = override.override(model("vae"), {"evaluators.x.name": "classifier_frechet", "evaluators.x.label": "shape"})
    config = override.override(config, {"evaluators.x.splits": "('compositional',)"})
    with pytest.raises(ConfigError, match=r"^config.evaluators.x: classifier_frechet: .*no split 'test'"):
        evaluate.build(config, build_system(config, open_source(config).modalities))


def test_what_fits_is_accepted():
    fields = {"name": "reconstruction", "from_target": True}
    ready = train.prepare(override.override(model("autoencoder"), prefixed(fields)))
    assert [one.name for one in ready.measures] == ["x"]


def prefixed(fields):
    return {f"evaluators.x.{key}": value for key, value in fields.items()}
