"""Ablations as the command line says them: fields, groups and components set, added, exchanged and taken out."""

import pytest
import tiny

from mmgen_jax.config import loading, override
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.errors import ConfigError, InputError


@pytest.fixture(scope="module")
def quickstart():
    return loading.load("quickstart")


def change(config, *settings):
    """`(config, lines)` after settings as on the command line: `encoders.audio=none`."""
    lines = []
    return override.override(config, dict(s.split("=", 1) for s in settings), lines.append), lines


def built(config):
    """The system of the config; the networks and evaluators that it names exist and take their fields."""
    source = open_source(tiny.shrink(config))
    return build_system(config, source.modalities, label_preserving=tuple(getattr(source, "label_preserving", ())))


@pytest.mark.parametrize(
    "settings, gone, line",
    [
        (["encoders.audio.name=audio.mfcc"], ["encoders.audio.channels"], "fields of audio.log_mel_cnn go: channels"),
        (
            ["target_encoder.name=image.vit", "target_encoder.patch_size=8"],
            ["target_encoder.channels", "target_encoder.norm"],
            "fields of image.cnn go: channels, norm",
        ),
        (
            ["generator.name=unet", "objective.name=diffusion", "generator.channels=(16,32)"],
            ["generator.width", "objective.latent_dim", "target_encoder.name"],
            "config.target_encoder goes: objective 'diffusion' has no use for it",
        ),
        (
            ["generator.name=dit", "objective.name=diffusion", "generator.patch_size=8", "generator.features=32"],
            ["generator.width", "objective.latent_dim"],
            "config.target_encoder goes: objective 'diffusion' has no use for it",
        ),
        (
            ["objective.name=adversarial", "discriminator.name=projection", "optimizers.discriminator.lr=2e-4"],
            ["objective.likelihood", "target_encoder.name"],
            "fields of variational go: likelihood, scale",
        ),
        (["encoders.audio=none"], ["encoders.audio.name", "fusion.modality_dropout.audio"], "without audio"),
        (["encoders.video.name=video.conv3d", "encoders.video.features=32"], [], "data.names: also video"),
        (["augment.audio.gain=6", "augment.image.brightness=0.2"], [], ""),
        (["evaluators.pixels.name=reconstruction", "evaluators.pixels.from_target=True"], [], ""),
        (["evaluators=none"], ["evaluators.coherence.name"], ""),
        (["data.fraction=0.5"], [], ""),
        (["optimizers.generator.name=lion", "optimizers.generator.b2=0.98"], [], ""),
        (["fusion.modality_dropout=0.2"], ["fusion.modality_dropout.audio"], ""),
        (["fusion.name=cross_attention"], [], ""),
        (["encoders.text={'name': 'text.lstm'}"], ["encoders.text.features"], ""),
        (["generator.width=none"], ["generator.width"], ""),
        (["objective.free_bits=0.1"], [], ""),
    ],
)
def test_an_ablation_of_the_quickstart(quickstart, settings, gone, line):
    changed, lines = change(quickstart, *settings)
    fields = override.flatten(changed.to_dict())
    assert not set(gone) & set(fields)
    assert any(line in said for said in lines) if line else not lines
    for setting in settings:
        key, value = setting.split("=", 1)
        if value != "none" and "{" not in value:
            assert str(fields[key]).replace(" ", "") == value or float(fields[key]) == float(value)
    system = built(changed)
    assert set(system.optimizers) == set(changed.optimizers) == set(system.objective.players)
    assert override.override(changed, {}).to_dict() == changed.to_dict()


def test_another_data_set_with_a_field_that_has_no_default(quickstart):
    changed, _ = change(quickstart, "data.name=folder", "data.directory=pets", "data.text_length=40")
    assert changed.data.to_dict() == {
        "name": "folder",
        "names": ("text", "audio", "image"),
        "directory": "pets",
        "text_length": 40,
    }


def test_a_number_stays_text_where_the_field_holds_text(quickstart):
    changed, _ = change(quickstart, "data.name=folder", "data.directory=2026", "generator.norm=none")
    assert (changed.data.directory, changed.generator.norm) == ("2026", "none")


def test_a_representation_with_its_networks_begins_and_goes(quickstart):
    networks = ["representation.encoder.name=image.cnn", "representation.decoder.name=grid"]
    family = ["objective.name=diffusion", "generator.name=unet", "generator.patch_size=1"]
    stages = ["optimizers.autoencoder.stop_step=100", "optimizers.generator.start_step=100"]
    changed, _ = change(quickstart, "representation.name=kl_autoencoder", *networks, *family, *stages)
    assert built(changed).objective.players == ("autoencoder", "generator")
    back, lines = change(changed, "representation=none")
    assert "representation" not in back and "config.optimizers.autoencoder goes: nothing trains it" in lines


def test_several_labels_are_weights_under_any_names():
    config = loading.load("multi_task:scenes,motion")
    changed, _ = change(config, "objective.auxiliary_labels.shape=0.5", "data.names=('audio','motion','shape')")
    assert changed.objective.auxiliary_labels.to_dict() == {"shape": 0.5}
    assert built(changed).targets == ("motion", "shape")


def test_none_of_python_takes_out_a_text_too(quickstart):
    norm = override.override(quickstart, {"target_encoder.norm": None})
    assert "norm" not in norm.target_encoder
    assert override.override(norm, {"target_encoder.norm": None}).to_dict() == norm.to_dict()


def test_an_augmentation_that_could_contradict_the_captions_is_added_and_refused_by_name(quickstart):
    changed, lines = change(quickstart, "augment.image.flip=0.5")
    assert changed.augment.image.flip == 0.5 and not lines
    with pytest.raises(InputError, match=r"augment\.image\.flip: 'text' may describe sides and directions"):
        built(changed)
    pictures, _ = change(changed, "encoders=none", "fusion=none", "data.names=('image',)", "evaluators=none")
    built(pictures)


@pytest.mark.parametrize(
    "setting, message",
    [
        ("encoders.adio.features=8", "did you mean 'audio'? it has: audio, text; to add it, set encoders.adio.name"),
        ("encoders.adio=none", "config.encoders has no field 'adio'; did you mean 'audio'?"),
        ("train.steps=none", "config.train.steps: every config has it"),
        ("data=none", "config.data: every config has it"),
        ("train.stepz=1", "config.train has no field 'stepz'"),
        ("encoders.video=5", "config.encoders has no field 'video'"),
        ("optimizers.generater.lr=1", "did you mean 'generator'?"),
        ("optimizers.generator.name=lyon", "optimizers: 'lyon' does not exist; did you mean 'lion'?"),
        ("optimizers.generator.nesterov=True", "config.optimizers.generator has no field 'nesterov'"),
        ("encoders.video.name=video.conv4d", "'video.conv4d' does not exist"),
        ("generator.width={'a': 1}", "config.generator.width: expected a value, got a group of fields"),
        ("generator={'name': 'conv', 'width': 8, 'x'", "it is a group of fields"),
        ("evaluators.coherence.target=", ""),
    ],
)
def test_what_no_config_has_is_refused(quickstart, setting, message):
    if not message:
        assert change(quickstart, setting)[0].evaluators.coherence.target == ""
        return
    with pytest.raises(ConfigError) as error:
        change(quickstart, setting)
    assert message in str(error.value)


def test_the_config_that_is_changed_stays(quickstart):
    before = quickstart.to_dict()
    change(quickstart, "encoders.audio=none", "objective.name=diffusion", "generator.name=unet")
    assert quickstart.to_dict() == before
