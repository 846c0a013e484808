"""Exports TFDS sets once to `data/cache/arrays.py`, so that training imports no TensorFlow or tensorflow-datasets.

`mmgen prepare-data --dataset=NAME [--manual-dir=DIR]` prepares the set through tensorflow-datasets
(`pip install "mmgen_jax[tfds]"`), downloads the files that `DIR` does not hold, and writes every split to
`cache_dir()/prepared/NAME/<split>`. NAME is a name of `tfds.builder` (`mnist`, `mnist:3.0.1`, `glue/cola`), or `digits`
for `mnist` and `spoken_digit` together. TFDS keeps its own copy in `$TFDS_DATA_DIR`, else in `cache_dir()/tfds`; the
copy can be removed after the export.

The stored form of each kind of feature (`arrays.attributes["features"]` has the kind of every feature):

    image   [N, H, W, C] uint8, or the encoded bytes (PNG, JPEG) where the size varies
    label   [N] int32 (-1: unknown), with `classes`
    text    UTF-8
    audio   ragged [S] or [S, channels], int16 or float32, with `sample_rate`
    video   ragged [T, H, W, C] uint8
    tensor  [N, ...] of numbers: scalars, boxes, fixed tensors

Features nested in a dict are named `outer/inner`. Any other feature is left out with a printed line that names it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from mmgen_jax.data.cache import arrays, arrays_writer
from mmgen_jax.errors import PrepareError, Unusable

EXPORT = 1  # raise when the content of an export changes
CHUNK = 256  # examples held at a time
BUILDERS = {"digits": ("mnist", "spoken_digit")}


def prepare(dataset: str, manual_dir: str | None = None) -> list[pathlib.Path]:
    """Prepares and exports a set, unless it is exported already; returns the folders of its splits.

    Args:
      dataset: a TFDS name, with a config or version if need be, or `digits`.
      manual_dir: a folder with the files that TFDS would download, or the parent of such a folder that is named as the
        set.

    Raises:
      PrepareError: TensorFlow is not installed, a folder does not exist, or TFDS could not prepare the set.
    """
    folders = []
    for name in BUILDERS.get(dataset, (dataset,)):
        with arrays.building(_directory(name)):
            splits = _exported(name)
            if not splits:
                _export(name, _manual_dir(dataset, name, manual_dir))
                splits = _exported(name)
        for split, read in splits.items():
            print(f"{name}: {split}, {len(read)} examples, in {read.directory}", flush=True)
            folders.append(read.directory)
    return folders


def splits(name: str, dataset: str = "") -> dict[str, arrays.Arrays]:
    """The exported splits of the TFDS set `name`: `{split: Arrays}`.

    A set that is not exported yet is prepared now where `$MMGEN_DATA/tfds/<name>` holds its files.

    Args:
      dataset: the name for `mmgen prepare-data` in the error message, where it is not `name` (`digits`).

    Raises:
      Unusable: the set is not prepared; the message has the command that prepares it.
    """
    exported = _exported(name)
    if not exported:
        manual_dir = pathlib.Path(os.environ.get("MMGEN_DATA") or "/nonexistent") / "tfds" / _base(name)
        if not manual_dir.is_dir():
            raise Unusable(
                f"{name}: not prepared in {_directory(name)}; run once: mmgen prepare-data --dataset={dataset or name} "
                "(with --manual-dir=DIR where its files are downloaded already)"
            )
        print(f"{name}: preparing it once from {manual_dir}", flush=True)
        prepare(name, str(manual_dir))
        exported = _exported(name)
    return exported


def _base(name: str) -> str:
    return name.split("/")[0].split(":")[0]


def _directory(name: str) -> pathlib.Path:
    return arrays.cache_dir() / "prepared" / name.replace(":", "/")


def _exported(name: str) -> dict[str, arrays.Arrays]:
    """The exported splits, in the order of TFDS; {} where a split is missing."""
    directory = _directory(name)
    found = {}
    for meta in sorted(directory.glob("*/meta.json")):
        with contextlib.suppress(Unusable):
            read = arrays.read(meta.parent)
            if read.meta["provenance"].get("export") == EXPORT:
                found[meta.parent.name] = read
    expected = next(iter(found.values())).meta["provenance"]["splits"] if found else []
    return {split: found[split] for split in expected} if set(expected) <= set(found) else {}


def _manual_dir(dataset: str, name: str, manual_dir: str | None) -> pathlib.Path | None:
    if manual_dir is None:
        return None
    folder = pathlib.Path(os.path.expanduser(manual_dir)).resolve()
    if (folder / _base(name)).is_dir():
        return folder / _base(name)
    if not folder.is_dir() or (dataset in BUILDERS and folder.name != name):
        raise PrepareError(
            f"--manual-dir={manual_dir}: expected a folder with the files of {name}, or with a folder {name}"
        )
    return folder


def _export(name: str, manual_dir: pathlib.Path | None) -> None:
    missing = [
        module for module in ("tensorflow", "importlib_resources", "pydub") if not importlib.util.find_spec(module)
    ]
    if missing:
        raise PrepareError(f'{name}: preparing a TFDS set needs {", ".join(missing)}: pip install "mmgen_jax[tfds]"')
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow_datasets as tfds

    data_dir = os.environ.get("TFDS_DATA_DIR") or str(arrays.cache_dir() / "tfds")
    config = tfds.download.DownloadConfig(manual_dir=manual_dir and str(manual_dir), try_download_gcs=False)
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        builder.download_and_prepare(download_config=config)
    except Exception as error:  # whatever a builder raises; the cause stays in the traceback
        lines = str(error).strip().splitlines() or [""]
        raise PrepareError(
            f"{name}: tensorflow-datasets could not prepare it ({type(error).__name__}: {lines[0]}); without a network "
            "give --manual-dir=DIR, a folder with the files that it downloads"
        ) from error
    print(f"{name}: prepared {builder.info.full_name} by tensorflow-datasets in {builder.data_dir}", flush=True)
    for split in builder.info.splits:
        export(builder, split, _directory(name) / split)


def export(builder: Any, split: str, directory: pathlib.Path) -> None:
    """Writes one split of a prepared TFDS builder to `directory`, as `arrays.write` does."""
    import tensorflow_datasets as tfds

    features = dict(_flatten(builder.info.features))
    described = {}
    for field, feature in features.items():
        description = _describe(feature, tfds.features)
        if description is None:
            print(f"{builder.name}: left out field {field!r}, {type(feature).__name__} has no array form", flush=True)
        else:
            described[field] = description
    decoders = _nest({f: tfds.decode.SkipDecoding() for f, d in described.items() if d.get("encoded")})
    if builder.info.file_format is tfds.core.FileFormat.ARRAY_RECORD:
        examples = iter(builder.as_data_source(split, decoders=decoders or None))
    else:
        # Read the files one after the other, so that the order of the examples is the same on every machine.
        read_config = tfds.ReadConfig(interleave_cycle_length=1)
        examples = iter(tfds.as_numpy(builder.as_dataset(split, decoders=decoders or None, read_config=read_config)))
    provenance = {
        "export": EXPORT,
        "tfds": builder.info.full_name,
        "homepage": builder.info.homepage,
        "split": split,
        "splits": list(builder.info.splits),
    }
    with arrays.write(directory, provenance) as writer:
        writer.attributes["features"] = described
        while chunk := [dict(_flatten(example)) for example in itertools.islice(examples, CHUNK)]:
            for field, description in described.items():
                writer.extend({field: _convert([example[field] for example in chunk], field, description)})


def _flatten(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`{outer: {inner: x}}` as `("outer/inner", x)`, for dicts and for TFDS' FeaturesDict (which is no Mapping)."""
    for name, value in tree.items():
        if isinstance(value, type(tree)):
            yield from _flatten(value, f"{prefix}{name}/")
        else:
            yield prefix + name, value


def _nest(flat: dict[str, Any]) -> dict:
    tree: dict = {}
    for name, value in flat.items():
        *outer, inner = name.split("/")
        node = tree
        for key in outer:
            node = node.setdefault(key, {})
        node[inner] = value
    return tree


def _describe(feature: Any, kinds: Any) -> dict | None:
    """Kind and shape of a TFDS feature (None for an axis that varies); None for a feature without an array form."""
    if not isinstance(feature.shape, tuple):  # a group of features
        return None
    shape, dtype = list(feature.shape), np.dtype(feature.np_dtype)
    if isinstance(feature, kinds.Video):
        fixed = dtype == np.uint8 and None not in shape[1:]
        return {"kind": "video", "shape": shape} if fixed else None
    if isinstance(feature, kinds.Image):
        return {"kind": "image", "shape": shape, "encoded": None in shape} if dtype == np.uint8 else None
    if isinstance(feature, kinds.ClassLabel):
        return {"kind": "label", "classes": list(feature.names)}
    if isinstance(feature, kinds.Audio):
        numbers = dtype.kind in "if" and len(shape) <= 2
        return {"kind": "audio", "shape": shape, "sample_rate": feature.sample_rate or 0} if numbers else None
    if isinstance(feature, kinds.Text) or (isinstance(feature, kinds.Tensor) and shape == [] and dtype.kind in "OSU"):
        return {"kind": "text"}
    if isinstance(feature, kinds.Tensor) and None not in shape and dtype.kind in "biuf":
        return {"kind": "tensor", "shape": shape}
    return None


def _convert(values: list, field: str, description: dict) -> arrays_writer.Values:
    """A chunk of one field in its stored form, see the module's docstring."""
    if description.get("encoded"):
        return [np.frombuffer(bytes(value), np.uint8) for value in values]
    return _FORMS.get(description["kind"], _stacked)(values, field)


def _stacked(values: list, field: str) -> np.ndarray:
    return np.stack([np.asarray(value) for value in values])


def _waveforms(values: list, field: str) -> list[np.ndarray]:
    values = [np.asarray(value) for value in values]
    if np.issubdtype(values[0].dtype, np.floating):
        return [value.astype(np.float32) for value in values]
    if any(value.size and np.abs(value).max() > 32768 for value in values):
        raise PrepareError(f"field {field!r}: expected audio of 16 bits, got samples above 32768")
    return [value.clip(-32768, 32767).astype(np.int16) for value in values]


_FORMS = {
    "text": lambda values, field: [bytes(value).decode("utf-8", errors="replace") for value in values],
    "label": lambda values, field: np.asarray(values, np.int32),
    "video": lambda values, field: [np.asarray(value, np.uint8) for value in values],
    "audio": _waveforms,
}
