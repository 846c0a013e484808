"""A kind is one file: nothing else branches on kinds, and a file more is a kind more, from data to samples."""

import ast
import dataclasses
import re
import sys

import numpy as np
import pytest
import tiny
from tiny import ROOT

from mmgen_jax import check_data, contracts, modalities
from mmgen_jax.config import schema
from mmgen_jax.data import npz
from mmgen_jax.errors import BatchError, DataError
from mmgen_jax.modalities import kinds, save
from mmgen_jax.modalities.modality import Modality, check_batch, modalities_from_json, modalities_to_json

OF_FILES = {"suffixes", "of_folder", "read_file"}
OF_TRACKS, OF_LINES = {"read_track"}, {"read_inline"}


def test_the_kinds_that_there_are():
    assert kinds.names() == ["audio", "image", "label", "mask", "text", "vector", "video"]


@pytest.mark.parametrize("name", kinds.names())
def test_every_kind_keeps_the_contract(name):
    kind = kinds.find(name)
    members = {member for member in vars(contracts.Kind) | contracts.Kind.__annotations__ if member[0] != "_"}
    needed = members - (set() if kind.suffixes else OF_FILES) - (set() if kind.tracks else OF_TRACKS)
    needed -= set() if kind.inline else OF_LINES
    assert not [member for member in needed - {"modality"} if not hasattr(kind, member)]
    assert [field.name for field in dataclasses.fields(kind)] == ["modality"]


def test_a_kind_without_files_refuses_one():
    with pytest.raises(DataError, match=r"^a\.txt: animal\.kind: expected one that is read from files, got label; "):
        Modality("label", classes=("cat",)).traits.read_file("a.txt", "animal")


def branches(source: str) -> list[str]:
    """Comparisons and matches of a kind with names of kinds, and look-ups of a kind in a table."""
    names, found = set(kinds.names()), []
    for node in ast.walk(ast.parse(source)):
        constants = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        constants |= {n.id.lower() for n in ast.walk(node) if isinstance(n, ast.Name) and n.id.isupper()}
        if isinstance(node, ast.Compare | ast.Match):
            subject = node.subject if isinstance(node, ast.Match) else node
            if names & constants and re.search(r"\bkinds?\b", ast.unparse(subject)):
                found.append(ast.unparse(node))
        by_kind = isinstance(node, ast.Subscript) and re.search(r"\.kind$", ast.unparse(node.slice))
        if by_kind or (isinstance(node, ast.Call) and re.search(r"\.get\([\w.]*\bkind\b", ast.unparse(node))):
            found.append(ast.unparse(node))
    return found


def test_the_search_for_branches_finds_them():
    for line in (
        "if modality.kind == 'text': pass",
        "x = kind in ('image', 'video')",
        "ok = kinds[name] != 'label'",
        "ok = item.kind != LABEL",
        "TABLE[modality.kind](x)",
        "TABLE.get(self.kind, 0)",
        "match m.kind:\n    case 'audio': pass",
    ):
        assert branches(line), line
    assert not branches("norm(kind) if kind == 'batch' else dtype.kind in 'iuf'; names['text'] == 'image'")


def test_nothing_else_branches_on_kinds():
    own = {ROOT / "mmgen_jax" / "modalities" / f"{name}.py" for name in kinds.names()}
    files = set((ROOT / "mmgen_jax").rglob("*.py")) - own
    found = {str(file.relative_to(ROOT)): branches(file.read_text()) for file in files}
    assert not {file: lines for file, lines in found.items() if lines}


POINT_CLOUD = '''
"""The kind `pointcloud`: `[N, 3]` float32 in [-1, 1], points of a surface."""

import dataclasses
from typing import ClassVar

import numpy as np

from mmgen_jax.modalities.base import Base
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Kind(Base):
    """Files and samples: `.xyz`, a point a line."""

    ranks: ClassVar[tuple[int, ...]] = (2,)
    suffixes: ClassVar[tuple[str, ...]] = (".xyz",)

    @classmethod
    def of_folder(cls, fields, entries):
        return Modality("pointcloud", np.loadtxt(entries[0][0], ndmin=2).shape)

    def read_file(self, path, name):
        return np.loadtxt(path, ndmin=2).astype(np.float32)

    def save(self, stem, name, samples, captions, seen):
        paths = [stem.with_name(f"{stem.name}_{i}.xyz") for i in range(len(samples))]
        for path, points in zip(paths, samples):
            np.savetxt(path, points)
        return paths
'''


@pytest.fixture
def point_cloud(tmp_path, monkeypatch):
    """The kind in a folder of the user's own; the set is a folder of `.xyz` files."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "pointcloud.py").write_text(POINT_CLOUD)
    monkeypatch.setattr(modalities, "__path__", [*modalities.__path__, str(tmp_path / "mine")])
    yield "pointcloud"
    sys.modules.pop("mmgen_jax.modalities.pointcloud")
    del modalities.pointcloud


@pytest.fixture
def config(point_cloud, tmp_path, cache):
    """A VAE of point clouds from captions, on files of the new kind."""
    files = tmp_path / "files"
    files.mkdir()
    for i in range(12):
        np.savetxt(files / f"{i}.xyz", np.random.default_rng(i).uniform(-1, 1, (5, 3)))
        (files / f"{i}.txt").write_text("a sphere" if i % 2 else "a cube")
    config = schema.base()
    config.data = {"name": "folder", "directory": str(files), "text_length": 4}
    config.encoders = {"text": {"name": "text.embedding", "features": 8}}
    config.fusion = {"name": "concat", "features": 8}
    config.target_encoder = {"name": "vector.mlp", "features": 8, "hidden": 8}
    config.generator = {"name": "mlp", "width": 8}
    config.objective = {"name": "variational", "target": point_cloud, "latent_dim": 4}
    config.optimizers = {"generator": {"lr": 1e-3}}
    config.train.batch_size = 8
    return config


def test_a_new_kind_is_read_from_an_npz_file(point_cloud, tmp_path):
    clouds = np.random.default_rng(0).uniform(-1, 1, (12, 5, 3))
    np.savez(tmp_path / "clouds.npz", pointclouds=clouds)
    source = npz.Source(file=str(tmp_path / "clouds.npz"), validation_fraction=0, test_fraction=0)
    assert source.modalities == {"pointcloud": Modality("pointcloud", (5, 3))}
    np.testing.assert_allclose(source.read(np.arange(12), np.zeros(12, int))["pointcloud"], clouds, rtol=1e-6)
    np.savez(tmp_path / "flat.npz", pointcloud=clouds[:, 0])
    with pytest.raises(DataError, match=r"pointcloud\.shape: expected numbers, with 2 axes after the examples', got "):
        npz.Source(file=str(tmp_path / "flat.npz"))


def test_a_new_kind_is_one_file(config, tmp_path, capsys):
    training = tiny.Training(config)
    assert training.source.modalities["pointcloud"] == Modality("pointcloud", (5, 3))
    _, metrics = training.run(1)
    assert np.isfinite(metrics["generator/loss"]).all()

    batch = training.source.read(np.arange(2), np.zeros(2, int))
    check_batch(batch, training.source.modalities)
    clouds = {"pointcloud": batch["pointcloud"] * 2}
    with pytest.raises(BatchError, match=r"range \(pointcloud\): expected values in \[-1, 1\]"):
        check_batch(clouds, training.source.modalities)

    paths = save.save_samples(tmp_path / "out", 1, {"pointcloud": batch["pointcloud"]}, training.source.modalities)
    assert [path.name for path in paths] == ["0000001_pointcloud_0.xyz", "0000001_pointcloud_1.xyz"]
    np.testing.assert_allclose(np.loadtxt(paths[1]), batch["pointcloud"][1], rtol=1e-6)
    assert save.describe(batch, training.source.modalities, 0).endswith(", [pointcloud]")
    assert modalities_from_json(modalities_to_json(training.source.modalities)) == training.source.modalities

    assert check_data.check(config) == 0
    assert "pointcloud [5, 3], 10 present, 0 missing; values -" in capsys.readouterr().out
