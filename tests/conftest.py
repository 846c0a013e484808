"""Shared by every test: 8 virtual CPU devices, one compilation cache, and the real data where there is some."""

import os
import pathlib

os.environ["JAX_PLATFORMS"] = "cpu"
import jaxlib.version  # reads none of these variables

# Compiling takes longer than running here. Without optimisation it takes a third of the time, and with the older
# emitters of fused loops two thirds of the rest. XLA stops at a flag that it does not know, so a flag of one release of
# jaxlib is set for this release alone.
FLAGS = " --xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
if jaxlib.version.__version_info__[:2] == (0, 10):
    FLAGS += " --xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + FLAGS
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(pathlib.Path(__file__).parent.parent / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")

import pytest  # noqa: E402  (the variables above are read when jax is imported)


@pytest.fixture(scope="session")
def mmgen_data() -> pathlib.Path:
    """The folder of real data that `$MMGEN_DATA` names; skips the test where it names none."""
    folder = os.environ.get("MMGEN_DATA", "")
    if not folder or not pathlib.Path(folder).is_dir():
        pytest.skip("needs real data: set MMGEN_DATA to the folder that holds it")
    return pathlib.Path(folder)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> pathlib.Path:
    """An empty `$MMGEN_CACHE` for this test alone."""
    monkeypatch.setenv("MMGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
