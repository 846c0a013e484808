"""The file of results: lines of several processes, broken ones, and the commit that they name."""

import json
import pathlib
import subprocess
import sys

import pytest

from mmgen_jax.errors import ResultsError
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.results import lines

ROOT = pathlib.Path(__file__).parent.parent


def test_lines_of_several_processes_do_not_mix(tmp_path):
    path = tmp_path / lines.FILE
    path.write_text('{"process": -1, "number": 0}')  # without a newline, as an editor may leave it
    program = (
        "import pathlib, sys; from mmgen_jax.results import lines\n"
        "for i in range(200): lines.append(pathlib.Path(sys.argv[1]), "
        "{'process': int(sys.argv[2]), 'number': i, 'metrics': 'é' * 9000})"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, path, str(i)], cwd=ROOT) for i in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    found = lines.read(path)
    assert len(found) == 601
    for process in range(3):
        assert [line["number"] for line in found if line["process"] == process] == list(range(200))


def test_a_broken_line_is_named(tmp_path):
    path = tmp_path / lines.FILE
    path.write_text('{"seed": 0}\n\n{"seed"\n')
    with pytest.raises(ResultsError, match=r"results.jsonl:3: expected a JSON object"):
        lines.read(path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        lines.append(path, {"value": float("nan")})


def test_commit_says_whether_the_code_is_in_it(tmp_path, monkeypatch):
    def git(*arguments):
        author = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(["git", *author, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)

    code, other = tmp_path / "package" / "results.py", tmp_path / "results.jsonl"
    code.parent.mkdir()
    code.write_text("")
    other.write_text("")
    monkeypatch.setattr(lines, "__file__", str(code))
    assert lines.commit().endswith("not in git")
    git("init", "-q")
    assert lines.commit().endswith("not in git")  # a repository around the code, which does not hold it
    git("add", ".")
    git("commit", "-qm", "code")
    head = git("rev-parse", "--short", "HEAD").stdout.strip()
    assert lines.commit() == head
    other.write_text("a line of a finished run")
    assert lines.commit() == head
    (tmp_path / "new.py").write_text("")
    assert lines.commit() == f"{head}-dirty"


def shares_of_views():
    """`(file, name, entry)` of every stored share of drawn views."""
    for file in sorted((ROOT.parent / "experiments").glob("*/*.jsonl")):
        for line in file.read_text().splitlines():
            for name, entry in json.loads(line).get("metrics", {}).items():
                if isinstance(entry, dict) and "per_view" in entry:
                    yield file, name, entry


def test_stored_shares_of_views_weigh_each_view_the_same():
    """As `evaluators/view_coherence.py` does; older lines weighed some views more, and are mended from their views."""
    found = list(shares_of_views())
    assert len(found) > 30
    for file, name, entry in found:
        mean = sum(entry["per_view"].values()) / len(entry["per_view"])
        assert entry["value"] == pytest.approx(mean, abs=1e-9), (file, name)
        assert entry["interval"] == pytest.approx(intervals.wilson(mean * entry["n"], entry["n"]), abs=1e-9), (
            file,
            name,
        )
