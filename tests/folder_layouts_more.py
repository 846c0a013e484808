"""More folders for the tests: `MORE` are read as meant however the folders are named, `WARNED` are warned of."""

import json

from folder_layouts import (
    CLASSES,
    NUM,
    Layout,
    class_folders,
    class_folders_by_split,
    own_splits,
    part,
    picture,
    pictures,
    said,
    stems,
    table,
    write,
)


def split_folders(*names, inside=lambda i: ""):
    """A layout whose folders of train, val and test have these names; `inside` is the folder within."""

    def make(d):
        for i in range(NUM):
            picture(d / dict(zip(("train", "val", "test"), names))[part(i)] / inside(i) / f"{i}.png", i)

    make.__name__ = "_".join(names)
    return make


def class_of(i: int) -> str:
    return CLASSES[i % 3]


def twice(d):
    for i in range(NUM):
        name = {"train": "training_set", "val": "val_set", "test": "test_set"}[part(i)]
        picture(d / name / name / class_of(i) / f"{i}.png", i)


def cyclegan(d):
    for i in range(NUM):
        picture(d / f"{part(i)}{'ABA'[i % 3]}" / f"{i}.png", i)


def class_in_the_name_of_the_split(d):
    for i in range(NUM):
        picture(d / f"{part(i)}_{class_of(i)}" / f"{i}.png", i)


def folders_of_split_and_kind(d):
    for i in range(NUM):
        picture(d / f"{part(i)}_images" / f"{i % 8}.png", i)  # the same names in every split
        write(d / f"{part(i)}_captions" / f"{i % 8}.txt", said(i))


def folders_of_split_and_text(d):
    for i in range(NUM):
        picture(d / part(i) / f"{i % 8}.png", i)
        write(d / f"{part(i)}_captions" / f"{i % 8}.txt", said(i))


def unlabeled_beside_splits(d):
    own_splits(d)
    for i in range(3):
        picture(d / "unlabeled" / f"{i}.png", NUM)


def stray_beside_splits(d):
    class_folders_by_split(d)
    picture(d / "cover.png", NUM)


def stray_beside_parallel_splits(d):
    for i in range(NUM):
        picture(d / "images" / part(i) / f"{i}.png", i)
        write(d / "captions" / part(i) / f"{i}.txt", said(i))
    picture(d / "images" / "cover.png", NUM)


def sidecars_with_labels(d):
    pictures(d)
    for i in range(NUM):
        write(d / f"{i}.json", json.dumps({"caption": said(i), "label": class_of(i)}))


def sidecars_of_labels(d):
    stems(d)
    for i in range(NUM):
        write(d / f"{i}.json", json.dumps({"class": i % 3, "split": part(i)}))


def sidecars_in_parts(d):
    for i in range(NUM):
        picture(d / f"part{i % 2}" / f"{i}.png", i)
        write(d / f"part{i % 2}" / f"{i}.json", json.dumps({"caption": said(i), "label": class_of(i)}))


def parallel_in_another_case(d):
    for i in range(NUM):
        picture(d / "Images" / f"Cat{i}.PNG", i)
        write(d / "Captions" / f"cat{i}.TXT", said(i))


def numbered_caption_columns(d):
    pictures(d)
    rows = [[f"{i}.png", *(said(i, form) for form in range(3))] for i in range(NUM)]
    table(d / "captions.csv", [["image", "caption1", "caption2", "caption3"], *rows])


def caption_suffix(d):
    pictures(d)
    for i in range(NUM):
        write(d / f"{i}.caption", "\n".join(said(i, form) for form in range(2)))


def utf16(d):
    pictures(d)
    rows = "".join(f"{i}.png,{said(i)}\r\n" for i in range(6))
    (d / "captions.csv").write_bytes(f"image,text\r\n{rows}".encode("utf-16"))  # with its byte order mark
    for i in range(6, NUM):
        (d / f"{i}.txt").write_bytes(b"\xfe\xff" + said(i).encode("utf-16-be"))


TRICKY = ("with_mask", "test_tube", "train_station")


def tricky_classes(d):
    for i in range(NUM):
        picture(d / TRICKY[i % 3] / f"{i}.png", i)


def folder_of_each_example(d):
    for i in range(NUM):
        picture(d / f"{i:03}" / "picture.png", i)
        write(d / f"{i:03}" / "picture.txt", said(i))


def labels_in_folders_and_table(d):
    class_folders(d)
    rows = [[f"{class_of(i)}/{i}.png", class_of(i), said(i)] for i in range(NUM)]
    table(d / "labels.csv", [["file", "label", "text"], *rows])


def numbers_of_classes_in_table(d):
    class_folders(d)
    table(d / "labels.csv", [["file", "label"], *([f"{class_of(i)}/{i}.png", i % 3] for i in range(NUM))])


CYCLEGAN = "class folders: 2 classes, the modality `label`: A, B"
KEPT = {"labels": CLASSES, "split": True, "forms": 0}
EIGHT = "splits of your folders: train 8, validation 2, test 2"
MORE = [
    Layout(split_folders("training_set", "val_set", "test_set", inside=class_of), "class folders: 3 classes", **KEPT),
    Layout(split_folders("train_images", "valid-images", "test images"), EIGHT, forms=0, split=True),
    Layout(split_folders("TrainData", "validationset", "testset", inside=class_of), EIGHT, **KEPT),
    Layout(split_folders("trainval", "eval", "held_out", inside=class_of), EIGHT, **KEPT),
    Layout(split_folders("train", "val", "dev_test", inside=class_of), EIGHT, **KEPT),
    Layout(split_folders("train", "dev", "eval", inside=class_of), EIGHT, **KEPT),
    Layout(split_folders("train-clean-100", "dev-clean", "test-other", inside=class_of), EIGHT, **KEPT),
    Layout(twice, EIGHT, **KEPT),
    Layout(cyclegan, CYCLEGAN, forms=0, labels=("A", "B", "A"), split=True),
    Layout(class_in_the_name_of_the_split, "class folders: 3 classes", **KEPT),
    Layout(folders_of_split_and_kind, "parallel folders captions, images", split=True),
    Layout(folders_of_split_and_text, "parallel folders captions:", split=True),
    Layout(unlabeled_beside_splits, EIGHT, split=True, warned="not used: 3 (unlabeled/0.png, unlabeled/1.png"),
    Layout(stray_beside_splits, EIGHT, **KEPT, warned="outside the folders of your splits are not used: 1 (cover.png)"),
    Layout(stray_beside_parallel_splits, EIGHT, split=True, warned="are not used: 1 (images/cover.png)"),
    Layout(sidecars_with_labels, ".json files of the examples: 12 with a label", labels=CLASSES),
    Layout(sidecars_of_labels, "12 with a label, 12 with a split", labels=("0", "1", "2"), split=True),
    Layout(sidecars_in_parts, "the folders part0, part1 are no classes", labels=CLASSES),
    Layout(parallel_in_another_case, "parallel folders Captions, Images"),
    Layout(numbered_caption_columns, "caption1 (text), caption2 (text), caption3 (text)", forms=3),
    Layout(caption_suffix, "12 of 12 examples have several texts (2 to 2)", forms=2),
    Layout(utf16, "captions.csv: 6 lines"),
    Layout(tricky_classes, "class folders: 3 classes", forms=0, labels=TRICKY),
    Layout(folder_of_each_example, "files of one stem are one example: 12"),
    Layout(labels_in_folders_and_table, "class folders: 3 classes", labels=CLASSES),
    Layout(numbers_of_classes_in_table, "are no classes: tables or .json", forms=0, labels=("0", "1", "2")),
]


# Folders that may be meant in another way.


def images_and_masks(d):
    for i in range(NUM):
        picture(d / "images" / f"{i}.png", i)
        picture(d / "masks" / f"{i}_mask.png", i)


def two_labels_of_a_file(d):
    pictures(d)
    rows = [[f"{i}.png", class_of(i)] for i in range(NUM)]
    table(d / "labels.csv", [["file", "label"], *rows, ["0.png", "dog"]])


def two_splits_of_a_file(d):
    pictures(d)
    for name, numbers in (("train", range(NUM)), ("test", range(3))):
        table(d / f"{name}.csv", [["file", "label"], *([f"{i}.png", class_of(i)] for i in numbers)])


def submission(d):
    for i in range(NUM):
        picture(d / ("train" if i < 8 else "test") / f"{i}.png", i)
    table(d / "train.csv", [["id", "label"], *([i, class_of(i)] for i in range(8))])
    table(d / "sample_submission.csv", [["id", "label"], *([i, "cat"] for i in range(8, NUM))])


def one_picture_of_each_class(d):
    for i in range(NUM):
        picture(d / f"class {i}" / "1.png", i)


def yolo(d):
    for i in range(NUM):
        picture(d / "images" / part(i) / f"{i}.png", i)
        write(d / "labels" / part(i) / f"{i}.txt", "" if i == 3 else f"{i % 3} 0.5 0.5 0.25 1e-1\n" * 2)


def kitti(d):
    for i in range(NUM):
        picture(d / "image_2" / f"{i:06}.png", i)
        write(d / "label_2" / f"{i:06}.txt", f"Car {i}.00 0 -1.58 587.01 173.33\n" * 2)


def stray_beside_classes(d):
    class_folders(d)
    picture(d / "cover.png", NUM)


def most_beside_classes(d):
    for i in range(NUM):
        picture(d / (CLASSES[i % 2] if i < 5 else "") / f"{i}.png", i)


def train_and_another(d):
    for i in range(NUM):
        picture(d / ("train" if i < 8 else "extra") / f"{i}.png", i)


def two_test_folders(d):
    for i in range(NUM):
        picture(d / ("train" if i < 8 else "test" if i < 10 else "holdout") / f"{i}.png", i)


def no_training_folder(d):
    for i in range(NUM):
        picture(d / ("val" if i < 8 else "test") / f"{i}.png", i)


def split_column_with_other_words(d):
    pictures(d)
    rows = [[f"{i}.png", said(i), part(i) if i > 7 else "extra"] for i in range(NUM)]
    table(d / "data.csv", [["file", "text", "split"], *rows])


def tables_without_training(d):
    pictures(d)
    for name, numbers in (("val", range(8)), ("test", range(8, NUM))):
        table(d / f"{name}.csv", [["file", "label"], *([f"{i}.png", class_of(i)] for i in numbers)])


def table_against_folders(d):
    for i in range(NUM):
        picture(d / part(i) / f"{i}.png", i)
    table(d / "train.csv", [["file", "label"], *([f"{i}.png", class_of(i)] for i in (*range(8), 11))])


def class_of_test_alone(d):
    class_folders_by_split(d)
    picture(d / "test" / "fish" / "0.png", 0)


def one_class_to_train_on(d):
    for i in range(NUM):
        picture(d / ("train/good" if i < 8 else "test/good" if i < 10 else "test/broken") / f"{i}.png", i)


def unlabeled_beside_classes(d):
    class_folders(d)
    picture(d / "unlabeled" / "0.png", NUM)


def label_against_folder(d):
    class_folders(d)
    table(d / "labels.csv", [["file", "label"], ["cat/1.png", "dog"]])


def sidecar_with_several_labels(d):
    pictures(d)
    for i in range(NUM):
        write(d / f"{i}.json", json.dumps({"caption": said(i), "label": ["cat", "dog"]}))


WARNED = [
    (images_and_masks, "by the name of images, masks they are perhaps views of one thing"),
    (two_labels_of_a_file, "several labels, of which the first counts: 1, first 'bird' ("),
    (two_splits_of_a_file, "several splits; none trains on them: 3, first 'test' ("),
    (submission, "sample_submission.csv: not used: by its name, its values are placeholders; set data.layout="),
    (one_picture_of_each_class, "class 4, class 5, … are not read as classes: they hold fewer than two examples each"),
    (yolo, "files that hold numbers are not read as texts: 12 (labels/test/10.txt"),
    (kitti, "files that hold numbers are not read as texts: 12 (label_2/000000.txt"),
    (stray_beside_classes, "files outside the class folders have no class: 1 (cover.png); move them into one"),
    (most_beside_classes, "the folders bird, cat are not read as classes: 7 of 12 examples lie elsewhere"),
    (train_and_another, "extra, train are read as classes, not as splits, though train may be splits"),
    (two_test_folders, "the folders holdout and test are one split, test; leave out one of them"),
    (no_training_folder, "test, val are read as classes, not as splits, though test, val may be splits"),
    (split_column_with_other_words, "data.csv:2: 'extra' in split is no split, nor are most others: the column"),
    (tables_without_training, "every example is of test or validation, so that none could train"),
    (table_against_folders, "lines that move a file from your validation or test folder into training: 1"),
    (class_of_test_alone, "classes without a training example: fish"),
    (one_class_to_train_on, "classes without a training example: broken"),
    (unlabeled_beside_classes, "files outside the class folders have no class: 1 (unlabeled/0.png)"),
    (label_against_folder, "files with another label than their class folder, which then does not count: 1"),
    (sidecar_with_several_labels, "whose label is no word or number"),
]
