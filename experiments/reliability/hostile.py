"""Hostile files and words: folders that a stranger made, and command lines that nobody should type.

A case writes files into an empty folder. `refused`: `mmgen train` on the folder ends with one line on stderr that holds
the given words, before anything is written to the workdir. `read`: `mmgen check-data` reads the folder and finds no
problem. `either`: one or the other. No case may take more than `MEMORY`, print a control character, or run code of a
file.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pathlib
import tarfile
import zipfile
from collections.abc import Callable

import bad_media_inputs
import media_files as media
import numpy as np

MEMORY = 3 * 2**30  # bytes; of them 1 GiB is JAX and its libraries
FOLDER = str(pathlib.Path(__file__).resolve().parents[2] / "configs" / "folder.py")
write = bad_media_inputs.write


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    make: Callable[[pathlib.Path], object]
    outcome: str  # `read`, `either`, or words of the line that refuses it
    arguments: tuple[str, ...] = ()  # of `mmgen`, in place of reading the folder; {0} is the case's folder


def pairs(folder: pathlib.Path) -> None:
    """Twelve pictures with captions, which alone are a whole folder."""
    for number in range(12):
        media.picture(folder / f"good{number}.png", media.pixels(seed=number))
        (folder / f"good{number}.txt").write_text(f"picture {number % 3}")


def wide_png(folder: pathlib.Path) -> None:
    """8192² grey pixels of 16 bits in a file of 130 kB."""
    side = 8192
    (folder / "a.png").write_bytes(media.png_bytes(side, side, 16, 0, (b"\0" + bytes(2 * side)) * side))


def wide_gif(folder: pathlib.Path) -> None:
    """200 frames of one pixel each on a canvas of 8000²."""
    frame = b"\x21\xf9\x04\x00\x0a\x00\x00\x00\x2c" + bytes(4) + b"\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00"
    size = (8000).to_bytes(2, "little")
    header = b"GIF89a" + size + size + b"\x80\x00\x00" + bytes(3) + b"\xff\xff\xff"
    (folder / "a.gif").write_bytes(header + 200 * frame + b"\x3b")


def manifest(*lines) -> Callable[[pathlib.Path], None]:
    def make(folder):
        media.picture(folder / "a.png")
        written = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        (folder / "manifest.jsonl").write_text("\n".join(written))

    return make


def link(name: str, target: str) -> Callable[[pathlib.Path], None]:
    return lambda folder: (folder / name).symlink_to(target)


def pickled(folder: pathlib.Path) -> None:
    """An array whose pickle writes a file when it is loaded."""

    class Runs:
        def __reduce__(self):
            return pathlib.Path.write_text, (folder / "RAN", "code of a file ran")

    np.savez(folder / "d.npz", image=np.array(64 * [Runs()], dtype=object))


def huge_npy(folder: pathlib.Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(folder / "d.npz", "w") as file:
        file.writestr("image.npy", header.getvalue() + bytes(64))


def tar(folder: pathlib.Path) -> None:
    """A shard with members that leave its folder, a link, and two that are as they should be."""
    with tarfile.open(folder / "shard.tar", "w") as shard:
        for name in ("../out.txt", "/tmp/mmgen_out.txt", "a/../../out.txt", "good.txt", "fine.txt"):
            member = tarfile.TarInfo(name)
            member.size = 5
            shard.addfile(member, io.BytesIO(b"words"))
        member = tarfile.TarInfo("link.txt")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
        shard.addfile(member)


def both(*steps) -> Callable[[pathlib.Path], object]:
    return lambda folder: [step(folder) for step in steps]


def _config(body: str) -> Callable[[pathlib.Path], object]:
    return write("c.py", body)


SVG = '<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/hostname">]><svg>&x;</svg>'
TRAIN = ("train", "--config={0}/c.py", "--workdir={0}/run")
ARRAYS = ("train", "--config=vae:npz={0}/d.npz", "--workdir={0}/run")
COMPARE = ("compare", "{0}/run", "{0}/run")
QUICK = ("train", "--config=quickstart", "--workdir={0}/run")
RUN = {"config.json": '{"data": {}, "objective": {}, "train": {}}', "modalities.json": "{}"}


def run_of(**files: str) -> Callable[[pathlib.Path], None]:
    def make(folder):
        (folder / "run").mkdir()
        for name, content in (RUN | {name.replace("_", "."): content for name, content in files.items()}).items():
            (folder / "run" / name).write_text(content)

    return make


def field(name: str, value: str, words: str) -> Case:
    return Case(f"--config.{name}={value}", lambda folder: None, words, (*QUICK, f"--config.{name}={value}"))


FILES = [
    Case("a picture by a link out of the folder", link("a.png", "/etc/hostname"), "a.png: image.path"),
    Case("a text by a link out of the folder", link("e0.txt", "/etc/hostname"), "e0.txt: text.path"),
    Case("a text that is /dev/zero", link("z.txt", "/dev/zero"), "z.txt: text.path"),
    Case("a link to itself", link("a.png", "a.png"), "a.png: image."),
    Case("a link to the root folder", link("d", "/"), "read"),
    Case("a pipe", lambda folder: os.mkfifo(folder / "a.png"), "a.png: image.path"),
    Case("a manifest with an absolute path", manifest({"image": "/etc/a.png"}), "a path inside the folder"),
    Case("a manifest with a path that leaves", manifest({"image": "../a.png"}), "a path inside the folder"),
    Case("a manifest by a link", both(link("d", "/etc"), manifest({"image": "d/x.png"})), "image.path"),
    Case("a manifest of NUL", manifest({"image": "a\0.png"}), "a path inside the folder"),
    Case("a manifest 100,000 lists deep", manifest("[" * 100_000), "data.json"),
    Case("a manifest with a number of 5,000 digits", manifest('{"n": [' + "1" * 5000 + "]}"), "manifest.jsonl:1"),
    Case("a manifest that is no UTF-8", write("manifest.jsonl", b'{"text": "\xff"}'), "data.manifest"),
    Case("a table that names files outside", write("metadata.csv", "file_name,text\n../../etc/x.png,a\n"), "either"),
    Case("a table of 100,000 columns", write("t.csv", ",".join("c" * 100_000) + "\n"), "either"),
    Case("a table with a cell of 2 MB", write("t.csv", "file_name,text\ngood0.png," + "x" * 2_000_000), "either"),
    Case("8192² pixels of 16 bits in a small file", wide_png, "either"),
    Case("200 frames on a canvas of 8000²", wide_gif, "either"),
    Case(
        "a header of 100,000² pixels", lambda folder: media.png(folder / "a.png", 100_000, 100_000, 8, 2, b""), "a.png"
    ),
    Case("a picture that is cut off", lambda folder: media.cut(media.picture(folder / "a.png")), "image.content"),
    Case("an SVG with an outside entity, named .png", write("a.png", SVG), "a.png: image."),
    Case("a web page named .wav", write("a.wav", "<html>not found</html>"), "a.wav: audio."),
    Case("a sound of not-a-number", lambda f: media.sound(f / "a.wav", np.full(800, np.nan), subtype="FLOAT"), "audio"),
    Case("a clip that is cut off", lambda folder: media.cut(media.clip(folder / "a.mp4")), "a.mp4: "),
    Case("a text of NUL", write("a.txt", b"a\0b"), "text.encoding"),
    Case("a text of 10 MB", write("a.txt", "word " * 2_000_000), "text."),
    Case("a text of 70 lines of 1,000 letters", write("a.txt", ("x" * 1000 + "\n") * 70), "either"),
    Case("a shard with members that leave it", tar, "either"),
    Case("a shard that is cut off", both(tar, lambda folder: media.cut(folder / "shard.tar")), "either"),
    Case("a name with ESC", write("\x1b[2Ja.png", b"no picture"), "image."),
    Case("a name with ESC, of no data", write("\x1b[2J\n.xyz", b"no data"), "read"),
    Case("a name with a new line", write("a\nb.png", b"no picture"), "image."),
    Case("a name that is no UTF-8", lambda f: media.picture(f / "ok.png").rename(f"{f}/\udcff.png"), "either"),
    Case("a name of 255 bytes", lambda folder: media.picture(folder / ("n" * 251 + ".png")), "read"),
    Case("a folder named like a picture", lambda folder: (folder / "a.png").mkdir(), "a folder"),
    Case("60 folders inside each other", lambda f: (f / "/".join("d" * 60)).mkdir(parents=True), "read"),
    Case("two pictures of one stem", lambda f: media.picture(f / "good0.jpg"), "one image file per stem"),
    Case("one name in two Unicode forms", lambda f: [media.picture(f / n) for n in ("é.png", "é.png")], "either"),
]
WORDS = [
    Case("a pickle that runs code", pickled, "d.npz", ARRAYS),
    Case("an array whose header says 4 TB", huge_npy, "d.npz", ARRAYS),
    Case("an .npz that is no archive", write("d.npz", b"PK\x03\x04 no"), "d.npz", ARRAYS),
    field("train.batch_size", "1000000000000", "train.batch_size"),
    field("train.steps", "-1", "train.steps"),
    field("optimizers.generator.lr", "nan", "lr"),
    field("seed", "1e400", "seed"),
    field("train.steps_per_call", "1e9", "steps_per_call"),
    field("data.image_size", "99999999", "image_size"),
    field("objective.name", "../../etc/passwd", "objective"),
    field("generator.name", "os.system", "generator"),
    Case("a workdir that is a file", write("run", "x"), "is a file", QUICK),
    Case(
        "a workdir with a name of 5,000 letters", lambda folder: None, "", (*QUICK[:2], "--workdir={0}/" + "x" * 5000)
    ),
    Case("a config that ends the process", _config("import sys\nsys.exit(7)"), "c.py", TRAIN),
    Case("a config without an end", _config("def get_config():\n    return get_config()"), "c.py", TRAIN),
    Case("a config that is None", _config("def get_config(arg=''):\n    return None"), "c.py", TRAIN),
    Case("a config that is no Python", _config("\x00\xff"), "c.py", TRAIN),
    Case("a run whose config.json is cut off", run_of(config_json='{"seed"'), "config.json", QUICK),
    Case("a run whose config.json is a list", run_of(config_json="[1]"), "config.json", QUICK),
    Case("a run whose config.json is 100,000 lists deep", run_of(config_json="[" * 100_000), "config.json", QUICK),
    Case("a run whose config.json has no parts", run_of(config_json='{"seed": 0}'), "config.json", QUICK),
    Case("comparing a run whose config.json is cut off", run_of(config_json="{"), "is damaged", COMPARE),
    Case("a run whose modalities.json is null", run_of(modalities_json="null"), ".json", QUICK),
    Case("sampling from a folder that is no run", lambda folder: None, "", ("sample", "--workdir={0}", "--out={0}/o")),
]
CASES = FILES + WORDS


def commands(case: Case, folder: pathlib.Path) -> list[tuple[list[str], str]]:
    """`(arguments of mmgen, outcome)` of each command of a case; the folder is then as a stranger left it."""
    if case.arguments:
        case.make(folder)
        return [([argument.format(folder) for argument in case.arguments], case.outcome)]
    (data := folder / "data").mkdir()
    if not case.name.startswith(("a manifest", "a shard")):
        pairs(data)
    case.make(data)
    config = f"--config={FOLDER}:{data}"
    if case.outcome in ("read", "either"):
        return [(["check-data", config], case.outcome)]
    return [(["train", config, f"--workdir={folder}/run"], case.outcome)]


def judged(case: Case, folder: pathlib.Path, code: int | None, printed: str, memory: int) -> str:
    """What became of a command: `survived`, `hang`, `traceback`, or `wrong`."""
    if code is None:
        return "hang"
    if "Traceback" in printed or code not in (0, 1):
        return "traceback"
    lines = [line for line in printed.splitlines() if line.startswith("mmgen: ")]
    refused = code == 1
    checks = case.outcome in ("read", "either") and not case.arguments
    right = {"read": not refused, "either": True}.get(
        case.outcome, refused and len(lines) == 1 and case.outcome in lines[0]
    )
    clean = all(char.isprintable() or char in "\n\t" for char in printed)
    ran = any(folder.rglob("RAN"))
    made = not checks and (folder / "run" / "checkpoints").exists()
    return "survived" if right and clean and not ran and not made and memory < MEMORY else "wrong"
