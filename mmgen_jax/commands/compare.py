"""The `mmgen compare` command: the differences between two runs, and the metrics of both."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

from mmgen_jax.config import loading, override
from mmgen_jax.errors import ConfigError

# `evaluate.FILE`, `data.FILE` and a file of `runs.workdir`, whose modules would import jax
EVALUATION, DATA, MODALITIES = "evaluation.json", "data.json", "modalities.json"


def compare(first: str | os.PathLike, second: str | os.PathLike) -> str:
    """The fields that differ between the configs of two workdirs, then every metric of either side by side.

    Where the runs were trained on other data, the fingerprints of the data stand below the fields, with a remark where
    the runs read other modalities of the same data.

    Raises:
      ConfigError: one of them is no workdir of a run.
    """
    one, two = _Run(pathlib.Path(first)), _Run(pathlib.Path(second))
    rows = [("", str(first), str(second), "")]
    keys = [key for key in dict.fromkeys((*one.fields, *two.fields)) if one.fields.get(key) != two.fields.get(key)]
    rows += [(key, one.field(key), two.field(key), "") for key in sorted(keys) if key != "reference"]
    if one.data != two.data:
        rows.append(("data", one.data, two.data, _of_data(one, two)))
    if len(rows) == 1:
        rows.append(("the same config", "", "", ""))
    rows += [("", "", "", ""), ("checkpoint", one.step, two.step, "")]
    for name in dict.fromkeys((*one.metrics, *two.metrics)):
        a, b = one.metrics.get(name), two.metrics.get(name)
        rows.append((name, _shown(a), _shown(b), _difference(a, b)))
    if not (one.metrics or two.metrics):
        rows.append(("neither is measured yet", "", "", ""))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip() for row in rows)


def _of_data(one: _Run, two: _Run) -> str:
    """For runs that read different modalities: whether these are of the same data."""
    if not one.source or not two.source or one.modalities == two.modalities:
        return ""
    return "other modalities of the same data" if one.source == two.source else "other files or fields"


class _Run:
    """The config and the metrics of a workdir."""

    def __init__(self, workdir: pathlib.Path):
        if str(workdir).startswith(("gs:", "s3:", "file:")):
            raise ConfigError(f"{workdir}: mmgen compare reads folders of a file system; copy the workdir to one")
        if not (workdir / "config.json").is_file():
            raise ConfigError(f"{workdir}: expected the workdir of a run, got one without config.json")
        try:
            self._read(workdir)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = " ".join(str(error).split())[:100]
            raise ConfigError(f"{workdir}: a file of this run is damaged ({reason}); restore it from a copy") from error

    def _read(self, workdir: pathlib.Path) -> None:
        config = loading.from_json((workdir / "config.json").read_text(encoding="utf-8"))
        self.fields = override.flatten(json.loads(loading.to_json(config)))
        file = workdir / EVALUATION
        measured = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        self.metrics: dict[str, dict[str, Any]] = measured.get("metrics", {})
        about = workdir / DATA
        recorded = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
        self.data: str = recorded.get("fingerprint", "not recorded")
        self.source: str = recorded.get("source", "")  # runs of earlier versions have none
        self.modalities = set(json.loads((workdir / MODALITIES).read_text(encoding="utf-8"))) if self.source else set()
        self.step = str(measured.get("checkpoint_step", "not measured"))

    def field(self, key: str) -> str:
        return json.dumps(self.fields[key], ensure_ascii=False) if key in self.fields else "not set"


def _shown(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return "not measured"
    if entry["value"] is None:
        return entry["why"]
    interval = " [{:.4g}, {:.4g}]".format(*entry["interval"]) if entry.get("interval") else ""
    return f"{entry['value']:.4g}{interval}"


def _difference(a: dict[str, Any] | None, b: dict[str, Any] | None) -> str:
    """The second less the first, or why the two do not compare."""
    if a is None or b is None or a["value"] is None or b["value"] is None:
        return ""
    words = [key for key in a if key in b and not isinstance(a[key], (float, list, dict))]  # counts and judges
    if other := [key for key in words if a[key] != b[key] and key != "value"]:
        return f"not comparable: {other[0]} {a.get(other[0])} and {b.get(other[0])}"
    return f"{b['value'] - a['value']:+.4g}"
