"""The `mmgen` command: flags in, one call, files and one-line errors out. No logic."""

from __future__ import annotations

import pathlib
import sys

from absl import app, flags

from mmgen_jax.errors import MmgenError
from mmgen_jax.lookup import nearest

COMMANDS = {
    "train": "--config=configs/X.py[:ARG] --workdir=DIR [--config.a.b=VALUE …]: a new run, or the one there goes on",
    "evaluate": "--workdir=DIR [--split=test]: measures the newest checkpoint\n"
    "      [--config.objective.guidance=2 …: as `sample` does; printed, not written]",
    "sample": "--workdir=DIR --out=DIR [--given.NAME=VALUE … --num=16 --seed=0]: draws from conditions given by name:\n"
    "      a text or @FILE with one a line, a class or its number, else a file; or by kind where one is of that kind:\n"
    "      [--text=… --image=FILE --audio=FILE --video=FILE]\n"
    "      [--config.objective.temperature=0.8 …: what objective and representation list as `sampling`]",
    "retrieve": "--workdir=DIR --out=DIR [--given.NAME=VALUE …, --text=…, … as `sample` does, --num=16]\n"
    "      of a model that embeds pairs: the nearest held-out examples",
    "prepare-data": "--dataset=NAME [--manual-dir=DIR]: once, for sets of tensorflow-datasets",
    "check-data": "--config=configs/X.py[:ARG] [--out=DIR]: what a config would read, and every problem in it",
    "sweep": "--sweep=experiments/T/sweep.py --workdir=DIR [--shard=i/n]: the cells of a table that are missing",
    "report": "[--check]: writes the tables of all experiments and the matrix in README.md, or checks them",
}
CONFIG_PREFIX, GIVEN_PREFIX = "--config.", "--given."
SHORTHANDS = {"text": "a text", "image": "an image file", "audio": "an audio file", "video": "a video file"}

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "config", None, "config file, `configs/X.py` or `configs/X.py:argument`; --config.a.b=value changes a field"
)
flags.DEFINE_string("workdir", None, "where the run's files are")
flags.DEFINE_string("split", "", "evaluate: this split only, instead of each evaluator's own")
for _kind, _what in SHORTHANDS.items():
    flags.DEFINE_string(_kind, None, f"sample, retrieve: {_what} to condition on; --given.NAME=VALUE where several fit")
flags.DEFINE_integer("num", 16, "sample, retrieve: how many", lower_bound=1)
flags.DEFINE_integer("seed", 0, "sample: of the noise")
flags.DEFINE_string("out", None, "sample, retrieve, check-data: the folder to write to")
flags.DEFINE_string("dataset", None, "prepare-data: the set's name")
flags.DEFINE_string(
    "manual_dir", None, "prepare-data: a folder with the set's original files, for use without a network"
)
flags.DEFINE_alias("manual-dir", "manual_dir")
flags.DEFINE_string("sweep", None, "sweep: a file `experiments/T/sweep.py`")
flags.DEFINE_bool("check", False, "report: write nothing, and fail where a page is not current")
flags.DEFINE_string("shard", "0/1", "sweep: run the cells i of n, as i/n")


def run() -> None:
    """The entry point: what `mmgen` and `python -m mmgen_jax` call."""
    arguments, changes, given = [], {}, {}
    for argument in sys.argv:
        prefix = next((prefix for prefix in (CONFIG_PREFIX, GIVEN_PREFIX) if argument.startswith(prefix)), None)
        if prefix is None:
            arguments.append(argument)
            continue
        key, equals, value = argument.removeprefix(prefix).partition("=")
        if not equals:
            _fail(f"{argument}: expected {argument}=VALUE")
        (changes if prefix == CONFIG_PREFIX else given)[key] = value
    if "--help" in arguments:
        print(_help())
        return
    FLAGS.verbosity = -1  # warnings; the libraries' own progress is not the run's
    app.run(lambda argv: _main(argv, changes, given), argv=arguments, flags_parser=_parse)


def _help() -> str:
    lines = [f"  mmgen {name} {usage}" for name, usage in COMMANDS.items()]
    return "\n".join(["Commands:", "", *lines, "", FLAGS.module_help(sys.modules[__name__])])


def _parse(arguments: list[str]) -> list[str]:
    try:
        return FLAGS(arguments)
    except flags.Error as error:
        return _fail(str(error).replace("\n", " "))


def _main(argv: list[str], changes: dict[str, str], given: dict[str, str]) -> None:
    if len(argv) != 2 or argv[1] not in COMMANDS:
        got = " ".join(argv[1:])
        hint = nearest(got, COMMANDS)
        _fail(f"expected one command of {', '.join(COMMANDS)}, got {got or 'none'}; {hint}see mmgen --help")
    if changes and argv[1] not in ("train", "check-data", "sample", "evaluate"):
        _fail(f"{CONFIG_PREFIX}{next(iter(changes))}: mmgen {argv[1]} reads the config that the run was trained with")
    if given and argv[1] not in ("sample", "retrieve"):
        _fail(f"{GIVEN_PREFIX}{next(iter(given))}: is for mmgen sample and mmgen retrieve")
    try:
        {
            "train": lambda: _train(changes),
            "evaluate": lambda: _evaluate(changes),
            "sample": lambda: _sample(changes, given),
            "retrieve": lambda: _retrieve(given),
            "prepare-data": _prepare_data,
            "check-data": lambda: _check_data(changes),
            "sweep": _sweep,
            "report": _report,
        }[argv[1]]()
    except KeyboardInterrupt:
        sys.exit(130)
    except (MmgenError, OSError) as error:
        _fail(str(error))


def _fail(message: str):
    print(f"mmgen: {message}", file=sys.stderr)
    sys.exit(1)


def _need(*names: str) -> None:
    for name in names:
        if getattr(FLAGS, name) is None:
            _fail(f"this command needs --{name.replace('_', '-')}")


def _config(changes):
    from mmgen_jax.config import loading, override

    return override.override(loading.load(FLAGS.config), changes)


def _train(changes) -> None:
    _need("config", "workdir")
    from mmgen_jax import evaluate, train

    config, workdir = _config(changes), pathlib.Path(FLAGS.workdir)
    train.train(config, workdir)
    for newest in sorted((workdir / "samples").glob(f"*_{config.objective.target}.*"))[-1:]:
        print(f"samples: {newest}")
    if (workdir / evaluate.FILE).is_file():
        print(evaluate.table(evaluate.read(workdir)))
        print(f"metrics: {workdir / evaluate.FILE}")


def _evaluate(changes) -> None:
    _need("workdir")
    from mmgen_jax import evaluate

    print(evaluate.table(evaluate.evaluate(FLAGS.workdir, FLAGS.split, changes)))


def _sample(changes, given) -> None:
    _need("workdir", "out")
    from mmgen_jax import sample

    for path in sample.sample(FLAGS.workdir, FLAGS.out, given, FLAGS.num, FLAGS.seed, changes, _by_kind()):
        print(path)


def _retrieve(given) -> None:
    _need("workdir", "out")
    from mmgen_jax import retrieve

    for path in retrieve.retrieve(FLAGS.workdir, FLAGS.out, given, FLAGS.num, _by_kind()):
        print(path)


def _by_kind() -> dict[str, str]:
    values = {kind: getattr(FLAGS, kind) for kind in SHORTHANDS}
    return {kind: value for kind, value in values.items() if value is not None}


def _prepare_data() -> None:
    _need("dataset")
    from mmgen_jax.data import prepare

    prepare.prepare(FLAGS.dataset, FLAGS.manual_dir)


def _check_data(changes) -> None:
    _need("config")
    from mmgen_jax import check_data

    sys.exit(check_data.check(_config(changes), FLAGS.out))


def _sweep() -> None:
    _need("sweep", "workdir")
    from mmgen_jax import sweep

    sweep.run(FLAGS.sweep, FLAGS.workdir, FLAGS.shard)


def _report() -> None:
    from mmgen_jax import report

    for page in report.report(check=FLAGS.check):
        print(page)
