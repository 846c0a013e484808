import json
import math
import pathlib

import local_sets
import numpy as np
import PIL.Image
import pytest

from mmgen_jax.data import emoji, fingerprint, local
from mmgen_jax.errors import DataError
from mmgen_jax.modalities.tokenizer import UNKNOWN
from mmgen_jax.training import augment

POINTS = [f"{point:x}" for point in range(0x1F600, 0x1F628)]  # 40 faces
EXTRA = {
    "2764": ("❤\ufe0f", "red heart"),
    "1f468_200d_2764_200d_1f468": ("👨\u200d❤\ufe0f\u200d👨", "couple “in” love"),
}


def glyph(code_points: str) -> tuple[int, int, int, int]:
    """The colour of a made glyph."""
    red = int(code_points.split("_")[0], 16)
    return (red % 256, red // 256 % 256, 37 * len(code_points) % 256, 255)


@pytest.fixture
def made(tmp_path, cache):
    """Glyphs of one colour each on the left half, transparent on the right."""
    folder = tmp_path / "set"
    names = {"".join(chr(int(p, 16)) for p in point.split("_")): f"face {i}" for i, point in enumerate(POINTS)}
    annotations = {c: {"default": [f"key{name[5:]}", "face"], "tts": [name]} for c, name in names.items()}
    annotations["❤"] = {"default": ["heart", "love"], "tts": ["red heart"]}
    derived = {c: {"tts": [name], "default": ["couple"]} for c, name in EXTRA.values() if "couple" in name}
    files = [*POINTS, *EXTRA, "1f600_1f3fb", "fe82b"]  # a skin tone and a glyph that no annotation names
    derived["\U0001f600\U0001f3fb"] = {"default": ["x"], "tts": ["face: light skin tone"]}
    for size in (32, 128):
        (folder / f"png{size}").mkdir(parents=True)
        for point in files:
            array = np.zeros((size, size, 4), np.uint8)
            array[:, : size // 2] = glyph(point)
            PIL.Image.fromarray(array).save(folder / f"png{size}" / f"emoji_u{point}.png")
    for file, field, entries in (
        ("annotations_en.json", "annotations", annotations),
        ("annotationsDerived_en.json", "annotationsDerived", derived),
    ):
        (folder / file).write_text(json.dumps({field: {"annotations": entries}}), encoding="utf-8")
    return str(folder)


def test_made_set_joins_glyphs_and_names(made):
    count = 0
    for split in emoji.Source.splits:
        source = emoji.Source(directory=made, split=split)
        batch = local_sets.check(source, 50)
        count += len(source)
        for row, image in enumerate(batch["image"]):
            code_points = source.code_points[source._rows[row]]
            color = np.array(glyph(code_points)[:3]) / 127.5 - 1
            np.testing.assert_allclose(image[:, :16], np.broadcast_to(color, (32, 16, 3)), atol=1e-6)
            assert (image[:, 16:] == 1).all()  # transparent is white
            np.testing.assert_array_equal(image, batch["image_128"][row, ::4, ::4])
            expected = EXTRA[code_points][1] if code_points in EXTRA else f"face {POINTS.index(code_points)}"
            words = source.modalities["text"].tokenizer.split(expected.translate(emoji.STRAIGHT))
            assert len(words) == (batch["text"][row] > 1).sum()
            if split == "train":
                assert source.modalities["text"].tokenizer.decode(batch["text"][row]) == " ".join(words)
    assert count == len(POINTS) + len(EXTRA)  # without the skin tone and the glyph without a name


def test_words_of_other_splits_are_unknown(made):
    train, test = (emoji.Source(directory=made, split=split, names=("text", "keywords")) for split in ("train", "test"))
    assert train.modalities == test.modalities
    assert not (local_sets.read(train, range(len(train)))["text"] == UNKNOWN).any()
    keywords = local_sets.read(test, range(len(test)))["keywords"]
    assert ((keywords == UNKNOWN).sum(1) == 1).all()  # "key7", and "face" is known


def test_text_can_hold_the_keywords_too_and_be_bytes(made):
    source = emoji.Source(directory=made, names=("text",), text="name_and_keywords", text_unit="byte")
    tokenizer = source.modalities["text"].tokenizer
    texts = {tokenizer.decode(ids) for ids in local_sets.read(source, range(len(source)))["text"]}
    points = [source.code_points[row] for row in source._rows if source.code_points[row] in POINTS]
    assert {f"face {i}: key{i}, face" for i in map(POINTS.index, points)} <= texts
    with pytest.raises(ValueError, match=r"emoji: text: expected at most 3 words, got 7; raise the length to 8"):
        emoji.Source(directory=made, names=("text",), text="name_and_keywords", text_length=4)


def test_other_sizes_come_from_the_large_glyph(made):
    source = emoji.Source(directory=made, names=("image",), image_size=64)
    local_sets.check(source)
    images = local_sets.read(source, range(len(source)))["image"]
    large = local_sets.read(emoji.Source(directory=made, names=("image_128",)), range(len(source)))["image_128"]
    np.testing.assert_allclose(images[:, :, :28], large[:, ::2, :56:2], atol=1e-6)  # away from the edge in the middle


def test_splits_are_joined_and_every_example_has_its_family(made):
    held = {split: emoji.Source(directory=made, split=split, names=("text",)) for split in emoji.Source.splits}
    both = emoji.Source(directory=made, split="validation+test", names=("text",))
    rows = [set(held[split]._rows.tolist()) for split in ("validation", "test")]
    assert set(both._rows.tolist()) == rows[0] | rows[1] and len(both) == len(rows[0]) + len(rows[1])
    for source in (*held.values(), both):
        assert len(source.families) == len(source)
    families = [set(source.families) for source in held.values()]
    assert not families[0] & families[1] and not families[0] & families[2] and not families[1] & families[2]
    with pytest.raises(ValueError, match=r"emoji.split: expected train, validation, test, got 'test.rest'"):
        emoji.Source(directory=made, split="test+rest")


@pytest.mark.parametrize(
    "family, names",
    [
        ("running", ["person running", "woman running", "man running: facing right"]),
        ("police officer", ["police officer", "woman police officer", "man police officer"]),
        ("person", ["man", "woman: red hair", "person: bald", "person"]),
        ("old person", ["old man", "old woman", "older person"]),
        ("child", ["boy", "girl", "child"]),
        ("holding hands", ["woman and man holding hands", "men holding hands", "people holding hands"]),
        ("room", ["men's room", "women's room"]),
        ("family", ["family", "family: man, woman, boy", "family: adult, child"]),
        ("keycap", ["keycap: #", "keycap: 10"]),
        ("clock face", ["one o'clock", "twelve-thirty"]),
        ("merperson", ["merperson", "mermaid", "merman"]),
        ("arrow", ["up arrow", "down-left arrow", "left-right arrow"]),
        ("fist", ["left-facing fist", "right-facing fist"]),
        ("pushing hand", ["leftwards pushing hand", "rightwards pushing hand"]),
    ],
)
def test_variants_are_a_family(family, names):
    assert {emoji.family(name) for name in names} == {family}


def test_other_glyphs_are_no_family():
    names = ["yellow heart", "blue heart", "running shoe", "kiss mark", "kiss", "raised hand", "raising hands", "clock"]
    names += ["person raising hand", "pregnant woman", "upside-down face", "busts in silhouette", "woman's hat", "hut"]
    assert len({emoji.family(name) for name in names}) == len(names)


def test_variants_are_in_one_split_of_their_own_version(made):
    file = pathlib.Path(made) / "annotations_en.json"
    fields = json.loads(file.read_text())
    for person, sex in (("👱", "person"), ("👩", "woman"), ("👨", "man")):
        fields["annotations"]["annotations"][person] = {"tts": [f"{sex} dancing"]}
        for size in (32, 128):
            PIL.Image.new("RGB", (size, size)).save(pathlib.Path(made) / f"png{size}" / f"emoji_u{ord(person):x}.png")
    file.write_text(json.dumps(fields))
    held = {split: emoji.Source(directory=made, split=split, names=("text",)) for split in emoji.Source.splits}
    points = {f"{ord(person):x}" for person in "👱👩👨"}
    shared = [points & {source.code_points[row] for row in source._rows} for source in held.values()]
    assert sorted(map(len, shared)) == [0, 0, 3]
    before = fingerprint.of(held["train"])
    held["train"].version = 1
    assert fingerprint.of(held["train"]) != before


def test_the_split_depends_on_the_group_alone():
    groups = [f"{i:x}" for i in range(20_000)]
    splits = [local.split_of(group) for group in groups]
    for split, share in (("test", 0.1), ("validation", 0.1), ("train", 0.8)):
        assert math.isclose(splits.count(split) / len(groups), share, abs_tol=0.01)
    assert [local.split_of(point) for point in ("1f600", "2764", "1f1e8_1f1ed")] == ["validation", "train", "train"]


def test_refusals(made, tmp_path):
    for fields, message in (
        ({"image_size": 129}, "emoji.image_size: expected 16 to 128"),
        ({"text": "title"}, "emoji.text: expected name or name_and_keywords"),
        ({"text_unit": "glyph"}, "emoji.text_unit: expected word, character or byte"),
        ({"directory": str(tmp_path)}, r"a folder with png32, png128, annotations_en.json.*got no png32.*noto-emoji"),
    ):
        with pytest.raises(ValueError, match=message):
            emoji.Source(**{"directory": made, **fields})
    (tmp_path / "set" / "annotations_en.json").write_text("{}")
    with pytest.raises(DataError, match=r"annotations_en.json: text.json: expected the CLDR's JSON"):
        emoji.Source(directory=made)


def test_flips_and_zooms_are_refused(made):
    source = emoji.Source(directory=made)
    with pytest.raises(ValueError, match="may describe sides and directions"):
        flips = {"image": {"flip": 0.5}, "image_128": {"flip": 0.5}}
        augment.check(flips, source.modalities, frozenset(source.label_preserving))
    with pytest.raises(ValueError, match="may describe sizes"):  # "small orange diamond"
        zooms = {"image": {"zoom": 0.1}, "image_128": {"zoom": 0.1}}
        augment.check(zooms, source.modalities, frozenset(source.label_preserving))


def test_real_set(mmgen_data):
    sizes = local_sets.assert_disjoint(emoji.Source, lambda source, row: source.code_points[source._rows[row]])
    assert sizes == {"train": 1312, "validation": 178, "test": 160}
    source = emoji.Source()
    indices = np.linspace(0, len(source) - 1, 12).astype(int)
    batch = local_sets.check(source)
    assert local_sets.digest(batch) == local_sets.digest_elsewhere("emoji", {}, indices)
    # The small glyph is the large one, averaged.
    small = batch["image_128"].reshape(len(indices), 32, 4, 32, 4, 3).mean((2, 4))
    assert np.abs(small - batch["image"]).mean() < 0.03
    tokenizer = source.modalities["text"].tokenizer
    names = [tokenizer.decode(ids) for ids in local_sets.read(source, range(len(source)))["text"]]
    assert len(set(names)) == len(names) and {"peach", "keycap : #"} <= set(names)
    star = local_sets.read(source, [names.index("yellow heart")])["image"][0]
    assert star[16, 16, 0] > 0.8 > -0.2 > star[16, 16, 2]  # yellow
