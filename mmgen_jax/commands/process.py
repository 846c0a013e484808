"""Settings of a command's process, made before JAX is loaded: huge pages, a cache of programs, XLA's convolutions.

Also the end of the process.

Imports nothing but the standard library, because the process may start a second time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import platform
import sys
from collections.abc import Iterator, MutableMapping

COMPUTING = ("train", "evaluate", "sample", "retrieve", "sweep")
HUGE_PAGES = "glibc.malloc.hugetlb"
MODES = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
# On the CPU, jaxlib hands single convolutions to the library YNNPACK. XLA's own convolutions are the same function, and
# were faster in a trial of single layers (docs/performance.md). XLA ends a process that sets a flag which the release
# does not know, so the flag is set for releases with which it was tried.
CONVOLUTIONS = "--xla_cpu_experimental_ynn_fusion_type"
TRIED = ("0.10.2",)


def prepare(argv: list[str], environment: MutableMapping[str, str] = os.environ, restart=os.execve) -> None:
    """Sets environment variables of the process, for commands that compute; settings that are there already stay.

    Restarts the process if malloc has to read one of the variables: malloc reads its settings only at the start.

    `MMGEN_COMPILED` is the folder of compiled programs (default: `compiled` in `$MMGEN_CACHE`), empty for none;
    `JAX_COMPILATION_CACHE_DIR` has priority over `MMGEN_COMPILED`. `MMGEN_HUGE_PAGES=0` leaves the memory pages as they
    are, `MMGEN_XLA_CONVOLUTIONS=0` the convolutions.
    """
    if not set(COMPUTING) & set(argv[1:2]):
        return
    folder = environment.get("MMGEN_COMPILED", compiled_dir(environment))
    if folder and "JAX_COMPILATION_CACHE_DIR" not in environment:
        environment["JAX_COMPILATION_CACHE_DIR"] = folder
        environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
    flags = environment.get("XLA_FLAGS", "")
    if environment.get("MMGEN_XLA_CONVOLUTIONS") != "0" and CONVOLUTIONS not in flags and flag_is_known():
        environment["XLA_FLAGS"] = f"{flags} {CONVOLUTIONS}=-individual_convolution".strip()
    tunables = environment.get("GLIBC_TUNABLES", "")
    if environment.get("MMGEN_HUGE_PAGES") == "0" or HUGE_PAGES in tunables or not huge_pages_on_request():
        return
    environment["GLIBC_TUNABLES"] = ":".join(filter(None, (tunables, f"{HUGE_PAGES}=1")))
    sys.stdout.flush()
    restart(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def huge_pages_on_request(modes: pathlib.Path = MODES) -> bool:
    """Whether glibc (2.35 or newer) can ask the kernel for huge pages, and the kernel gives them to those that ask.

    Large arrays in pages of 2 MiB cost fewer page faults (`experiments/benchmarks/startup.py`).
    """
    name, version = platform.libc_ver()
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    try:
        return name == "glibc" and numbers >= (2, 35) and "[madvise]" in modes.read_text()
    except OSError:
        return False


def flag_is_known() -> bool:
    """Whether the flag was tried with the installed jaxlib, and no plugin of an accelerator reads the flags too."""
    from importlib import metadata, util  # only for a command that computes

    try:
        release = metadata.version("jaxlib")
    except metadata.PackageNotFoundError:
        return False
    return release in TRIED and not any(util.find_spec(name) for name in ("jax_plugins", "libtpu"))


def compiled_dir(environment: MutableMapping[str, str] = os.environ) -> str:
    """A folder for each kind of processor: a program compiled for one may not run on another that shares the home."""
    root = os.path.expanduser(environment.get("MMGEN_CACHE") or "~/.cache/mmgen_jax")
    return os.path.join(root, "compiled", hashlib.sha256(_processor().encode()).hexdigest()[:12])


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.platform() + platform.processor()
    kept = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    return platform.machine() + "".join(sorted(set(kept)))


@contextlib.contextmanager
def leaving_what_hangs() -> Iterator[None]:
    """Ends the process at once where its exit would wait for a data source that does not answer."""
    try:
        yield
    except BaseException as end:
        reading = sys.modules.get("mmgen_jax.data.read_ahead")  # loaded by the commands that read data
        if reading is not None and reading.is_hanging():
            if not isinstance(end, SystemExit):
                sys.excepthook(type(end), end, end.__traceback__)
            sys.stdout.flush()
            sys.stderr.flush()
            code = end.code if isinstance(end, SystemExit) else 1
            os._exit(code if isinstance(code, int) else int(code is not None))
        raise
