"""Folders as other tools and people lay them out, written for the tests: `LAYOUTS`."""

import csv
import dataclasses
import io
import json
import pathlib
import tarfile
from collections.abc import Callable

import media_files as media
import numpy as np

NUM = 12
SMALL = {"image_size": 8, "num_frames": 2, "audio_seconds": 0.25, "text_length": 12}
ALL_TRAIN = {"test_fraction": 0.0, "validation_fraction": 0.0}
CLASSES = ("bird", "cat", "dog")


def picture(path: pathlib.Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    media.picture(path, np.full((8, 8, 3), 20 * number, np.uint8))


def said(number: int, form: int = 0) -> str:
    return f"{('a picture of', 'this is', 'here we see')[form]} number{number}"


def write(path: pathlib.Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def pictures(folder: pathlib.Path, name: Callable[[int], str] = lambda i: f"{i}.png") -> None:
    for i in range(NUM):
        picture(folder / name(i), i)


def table(path: pathlib.Path, rows: list[list], delimiter: str = ",") -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    write(path, text.getvalue())


def part(i: int) -> str:
    """The user's own split: 8, 2 and 2 of 12."""
    return "train" if i < 8 else "val" if i < 10 else "test"


# Layouts. Each function writes one.


def stems(d):
    pictures(d)
    for i in range(NUM):
        write(d / f"{i}.txt", said(i))


def metadata_jsonl(d):
    pictures(d)
    write(d / "metadata.jsonl", "\n".join(json.dumps({"file_name": f"{i}.png", "text": said(i)}) for i in range(NUM)))


def metadata_by_split(d):
    for i in range(NUM):
        picture(d / part(i) / f"{i}.png", i)
    for split in ("train", "val", "test"):
        rows = [{"file_name": f"{i}.png", "text": said(i)} for i in range(NUM) if part(i) == split]
        write(d / split / "metadata.jsonl", "\n".join(map(json.dumps, rows)))


def caption_csv(d):
    pictures(d / "photos")
    table(d / "captions.csv", [["filename", "caption"], *([f"photos/{i}.png", said(i)] for i in range(NUM))])


def caption_tsv(d):
    pictures(d)
    table(d / "captions.tsv", [["image", "text"], *([f"{i}.png", said(i)] for i in range(NUM))], "\t")


def parallel(d):
    pictures(d / "images")
    for i in range(NUM):
        write(d / "captions" / f"{i}.txt", said(i))


def parallel_by_split(d):
    for i in range(NUM):
        picture(d / "images" / part(i) / f"{i}.png", i)
        write(d / "labels" / part(i) / f"{i}.txt", said(i))


def own_splits(d):
    for i in range(NUM):
        picture(d / part(i) / f"{i % 8}.png", i)  # the same names in every split
        write(d / part(i) / f"{i % 8}.txt", said(i))


def several_captions(d):
    pictures(d)
    for i in range(NUM):
        write(d / f"{i}.txt", "\n".join(said(i, form) for form in range(3)) + "\n")


def documents(d):
    stems(d)
    for name in ("README.txt", "LICENSE.txt", "LICENSE", "readme.md"):
        write(d / name, "number0 of these files are mine")


def img2dataset(d):
    for i in range(NUM):
        folder = d / f"0000{i // 6}"
        picture(folder / f"00000{i:04d}.jpg", i)
        write(folder / f"00000{i:04d}.txt", said(i))
        write(folder / f"00000{i:04d}.json", json.dumps({"caption": said(i), "url": "http://x", "status": "success"}))
        write(d / f"0000{i // 6}_stats.json", json.dumps({"count": 6}))


def coco(d):
    for i in range(NUM):
        picture(d / f"{'train' if i < 8 else 'val'}2017" / f"00000{i:02d}.jpg", i)
    for split, numbers in (("train", range(8)), ("val", range(8, NUM))):
        images = [{"id": 100 + i, "file_name": f"00000{i:02d}.jpg"} for i in numbers]
        annotations = [{"image_id": 100 + i, "id": i, "caption": said(i, form)} for i in numbers for form in range(3)]
        write(
            d / "annotations" / f"captions_{split}2017.json",
            json.dumps({"info": {}, "images": images, "annotations": annotations}),
        )


def karpathy(d):
    pictures(d)
    images = [
        {"filename": f"{i}.png", "split": part(i), "sentences": [{"raw": said(i, form)} for form in range(3)]}
        for i in range(NUM)
    ]
    write(d / "dataset.json", json.dumps({"dataset": "mine", "images": images}))


def flickr8k(d):
    pictures(d / "Images", lambda i: f"10002682{i:02d}_693b08cb0e.jpg")
    rows = [[f"10002682{i:02d}_693b08cb0e.jpg", said(i, form)] for i in range(NUM) for form in range(3)]
    table(d / "captions.txt", [["image", "caption"], *rows])


def flickr8k_tokens(d):
    pictures(d / "Flicker8k_Dataset", lambda i: f"1{i:02d}_ab.jpg")
    lines = [f"1{i:02d}_ab.jpg#{form}\t{said(i, form)}\n" for i in range(NUM) for form in range(3)]
    write(d / "Flickr8k.token.txt", "".join(lines))
    for split, name in (("train", "train"), ("val", "dev"), ("test", "test")):
        lines = [f"1{i:02d}_ab.jpg\n" for i in range(NUM) if part(i) == split]
        write(d / f"Flickr_8k.{name}Images.txt", "".join(lines))


def flickr30k(d):
    pictures(d / "images", lambda i: f"1{i:02d}.jpg")
    rows = [f"1{i:02d}.jpg| {form}| {said(i, form)}" for i in range(NUM) for form in range(3)]
    write(d / "results.csv", "\n".join(["image_name| comment_number| comment", *rows]))


def webdataset(d):
    for shard in range(2):
        with tarfile.open(d / f"shard-{shard:06d}.tar", "w") as tar:
            for i in range(6 * shard, 6 * shard + 6):
                picture(d / "tmp.png", i)
                for suffix, content in (
                    ("png", (d / "tmp.png").read_bytes()),
                    ("txt", said(i).encode()),
                    ("cls", str(i % 3).encode()),
                    ("json", json.dumps({"caption": said(i), "key": i}).encode()),
                ):
                    member = tarfile.TarInfo(f"sample{i:04d}.{suffix}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    (d / "tmp.png").unlink()


def different_case(d):
    for i in range(NUM):
        picture(d / f"Cat{i}.PNG", i)
        write(d / f"cat{i}.txt", said(i))


def class_folders(d):
    for i in range(NUM):
        picture(d / CLASSES[i % 3] / f"{i}.png", i)


def class_folders_by_split(d):
    for i in range(NUM):
        picture(d / part(i) / CLASSES[i % 3] / f"{i}.png", i)


def class_folders_with_texts(d):
    class_folders(d)
    for i in range(NUM):
        write(d / CLASSES[i % 3] / f"{i}.txt", said(i))


def manifest_with_label(d):
    pictures(d)
    split = {"train": "train", "val": "validation", "test": "test"}
    rows = [
        {"image": f"{i}.png", "text": [said(i, f) for f in range(3)], "label": CLASSES[i % 3], "split": split[part(i)]}
        for i in range(NUM)
    ]
    write(d / "manifest.jsonl", "\n".join(map(json.dumps, rows)))


def class_csv(d):
    pictures(d / "images")
    table(d / "train.csv", [["id", "label"], *([i, CLASSES[i % 3]] for i in range(8))])
    table(d / "test.csv", [["id", "label"], *([i, CLASSES[i % 3]] for i in range(8, NUM))])


def ljspeech(d):
    pictures(d / "images", lambda i: f"LJ001-00{i:02d}.png")
    write(d / "metadata.csv", "\n".join(f'LJ001-00{i:02d}|{said(i)}|"{said(i)}' for i in range(NUM)))


def common_voice(d):
    pictures(d / "clips", lambda i: f"common_{i}.png")
    for name, numbers in (("train", range(8)), ("dev", (8, 9)), ("test", (10, 11)), ("validated", range(NUM))):
        rows = [["ab12", f"common_{i}.png", said(i), "twenties"] for i in numbers]
        table(d / f"{name}.tsv", [["client_id", "path", "sentence", "age"], *rows], "\t")


def paths_of_another_machine(d):
    for i in range(NUM):
        picture(d / CLASSES[i % 3] / f"{i // 3}.png", i)  # the same names in every folder
    rows = [[rf"C:\\pets\\{CLASSES[i % 3]}\\{i // 3}.png", said(i)] for i in range(NUM)]
    table(d / "captions.csv", [["path", "caption"], *rows])


def json_of_captions(d):
    pictures(d)
    write(d / "captions.json", json.dumps({f"{i}.png": [said(i, form) for form in range(3)] for i in range(NUM)}))


def json_of_objects(d):
    pictures(d / "images")
    write(d / "data.json", json.dumps([{"image": f"images/{i}.png", "caption": said(i)} for i in range(NUM)]))


@dataclasses.dataclass(frozen=True)
class Layout:
    write: Callable[[pathlib.Path], None]
    recognised: str  # a part of the lines that say how it was read
    forms: int = 1  # captions of each example
    labels: tuple[str, ...] = ()
    split: bool = False  # whether the user's own is kept
    warned: str = ""  # a part of a warning


NUMBERS = ("0", "1", "2")
LAYOUTS = [
    Layout(stems, "layout: files of one stem are one example: 12 examples"),
    Layout(metadata_jsonl, "metadata.jsonl: 12 lines; file_name (file), text (text)"),
    Layout(metadata_by_split, "splits of your folders: train 8, validation 2, test 2", split=True),
    Layout(caption_csv, "captions.csv: 12 lines; filename (file), caption (text)"),
    Layout(caption_tsv, "captions.tsv: 12 lines"),
    Layout(parallel, "parallel folders captions, images"),
    Layout(parallel_by_split, "parallel folders images, labels", split=True),
    Layout(own_splits, "splits of your folders: train 8, validation 2, test 2", split=True),
    Layout(several_captions, "12 of 12 examples have several texts (3 to 3)", forms=3),
    Layout(documents, ""),
    Layout(img2dataset, "12 .json files describe files of their name (img2dataset)", warned="_stats.json: not used"),
    Layout(coco, "captions_train2017.json: 24 lines", forms=3),
    Layout(karpathy, "dataset.json: 12 lines", forms=3, split=True),
    Layout(flickr8k, "captions.txt: 36 lines; image (file), caption (text)", forms=3),
    Layout(flickr8k_tokens, "Flickr8k.token.txt: 36 lines", forms=3, split=True),
    Layout(flickr30k, "results.csv: 36 lines", forms=3),
    Layout(webdataset, "WebDataset: 2 shards", labels=NUMBERS),
    Layout(different_case, "names that differ in case alone are one example: 12"),
    Layout(class_folders, "class folders: 3 classes, the modality `label`: bird, cat, dog", forms=0, labels=CLASSES),
    Layout(class_folders_by_split, "class folders: 3 classes", forms=0, labels=CLASSES, split=True),
    Layout(class_folders_with_texts, "class folders: 3 classes", labels=CLASSES),
    Layout(manifest_with_label, "manifest.jsonl: 12 examples", forms=3, labels=CLASSES, split=True),
    Layout(class_csv, "train.csv: 8 lines; id (file), label (label)", forms=0, labels=CLASSES),
    Layout(ljspeech, "metadata.csv: 12 lines; column 1 (file), column 2 (text); not used: column 3"),
    Layout(common_voice, "validated.tsv: 12 lines; path (file), sentence (text); not used: client_id, age", split=True),
    Layout(paths_of_another_machine, "captions.csv: 12 lines", labels=CLASSES),
    Layout(json_of_captions, "captions.json: 12 lines", forms=3),
    Layout(json_of_objects, "data.json: 12 lines", forms=1),
]


def everything(source) -> list[dict]:
    """Every example of a split: the number that its picture shows, its captions, its class."""
    batch = source.read(np.arange(len(source)), np.zeros(len(source), int))
    found = []
    for i in range(len(source)):
        example = {"image": round(float(batch["image"][i].mean() + 1) * 127.5 / 20)}
        assert batch.get("image/mask", [True] * (i + 1))[i]
        if "text" in batch:
            tokenizer = source.modalities["text"].tokenizer
            captions = source.references("text", batch["text"][i])
            example["texts"] = [tokenizer.decode(ids) for ids in captions]
        if "label" in batch:
            example["label"] = source.modalities["label"].classes[batch["label"][i]]
        found.append(example)
    return found
