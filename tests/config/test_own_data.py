"""A config of the project on data that its user has: a folder, an .npz file."""

import pathlib

import numpy as np
import pytest
import tiny
from media_files import picture

from mmgen_jax import api, evaluate, train
from mmgen_jax.config import loading, override, own_data
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.data import fingerprint
from mmgen_jax.errors import ConfigError, DataError, InputError

# `test_own_sets.py`; the target of `vgan:digits` is made of digits
UNPAIRED = ("image_translation_unpaired", "style_transfer", "vgan")
N = 40
RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (N, 20, 20, 3), np.uint8)
TEXTS = np.array([f"a {'large' if i % 2 else 'small'} thing" for i in range(N)])
LABELS = np.arange(N) % 3
FIRST = np.moveaxis(PICTURES, -1, 1) / 255  # channels first, in [0, 1]
TOO_FEW = "whether pictures match their texts is not measured"


def configs():
    """Every config with its first argument, but for those of two data sets side by side."""
    seen = {}
    for reference in tiny.references():
        seen.setdefault(reference.partition(":")[0], reference)
    for name in UNPAIRED:
        del seen[f"configs/{name}.py"]
    return [reference.replace("configs/", "").replace(".py", "") for reference in seen.values()]


@pytest.fixture(scope="module")
def npz(tmp_path_factory):
    """Pictures, clips, sounds, texts and a class under names that other tools give."""
    file = tmp_path_factory.mktemp("own") / "things.npz"
    sound = RNG.uniform(-1, 1, (N, 8000)).astype(np.float32)
    clips = RNG.integers(0, 256, (N, 4, 16, 16, 3), np.uint8)
    more = {"video": clips, "audio": sound, "audio/sample_rate": 16_000}
    np.savez(file, images=PICTURES, captions=TEXTS, y=LABELS, **more)
    return file


@pytest.mark.parametrize("reference", configs())
def test_every_config_reads_own_data(reference, npz, capsys):
    behind = "," if ":" in reference else ":"
    config = loading.load(f"{reference}{behind}npz={npz}")
    said = capsys.readouterr().out.splitlines()
    # Every change of the config is said, and no other part of the config is changed.
    changes = [line for line in said if not line.startswith(TOO_FEW)]
    assert config.data.name == "npz" and len(said) - len(changes) < 2
    whole = loading.load(reference)
    left_out = {f"config.evaluators.{name} is left out" for name in whole.evaluators if name not in config.evaluators}
    for name, operations in whole.augment.items():
        left_out |= {
            f"config.augment.{name}.{key} is left out" for key in operations if key not in config.augment[name]
        }
    if config.train.batch_size != whole.train.batch_size:
        left_out.add(f"config.train.batch_size is {config.train.batch_size}, not {whole.train.batch_size}")
    if not reference.startswith("multi_task"):  # whose evaluators are those of the data's own labels
        assert {line.partition(":")[0] for line in changes} == left_out
    if config.get("derived", {}).get("mel", {}).get("sample_rate") == 8000:
        with pytest.raises(ConfigError, match=r"8000 Hz, got 16000 Hz; .*set sample_rate to the sound's"):
            open_source(config)
        config = override.override(config, {"derived.mel.sample_rate": 16_000})
    source = open_source(config)
    system = build_system(tiny.shrink(config), source.modalities, label_preserving=())
    computed = set(config.get("derived", {}))
    own = set(source.modalities) - computed
    assert set(system.targets) <= own | computed and set(config.data.names) == own
    evaluate.build(config, system)


@pytest.mark.parametrize("labels", [("y",), ("mood", "size", "place")])
def test_a_config_of_several_labels_recognises_those_of_the_data(labels, tmp_path):
    sound = RNG.uniform(-1, 1, (N, 8000)).astype(np.float32)
    file = tmp_path / "sounds.npz"
    np.savez(file, audio=sound, **dict.fromkeys(labels, LABELS))
    config = loading.load(f"multi_task:npz={file}")
    targets = ["label" if name == "y" else name for name in labels]
    system = build_system(tiny.shrink(config), open_source(config).modalities, label_preserving=())
    assert sorted(system.targets) == sorted(targets) == sorted(config.evaluators) and system.target == targets[0]
    evaluate.build(config, system)
    np.savez(tmp_path / "one.npz", image=PICTURES, **dict.fromkeys(labels, LABELS))
    with pytest.raises(ConfigError, match=r"the config reads audio, and the data has: image, "):
        loading.load(f"multi_task:npz={tmp_path / 'one.npz'}")
    if len(labels) > 1:
        with pytest.raises(
            ConfigError, match=r"recognises clothing, .* labels mood, size, place; .*rename one to cloth"
        ):
            loading.load(f"image_recognition:npz={tmp_path / 'one.npz'}")


@pytest.mark.parametrize("reference", ["folder:{}", "quickstart:folder={}"])
def test_the_layout_of_a_folder_says_what_the_config_reads(reference, tmp_path, cache):
    for i in range(12):
        picture(tmp_path / f"{i}.png", PICTURES[i])
    for name in ("a", "b"):
        rows = "".join(f"{i}.png,{name} {TEXTS[i]}\n" for i in range(12))
        (tmp_path / f"{name}.csv").write_text(f"file,caption\n{rows}")
    with pytest.raises((ConfigError, DataError), match=r"data\.layout"):
        open_source(loading.load(reference.format(tmp_path)))
    config = loading.load(reference.format(tmp_path), layout="a.csv")
    assert config.data.layout == "a.csv" and list(config.encoders) == ["text"]
    assert {"text", "image"} <= set(open_source(config).modalities)


def test_a_folder_lends_its_modalities_to_another_config(tmp_path, cache):
    folder = tmp_path / "things"
    folder.mkdir()
    for i in range(12):
        picture(folder / f"{i}.png", PICTURES[i])
        (folder / f"{i}.txt").write_text(TEXTS[i])
    config = loading.load(f"text_to_image_gan:digits,folder={folder}")
    assert (config.data.name, config.data.names, config.data.image_size) == ("folder", ("text", "image"), 28)
    assert config.train.batch_size == 8 and "accuracy" not in config.evaluators
    assert config.discriminator.to_dict() == loading.load("text_to_image_gan:digits").discriminator.to_dict()
    assert len(open_source(config)) == 10
    with pytest.raises(
        ConfigError, match=r"the config reads clothing, and the data has: image, text; .*a folder of each class"
    ):
        loading.load(f"image_recognition:folder={folder}")
    with pytest.raises(ConfigError, match=r"the config reads image, and .*, or give an array the name image"):
        np.savez(tmp_path / "other.npz", picture=PICTURES.reshape(40, -1).astype(np.float32))
        loading.load(f"dcgan:npz={tmp_path / 'other.npz'}")
    with pytest.raises(DataError, match=r"expected an \.npz file, got a folder; read it by folder=PATH"):
        loading.load(f"dcgan:npz={tmp_path}")
    with pytest.raises(DataError, match="expected a folder, got nothing"):
        loading.load(f"dcgan:folder={tmp_path / 'none'}")


@pytest.mark.parametrize("argument", ["clothing", "digits"])
def test_completion_is_measured_on_own_data(argument, tmp_path):
    np.savez(tmp_path / "few.npz", image=PICTURES)
    config = loading.load(f"inpainting:{argument},npz={tmp_path / 'few.npz'}")
    assert list(config.evaluators) == ["completion"] and not config.evaluators.completion.get("label")


def test_a_condition_that_the_data_lacks_is_left_out_and_said(npz, tmp_path, capsys):
    np.savez(tmp_path / "few.npz", image=PICTURES, text=TEXTS)
    config = loading.load(f"quickstart:npz={tmp_path / 'few.npz'}")
    assert set(config.encoders) == {"text"} == set(config.fusion.modality_dropout)
    first, *measured, last = capsys.readouterr().out.splitlines()
    assert first == "config.encoders.audio is left out: the data has image, text" and last.startswith(TOO_FEW)
    assert all("is left out: it measures the config's own data" in line for line in measured) and measured


@pytest.mark.parametrize(
    "argument, rest, fields",
    [
        ("folder=pets", "", {"name": "folder", "directory": "pets"}),
        ("emoji,folder=a,b=c", "emoji", {"name": "folder", "directory": "a,b=c"}),
        ("npz=~/x.npz", "", {"name": "npz", "file": str(pathlib.Path.home() / "x.npz")}),
        ("scenes,target=image", "scenes,target=image", None),
        ("my_folder=x", "my_folder=x", None),
    ],
)
def test_an_argument_may_end_in_data(argument, rest, fields):
    assert own_data.split(argument) == (rest, fields)


def read(file, **fields):
    config = loading.load("dcgan").copy_and_resolve_references().unlock()
    config.data = {"name": "npz", "file": str(file), **fields}
    sources = [open_source(config, split) for split in ("train", "validation", "test")]
    return [source.read(np.arange(len(source)), np.zeros(len(source), int)) for source in sources], sources[0]


def test_arrays_become_examples(npz):
    (train, validation, test), source = read(npz)
    assert [len(part["label"]) for part in (train, validation, test)] == [32, 4, 4]
    every = np.concatenate([part["image"] for part in (train, validation, test)])
    np.testing.assert_allclose(np.sort(every.sum((1, 2, 3))), np.sort((PICTURES / 127.5 - 1).sum((1, 2, 3))), atol=1e-3)
    words = source.modalities["text"].tokenizer
    assert {words.decode(ids) for ids in train["text"]} == set(TEXTS)
    assert source.modalities["label"].classes == ("0", "1", "2") and source.modalities["audio"].sample_rate == 16_000
    (resized, _, _), source = read(
        npz, image_size=8, num_frames=2, audio_seconds=0.25, names=("image", "video", "audio")
    )
    shapes = {name: modality.shape for name, modality in source.modalities.items()}
    assert (
        shapes == {"image": (8, 8, 3), "video": (2, 8, 8, 3), "audio": (4000,)} and np.abs(resized["image"]).max() <= 1
    )


@pytest.mark.parametrize(
    "arrays, shape",
    [
        ({"x_train": PICTURES[:20], "y_train": LABELS[:20], "x_test": PICTURES[:7], "y_test": LABELS[:7]}, (20, 20, 3)),
        ({"train_images": PICTURES[:20, :, :, 0], "test_images": PICTURES[:7, :, :, 0]}, (20, 20, 1)),
        ({"image_train": FIRST[:20], "image_test": FIRST[:7]}, (20, 20, 3)),
    ],
)
def test_splits_of_the_users_own_are_kept(arrays, shape, tmp_path):
    np.savez(tmp_path / "split.npz", **arrays)
    (train, validation, test), source = read(tmp_path / "split.npz")
    assert source.modalities["image"].shape == shape
    assert len(test["image"]) == 7 and len(train["image"]) + len(validation["image"]) == 20
    first = PICTURES[:7] if shape[-1] == 3 else PICTURES[:7, :, :, :1]
    np.testing.assert_allclose(test["image"], first / 127.5 - 1, atol=1e-5)


def test_a_mask_follows_its_array_to_the_name_of_its_kind(tmp_path):
    """An array of no modality's name is told by its values: `x` is the image, and `x/mask` that of the image."""
    mask = np.arange(len(PICTURES)) % 4 > 0
    np.savez(tmp_path / "x.npz", **{"x": PICTURES, "x/mask": mask, "y": LABELS})
    parts, _ = read(tmp_path / "x.npz")
    assert sum(int((~part["image/mask"]).sum()) for part in parts) == (~mask).sum()


def test_texts_may_be_bytes_and_of_a_script_without_spaces(tmp_path):
    """A Han character is a word, without spaces around it; a sentence of Thai is one word, which is warned of."""
    for texts in (["红色的圆", "蓝色的 A 方"], ["วงกลมสีแดง", "สี่เหลี่ยมสีน้ำเงิน"]):
        np.savez(tmp_path / "bytes.npz", sentence=np.array([text.encode() for text in texts] * 10))
        (train, _, _), source = read(tmp_path / "bytes.npz")
        words = source.modalities["text"].tokenizer
        assert {words.decode(ids) for ids in train["text"]} == {text.lower() for text in texts}
        assert len(words.vocabulary) == (7 if "红色的圆" in texts else 2)
        assert bool(source.warnings()) == ("红色的圆" not in texts)
    assert [line.split(": ")[0] for line in source.warnings()] == ["text"] and "text_unit='character'" in str(
        source.warnings()
    )
    assert not read(tmp_path / "bytes.npz", text_unit="character")[1].warnings()
    with pytest.raises(ConfigError, match=r"data\.text_unit: expected word, character or byte, got 'syllable'"):
        read(tmp_path / "bytes.npz", text_unit="syllable")


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"image": PICTURES, "label": LABELS[:5]}, r"label\.length: expected 40 as image has, got 5"),
        ({"image": np.full((4, 8, 8, 3), 300)}, "expected uint8, or floats in .* got int64 from 300 to 300"),
        ({"image": np.zeros((4, 8, 8, 5), np.uint8)}, r"expected pictures with 1 or 3 channels"),
        ({"text": np.array(["a", "b"], object)}, "text"),
        ({"audio": np.full((4, 8), 2.0)}, r"expected values in \[-1, 1\], got 2"),
        ({"text": np.zeros((4, 3), np.int32)}, r"text\.shape: expected \[N\] or \[N, K\] strings, got int32 \[4, 3\]"),
        ({"text": np.array([[["a"]]] * 4)}, r"text\.shape: expected \[N\] or \[N, K\] strings, got <U1 \[4, 1, 1\]"),
        ({"text": np.array([["", " "]] * 4)}, r"text\.vocabulary: expected words in the training texts, got none"),
        ({"text": np.array([b"\xff"] * 4)}, r"text\.encoding: expected texts in UTF-8"),
        ({"image": PICTURES, "image/mask": np.ones(3, bool)}, r"image/mask\.shape: expected \[40\], got \[3\]"),
        ({"image": PICTURES, "sound/mask": np.ones(40, bool)}, r"sound/mask\.name: expected an array named as"),
        (
            {"audio": np.zeros((4, 8)), "audio/sample_rate": np.full(4, 8000)},
            r"sample_rate\.shape: expected one number",
        ),
        ({"audio": np.zeros((4, 8)), "audio/sample_rate": 0}, r"sample_rate: expected 1000 to 192000 Hz, got 0 Hz"),
        ({"x_train": PICTURES, "label": LABELS}, r"label\.splits: expected train, got none"),
        ({"pose": np.full((4, 2), np.nan)}, r"pose\.range: expected finite values, got others in example 0"),
        ({"image": np.zeros((4, 0, 8, 3))}, r"expected pictures with 1 or 3 channels, got \[4, 0, 8, 3\]"),
        ({"label": np.array([-1, 0, 1])}, "expected class numbers from 0, got -1 to 1"),
        ({"pose": np.zeros((4, 2, 2, 2, 2, 2))}, "pose"),
        ({}, "expected at least one array"),
    ],
)
def test_arrays_that_cannot_be_used(arrays, message, tmp_path):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path / "bad.npz", validation_fraction=0.0, test_fraction=0.0)
    assert str(tmp_path / "bad.npz") in str(error.value)


@pytest.mark.parametrize("source", ["npz", "folder"])
def test_own_data_may_declare_what_keeps_its_texts_true(source, npz, tmp_path, cache):
    place = npz if source == "npz" else tmp_path / "files"
    if source == "folder":
        place.mkdir()
        for i in range(12):
            picture(place / f"{i}.png")
            (place / f"{i}.txt").write_text("a cat")
    flipped = override.override(loading.load(f"text_to_image_vae:{source}={place}"), {"augment.image.flip": "0.5"})
    declared = override.override(flipped, {"data.label_preserving": "('flip',)"})
    sources = [open_source(config) for config in (flipped, declared)]
    assert fingerprint.of(sources[0]) == fingerprint.of(sources[1])
    with pytest.raises(InputError, match=r"label_preserving=\"\('flip',\)\"$"):
        build_system(flipped, sources[0].modalities, label_preserving=sources[0].label_preserving)
    build_system(declared, sources[1].modalities, label_preserving=sources[1].label_preserving)


def test_vectors_of_ones_own_train_a_multimodal_vae(tmp_path):
    """Two kinds of numbers in one latent: given the five numbers, the ten others are drawn."""
    latent = RNG.normal(size=(200, 2))
    arrays = {name: (latent @ RNG.normal(size=(2, size))).astype(np.float32) for name, size in (("a", 5), ("b", 10))}
    np.savez(tmp_path / "mine.npz", **arrays)
    config = loading.load(f"multimodal_vae:vectors,names=a+b,method=mvtcae,npz={tmp_path / 'mine.npz'}")
    changes = {"train.steps": 2, "train.batch_size": 8, "train.sample_steps": 0, "parallel.num_devices": 1}
    train.train(override.override(config, changes), tmp_path / "run")
    entries = evaluate.read(tmp_path / "run")
    assert all(np.isfinite(entry["value"]) for entry in entries.values() if entry["value"] is not None) and entries
    drawn = api.sample(str(tmp_path / "run"), {"a": arrays["a"][0]}, num=3)
    assert drawn["b"].shape == (3, 10) and np.isfinite(drawn["b"]).all() and "a" not in drawn
    with pytest.raises(ConfigError, match=r"data\.file: expected an \.npz file, got none; name your data"):
        train.prepare(loading.load("multimodal_vae:vectors"))
    with pytest.raises(ConfigError, match="the config reads right, and the data has: a, b"):
        loading.load(f"multimodal_vae:vectors,names=a+right,npz={tmp_path / 'mine.npz'}")
