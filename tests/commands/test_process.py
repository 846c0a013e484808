"""What a command sets before JAX is loaded: a cache of programs, XLA's convolutions, huge pages; and how it ends."""

import os
import subprocess
import sys
from importlib import metadata, util

import pytest

from mmgen_jax.commands import process
from mmgen_jax.data import read_ahead


def prepared(environment, command="train", monkeypatch=None):
    """`(environment after, arguments of the restarts)`."""
    restarts = []
    process.prepare(["mmgen", command, "--x=1"], environment, restart=lambda *given: restarts.append(given))
    return environment, restarts


@pytest.fixture(autouse=True)
def pages(monkeypatch):
    monkeypatch.setattr(process, "huge_pages_on_request", lambda: True)


def test_programs_are_kept_in_the_cache_folder_of_this_processor():
    environment, _ = prepared({"MMGEN_CACHE": "/somewhere"})
    folder = environment["JAX_COMPILATION_CACHE_DIR"]
    assert folder == process.compiled_dir(environment) and folder.startswith("/somewhere/compiled/")


@pytest.mark.parametrize("given", [{"JAX_COMPILATION_CACHE_DIR": "mine"}, {"MMGEN_COMPILED": ""}], ids=str)
def test_a_cache_that_is_named_or_refused_is_left_alone(given):
    environment, _ = prepared(dict(given))
    assert environment.get("JAX_COMPILATION_CACHE_DIR") == given.get("JAX_COMPILATION_CACHE_DIR")


def test_the_process_starts_once_more_with_huge_pages_and_the_tunables_that_were_set():
    environment, [(program, arguments, passed)] = prepared({"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"})
    assert (program, arguments) == (sys.executable, [sys.executable, *sys.orig_argv[1:]])
    assert passed["GLIBC_TUNABLES"] == "glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1"
    assert prepared(environment)[1] == []  # not a second time


@pytest.mark.parametrize("given", [{"MMGEN_HUGE_PAGES": "0"}, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}], ids=str)
def test_pages_stay_as_they_are_where_it_is_asked(given):
    assert prepared(dict(given))[1] == []


FLAG = "--xla_cpu_experimental_ynn_fusion_type=-individual_convolution"


def test_convolutions_are_those_of_xla_beside_the_flags_that_were_set(monkeypatch):
    monkeypatch.setattr(process, "flag_is_known", lambda: True)
    environment, _ = prepared({"XLA_FLAGS": "--xla_cpu_enable_fast_math=false"})
    assert environment["XLA_FLAGS"] == f"--xla_cpu_enable_fast_math=false {FLAG}"
    again, _ = prepared(dict(environment))
    assert again["XLA_FLAGS"] == environment["XLA_FLAGS"]
    assert "XLA_FLAGS" not in prepared({"MMGEN_XLA_CONVOLUTIONS": "0"})[0]


@pytest.mark.parametrize("release, plugin, known", [("0.10.2", None, True), ("0.9", None, False), ("0.10.2", 1, False)])
def test_the_flag_is_for_releases_with_which_it_was_tried_and_no_accelerator(monkeypatch, release, plugin, known):
    monkeypatch.setattr(metadata, "version", lambda name: release)
    monkeypatch.setattr(util, "find_spec", lambda name: plugin)
    assert process.flag_is_known() is known
    assert ("XLA_FLAGS" in prepared({})[0]) is known


@pytest.mark.parametrize("command", ["configs", "cache", "--help"])
def test_a_command_that_computes_nothing_changes_nothing(command):
    assert prepared({}, command) == ({}, [])


@pytest.mark.parametrize("mode, asked", [("always [madvise] never", True), ("[always] madvise never", False)])
def test_huge_pages_only_where_the_kernel_gives_them_to_those_that_ask(tmp_path, monkeypatch, mode, asked):
    monkeypatch.undo()
    monkeypatch.setattr(process.platform, "libc_ver", lambda: ("glibc", "2.36"))
    (tmp_path / "enabled").write_text(mode + "\n")
    assert process.huge_pages_on_request(tmp_path / "enabled") is asked
    assert not process.huge_pages_on_request(tmp_path / "missing")
    monkeypatch.setattr(process.platform, "libc_ver", lambda: ("glibc", "2.31"))
    assert not process.huge_pages_on_request(tmp_path / "enabled")


def test_a_command_that_starts_twice_answers_once(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    command = [sys.executable, "-m", "mmgen_jax", "sample", f"--workdir={tmp_path / 'none'}", f"--out={tmp_path}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.count(str(tmp_path / "none")) == 1 and not done.stdout


ENDS = [(SystemExit(143), 143), (SystemExit(None), 0), (SystemExit("why"), 1), (RuntimeError("odd"), 1)]


@pytest.mark.parametrize("end, code", ENDS)
def test_a_command_does_not_wait_for_a_thread_that_hangs(end, code, monkeypatch, capsys):
    codes = []
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(read_ahead, "CLOSE_SECONDS", 0.1)
    for reading in (set(), {"a batch"}):
        monkeypatch.setattr(read_ahead, "_reading", reading)
        with pytest.raises(type(end)), process.leaving_what_hangs():
            raise end
    assert codes == [code] and ("RuntimeError: odd" in capsys.readouterr().err) == isinstance(end, RuntimeError)
