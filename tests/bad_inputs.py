"""A generated corpus of bad and awkward inputs, each with its documented outcome.

A case writes its files into an empty folder, is read by one call, and is then either converted, with a check of what
came out, or refused, with an error whose line must hold the given parts. Run as a program it tries every case and
fails if that imported jax.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import media_files as media
import numpy as np
from bad_media_inputs import Case, Folder, audio_cases, first, image_cases, video_cases, write

from mmgen_jax.data import folder
from mmgen_jax.errors import BatchError, DataError
from mmgen_jax.modalities.modality import Modality, check_batch
from mmgen_jax.modalities.text import MAX_TEXT_BYTES
from mmgen_jax.modalities.text import read as read_text
from mmgen_jax.modalities.tokenizer import build


def cases() -> list[Case]:
    return [*image_cases(), *audio_cases(), *video_cases(), *text_cases(), *folder_cases(), *array_cases()]


def try_case(case: Case, directory: Folder) -> None:
    """Raises AssertionError unless the outcome is the documented one."""
    case.write(directory)
    try:
        result = case.read(directory)
    except (DataError, BatchError, ValueError) as error:
        line = str(error)
        assert case.refused, f"{case.name}: expected to be converted, got refused: {line}"
        missing = [part for part in (*case.refused, "expected ", "got ") if part not in line]
        assert not missing, f"{case.name}: expected {missing} in: {line}"
        assert isinstance(error, DataError) <= line.startswith(str(directory)), f"{case.name}: no file in: {line}"
        assert "\n" not in line and len(line) < 600, f"{case.name}: not one short line: {line}"
    else:
        assert case.converted, f"{case.name}: expected to be refused, got {result!r}"
        assert case.converted(result), f"{case.name}: converted to {result!r}"


def source(directory, **fields):
    fields = {"image_size": 8, "num_frames": 2, "test_fraction": 0.0, "validation_fraction": 0.0} | fields
    return folder.Source(directory=str(directory), **fields)


def first_example(directory, **fields):
    return source(directory, **fields).read(np.arange(1), np.zeros(1, int))


def manifest(*lines: Any) -> Callable[[Folder], Any]:
    """A manifest of lines (objects are written as JSON) beside a whole `a.png`."""

    def make(directory):
        media.picture(directory / "a.png")
        written = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        (directory / "manifest.jsonl").write_text("\n".join(written), encoding="utf-8")

    return make


def text_cases() -> list[Case]:
    def text(directory):
        return read_text(first(directory))

    convert = {
        "byte order mark": (write("a.txt", b"\xef\xbb\xbfa cat"), "a cat"),
        "white space around": (write("a.txt", " \r\n a cat\r\n"), "a cat"),
        "beyond ASCII": (write("a.txt", "een kät 猫 🐈"), "een kät 猫 🐈"),
        "json string": (write("a.json", '"a cat"'), "a cat"),
        "json object": (write("a.json", '{"caption": "a cat", "id": 3}'), "a cat"),
        "UTF-16": (write("a.txt", "a cat".encode("utf-16")), "a cat"),
    }
    utf8, empty, valid = (
        ("text.encoding", "UTF-8"),
        ("text.length", "at least 1", "an empty text"),
        ("text.json", "valid JSON"),
    )
    form = ("text.json", "a string, or an object with `text`")
    refuse = {
        "of zero bytes": (write("a.txt", b""), ("text.size", "at least 1 byte", "an empty file")),
        "white space alone": (write("a.txt", " \n"), empty),
        "Latin-1": (write("a.txt", "kät".encode("latin-1")), (*utf8, "byte 0xe4 at 1")),
        "UTF-16 without a mark": (write("a.txt", "cat".encode("utf-16-le")), ("text.encoding", "NUL")),
        "NUL": (write("a.txt", b"a\0cat"), ("text.encoding", "NUL")),
        "more than 64 KiB": (
            write("a.txt", "cat " * 20_000),
            ("text.length", f"at most {MAX_TEXT_BYTES}", "80000"),
        ),
        "broken json": (write("a.json", '{"text": '), valid),
        "deeply nested json": (write("a.json", "[" * 30_000), valid),
        "json list": (write("a.json", "[1]"), (*form, "list")),
        "json without text": (write("a.json", '{"title": "a"}'), (*form, "NoneType")),
        "json with an empty text": (write("a.json", '{"text": ""}'), empty),
        "half of a surrogate pair": (write("a.json", '"\\ud800"'), ("text.encoding", "surrogate")),
    }
    return [
        *(Case(f"text: {n}", w, text, converted=lambda x, c=c: x == c) for n, (w, c) in convert.items()),
        *(Case(f"text: {n}", w, text, refused=parts) for n, (w, parts) in refuse.items()),
    ]


def folder_cases() -> list[Case]:
    def files(*names):
        def make(directory):
            for name in names:
                (directory / name).parent.mkdir(exist_ok=True)
                write(name, "a cat")(directory) if name.endswith("txt") else media.picture(directory / name)

        return make

    def linked(directory):
        files("a.png", "b/c.png")(directory)
        (directory / "d").symlink_to(directory)

    def out(name, target):
        def make(directory):
            (outside := directory.parent / "outside").mkdir()
            files("a.png", "a.txt")(outside)
            files("b.png")(directory)
            (directory / name).symlink_to(outside / target)

        return make

    def listed_out(directory):
        out("c", ".")(directory)
        (directory / "manifest.jsonl").write_text('{"image": "c/a.png"}')

    def silent(directory):
        media.clip(directory / "a.mp4")
        media.clip(directory / "b.mp4", samples=media.sine(16_000))

    def not_a_folder(directory):
        (directory / "manifest.jsonl").mkdir()

    path, json_ = ("image.path", "a path inside the folder"), ("manifest.jsonl:1: data.json",)
    refuse = {
        "empty": (lambda d: None, ("data.files", "files that end in", "none (0 other files)")),
        "no usable file": (write("a.xyz", "1"), ("data.files", "none (1 other files)")),
        "two images of one stem": (
            files("a.png", "a.jpg"),
            ("image.stem", "one image file per stem", "a.jpg and a.png"),
        ),
        "suffixes in two cases": (files("a.png", "a.PNG"), ("image.stem", "a.PNG and a.png")),
        "one name in two Unicode forms": (files("\u00e9.png", "e\u0301.png"), ("image.stem", "one image")),
        "folder named like a file": (files("a.png", "b.wav/c.png"), ("b.wav: audio.file", "a folder")),
        "one damaged file": (lambda d: (files("b.png")(d), media.cut(d / "b.png")), ("b.png: image.content",)),
        "broken link": (lambda d: (d / "a.wav").symlink_to("b"), ("a.wav: audio.file", "No such file")),
        "a picture by a link out": (out("a.png", "a.png"), ("a.png: image.path", "inside the folder", "outside/a.png")),
        "a text by a link out": (out("b.txt", "a.txt"), ("b.txt: text.path", "inside the folder", "outside/a.txt")),
        "a table by a link out": (out("labels.csv", "a.txt"), ("labels.csv: data.path", "outside/a.txt")),
        "manifest: a link out": (out("manifest.jsonl", "a.txt"), ("manifest.jsonl: data.path", "outside/a.txt")),
        "manifest: a path by a link out": (listed_out, ("manifest.jsonl:1: image.path", "outside/a.png")),
        "a pipe": (lambda d: os.mkfifo(d / "a.png"), ("a.png: image.path", "a pipe")),
        "text of too many words": (write("a.txt", "cat " * 32), ("a.txt: text.length", "at most 31 words", "32")),
        "manifest: empty": (manifest(""), ("data.files", "an empty manifest.jsonl")),
        "manifest: not UTF-8": (write("manifest.jsonl", b'{"text": "\xff"}'), ("data.manifest", "UTF-8")),
        "manifest: a folder": (not_a_folder, ("data.manifest", "a readable UTF-8 file")),
        "manifest: broken json": (manifest('{"image": '), json_),
        "manifest: a list": (manifest(["a.png"]), (*json_, "list")),
        "manifest: no field": (manifest({}), (*json_, "no field")),
        "manifest: a field twice": (manifest('{"image": "a.png", "image": "a.png"}'), (*json_, "a field twice")),
        "manifest: an extra field": (
            manifest({"image": "a.png", "txt": "b"}),
            ("manifest.jsonl:1: txt.field", "text, image"),
        ),
        "manifest: a number": (manifest({"image": "a.png", "text": 3}), ("text.value", "a string", "3")),
        "manifest: null": (manifest({"image": "a.png", "audio": None}), ("audio.value", "a string", "null")),
        "manifest: an empty caption": (manifest({"text": " "}), ("text.length", "at least 1")),
        "manifest: an overlong caption": (manifest({"text": "cat " * 99}), ("manifest.jsonl:1: text.length", "99")),
        "manifest: no such file": (manifest({"image": "b.png"}), ("image.path", "b.png", "nothing")),
        "manifest: an absolute path": (manifest({"image": "/etc/a.png"}), path),
        "manifest: a path that escapes": (manifest({"image": "../a.png"}), path),
        "manifest: an empty path": (manifest({"image": ""}), path),
        "manifest: a NUL in a path": (manifest({"image": "a\0.png"}), path),
        "manifest: an image as audio": (manifest({"audio": "a.png"}), ("audio.path", "ends in .wav", "a.png")),
        "manifest: a bad third line": (manifest({"image": "a.png"}, "", "{"), ("manifest.jsonl:3: data.json",)),
    }
    fields = {
        "no such split": ({"split": "dev"}, ("data.split", "train, validation, test", "'dev'")),
        "no such modality": ({"names": ("picture",)}, ("data.names", "text, image", "picture")),
        "a modality that no file has": ({"names": ("image", "audio")}, ("audio.files", "at least one", "none")),
        "images of no pixels": ({"image_size": 0}, ("data.image_size", "more than 0", "0")),
        "two channels": ({"channels": 2}, ("data.channels", "1 or 3", "2")),
        "an empty split": ({"split": "test"}, ("data.split", "at least one example in 'test'", "none of 1")),
        "a vocabulary of no words": ({"min_count": 9}, ("text.vocabulary", "at least 9 times", "none in 1")),
    }
    masked = {
        "missing partners": (
            files("a.png", "b.txt"),
            lambda x: x["image/mask"][0] and not x["text/mask"][0] and not x["text"].any(),
        ),
        "unknown suffix": (lambda d: (files("a.png")(d), write("b.xyz", "")(d)), lambda x: list(x) == ["image"]),
        "hidden files": (files("a.png", ".a.jpg"), lambda x: list(x) == ["image"]),
        "a link to its own folder": (linked, lambda x: list(x) == ["image"]),
        "partners in two Unicode forms": (files("\u00e9.png", "e\u0301.txt"), lambda x: list(x) == ["text", "image"]),
        "clip without sound": (silent, lambda x: not x["audio/mask"][0] and "video/mask" not in x),
        "manifest with byte order mark": (
            lambda d: (files("a.png")(d), write("manifest.jsonl", b'\xef\xbb\xbf{"image": "a.png"}\r\n\r\n')(d)),
            lambda x: list(x) == ["image"],
        ),
    }
    return [
        *(Case(f"folder: {n}", w, source, refused=parts) for n, (w, parts) in refuse.items()),
        *(
            Case(f"folder: {n}", files("a.png", "a.txt"), lambda d, f=f: source(d, **f), refused=parts)
            for n, (f, parts) in fields.items()
        ),
        *(Case(f"folder: {n}", w, first_example, converted=check) for n, (w, check) in masked.items()),
        Case(
            "folder: not there",
            lambda d: None,
            lambda d: source(d / "nowhere"),
            refused=("nowhere: data.directory", "a folder", "nothing"),
        ),
        Case(
            "folder: a file",
            files("a.png"),
            lambda d: source(d / "a.png"),
            refused=("a.png: data.directory", "a folder", "a file"),
        ),
    ]


def array_cases() -> list[Case]:
    """Arrays that a source of the user's own might yield; they are checked before the first step."""
    tokenizer = build(["a cat"])
    modalities = {
        "image": Modality("image", (4, 4, 3)),
        "audio": Modality("audio", (8,), sample_rate=8000),
        "text": Modality("text", (4,), tokenizer=tokenizer),
        "label": Modality("label", classes=("cat", "dog")),
    }
    whole = np.zeros((2, 4, 4, 3), np.float32)
    spoilt = whole.copy()
    spoilt[1, 0, 0, 0] = np.nan

    def check(**arrays):
        return lambda directory: check_batch(
            {name.replace("__", "/"): array for name, array in arrays.items()}, modalities
        )

    refuse = {
        "NaN pixels": (check(image=spoilt), ("batch['image'].range", "[-1, 1]", "nan")),
        "pixels in [0, 255]": (check(image=whole + 255), ("batch['image'].range", "[-1, 1]", "255")),
        "bytes": (check(image=whole.astype(np.uint8)), ("batch['image'].dtype", "float32", "uint8")),
        "64-bit floats": (check(image=whole.astype(np.float64)), ("batch['image'].dtype", "float32", "float64")),
        "channels first": (
            check(image=whole.transpose(0, 3, 1, 2)),
            ("batch['image'].shape", "[B, 4, 4, 3]", "[2, 3, 4, 4]"),
        ),
        "no batch axis": (check(image=whole[0]), ("batch['image'].shape", "[B, 4, 4, 3]", "[4, 4, 3]")),
        "loud": (check(audio=np.full((2, 8), 1.01, np.float32)), ("batch['audio'].range", "[-1, 1]", "1.01")),
        "an id too large": (check(text=np.full((2, 4), 99, np.int32)), ("batch['text'].range", "[0, 5)", "99")),
        "a negative label": (check(label=np.array([0, -1], np.int32)), ("batch['label'].range", "[0, 2)", "-1")),
        "batch sizes": (check(image=whole, label=np.zeros(3, np.int32)), ("one batch size", "'label': 3")),
        "a mask of integers": (check(image=whole, image__mask=np.ones(2, int)), ("batch['image/mask'].dtype", "bool")),
    }
    hidden = check(image=spoilt, image__mask=np.array([True, False]))
    return [
        *(Case(f"array: {n}", lambda d: None, read, refused=parts) for n, (read, parts) in refuse.items()),
        Case("array: NaN where masked", lambda d: None, hidden, converted=lambda x: x is None),
    ]


if __name__ == "__main__":
    for case in cases():
        with tempfile.TemporaryDirectory() as temporary:
            os.environ["MMGEN_CACHE"] = f"{temporary}/cache"
            directory = Folder(temporary, "files")
            directory.mkdir()
            try_case(case, directory)
    assert "jax" not in sys.modules, "reading data imported jax"
    print(f"{len(cases())} inputs, each with its documented outcome")
