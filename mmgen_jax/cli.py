"""The `mmgen` command: parses the flags, makes one call, and prints paths or a one-line error. No logic."""

from __future__ import annotations

import os
import sys

from absl import app, flags

from mmgen_jax import __version__
from mmgen_jax.commands import help, process
from mmgen_jax.commands.help import COMMANDS, OPERANDS
from mmgen_jax.errors import MmgenError, printable
from mmgen_jax.lookup import nearest

CONFIG_PREFIX, GIVEN_PREFIX = "--config.", "--given."
SHORTHANDS = {"text": "a text", "image": "an image file", "audio": "an audio file", "video": "a video file"}

FLAGS = flags.FLAGS


def _number(variable: str) -> int | None:
    return int(value) if (value := os.environ.get(variable, "")).isdigit() else None


flags.DEFINE_string(
    "config",
    None,
    "train, check-data: a config of the package by its name, or a file; `:ARGUMENT` may follow, and in it your own "
    "data, `folder=PATH` or `npz=FILE`; --config.a.b=VALUE changes a field, `none` takes one out",
)
flags.DEFINE_string("workdir", None, "train, evaluate, sample, retrieve, sweep: where the run's files are")
flags.DEFINE_string("split", "", "evaluate, retrieve: this split only, instead of each evaluator's own or of test")
for _kind, _what in SHORTHANDS.items():
    flags.DEFINE_string(_kind, None, f"sample, retrieve: {_what} to condition on; --given.NAME=VALUE where several fit")
flags.DEFINE_integer("num", 16, "sample, retrieve: how many", lower_bound=1)
flags.DEFINE_integer("first", 0, "sample: the number of the first; 8 with --num=8 draws 8 to 15 of --num=16 alone")
flags.DEFINE_integer("seed", 0, "sample: of the noise")
flags.DEFINE_integer("step", 0, "evaluate, sample, retrieve: of the checkpoint; 0: the newest", lower_bound=0)
flags.DEFINE_string("out", None, "sample, retrieve, check-data: the folder to write to")
flags.DEFINE_bool("overwrite", False, "sample, retrieve, check-data: write to a folder that has files, and over them")
flags.DEFINE_string("dataset", None, "prepare-data: the set's name")
flags.DEFINE_string(
    "manual_dir", None, "prepare-data: a folder with the set's original files, for use without a network"
)
flags.DEFINE_alias("manual-dir", "manual_dir")
flags.DEFINE_string("sweep", None, "sweep: a file `experiments/T/sweep.py`")
flags.DEFINE_bool("check", False, "report: write nothing, and fail where a page is not current")
flags.DEFINE_bool("copy", False, "configs: write the config into configs/, to change it")
flags.DEFINE_string("evict", None, "cache: the name of a cache to remove")
flags.DEFINE_string(
    "coordinator",
    os.environ.get("JAX_COORDINATOR_ADDRESS", ""),
    "train: HOST:PORT of the first of several processes; `auto` asks SLURM, a TPU slice, Kubernetes or MPI",
)
flags.DEFINE_integer("num_processes", _number("JAX_NUM_PROCESSES"), "train: how many processes there are")
flags.DEFINE_integer("process_id", _number("JAX_PROCESS_ID"), "train: the number of this process, from 0")
flags.DEFINE_integer("profile", 0, "train: a step, after which a trace of a few steps is written", lower_bound=0)
flags.DEFINE_string("shard", "0/1", "sweep: run the cells i of n, as i/n")


def run() -> None:
    """The entry point of `mmgen` and of `python -m mmgen_jax`."""
    arguments, changes, given = [], {}, {}
    for argument in sys.argv:
        prefix = next((prefix for prefix in (CONFIG_PREFIX, GIVEN_PREFIX) if argument.startswith(prefix)), None)
        if prefix is None:
            arguments.append(argument)
            continue
        key, equals, value = argument.removeprefix(prefix).partition("=")
        if not equals:
            _fail(f"{argument}: expected {argument}=VALUE")
        values = changes if prefix == CONFIG_PREFIX else given
        if key in values and prefix == GIVEN_PREFIX:
            _fail(f"{prefix}{key}: is given twice; several values, one a line of a file: {prefix}{key}=@FILE")
        if key in values:
            print(f"{prefix}{key}: is given twice, the last counts: {value}")
        values[key] = value
    if {"--help", "-h"} & set(arguments):
        print(_help(next((word for word in arguments[1:] if word in COMMANDS), "")))
        return
    if "--version" in arguments:
        print(f"mmgen_jax {__version__}")
        return
    sys.path.append(os.getcwd())  # a component may be in a package of the user's own
    FLAGS.verbosity = -1  # show warnings, but no progress messages of the libraries
    with process.leaving_what_hangs():
        app.run(lambda argv: _main(argv, changes, given), argv=arguments, flags_parser=_parse)


def _help(command: str = "") -> str:
    return help.of_command(command, _own_flags(), COMMANDS) if command else help.overview(COMMANDS, __version__)


def _own_flags() -> list[flags.Flag]:
    return [flag for flag in FLAGS.flags_by_module_dict()[__name__] if flag.name != "manual-dir"]


def _parse(arguments: list[str]) -> list[str]:
    try:
        return FLAGS(arguments)
    except flags.UnrecognizedFlagError as error:
        given = f"; what a model reads is given by --given.{error.flagname}=VALUE" if _is_given(arguments) else ""
        return _fail(str(error).replace("\n", " ") + given)
    except flags.Error as error:
        return _fail(str(error).replace("\n", " "))


def _is_given(argv: list[str]) -> bool:
    """Whether the command takes `--given.NAME=VALUE`."""
    return argv[1:2] in (["sample"], ["retrieve"])


def _main(argv: list[str], changes: dict[str, str], given: dict[str, str]) -> None:
    least, most = OPERANDS.get(argv[1], (0, 0)) if len(argv) > 1 else (0, 0)
    if len(argv) < 2 or argv[1] not in COMMANDS or not least <= len(argv) - 2 <= most:
        got = " ".join(argv[1:])
        if len(argv) > 1 and argv[1] in OPERANDS:
            _fail(f"mmgen {argv[1]} {COMMANDS[argv[1]].partition(': ')[0]}: got {got!r}")
        hint = nearest(got, COMMANDS)
        _fail(f"expected one command of {', '.join(COMMANDS)}, got {got or 'none'}; {hint}see mmgen --help")
    for flag in _own_flags():
        if flag.present > 1:
            several = f"; several texts, one a line of a file: --{flag.name}=@FILE" if flag.name == "text" else ""
            _fail(f"--{flag.name.replace('_', '-')}: is given twice{several}")
        if flag.present and argv[1] not in help.readers(flag, COMMANDS):
            _fail(
                f"--{flag.name.replace('_', '-')}: is for {', '.join(help.readers(flag, COMMANDS))}, not for {argv[1]}"
            )
    if changes and argv[1] not in ("train", "check-data", "sample", "evaluate", "retrieve"):
        _fail(f"{CONFIG_PREFIX}{next(iter(changes))}: mmgen {argv[1]} reads the config that the run was trained with")
    if given and not _is_given(argv):
        _fail(f"{GIVEN_PREFIX}{next(iter(given))}: is for mmgen sample and mmgen retrieve")
    if FLAGS.manual_dir:
        FLAGS.manual_dir = os.path.expanduser(FLAGS.manual_dir)
    try:
        {
            "train": lambda: _train(changes),
            "evaluate": lambda: _evaluate(changes),
            "sample": lambda: _sample(changes, given),
            "retrieve": lambda: _retrieve(changes, given),
            "prepare-data": _prepare_data,
            "check-data": lambda: _check_data(changes),
            "sweep": _sweep,
            "configs": lambda: _configs(argv[2:]),
            "compare": lambda: _compare(argv[2:]),
            "cache": _cache,
            "completion": lambda: _completion(argv[2]),
            "report": _report,
        }[argv[1]]()
    except KeyboardInterrupt:
        sys.exit(130)
    except MmgenError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):  # XLA: out of memory
            raise
        _fail(f"not enough memory: {str(error).splitlines()[0]}; lower train.batch_size or the networks' sizes")


def _fail(message: str):
    print("mmgen: " + printable(" ".join(message.splitlines())), file=sys.stderr)
    sys.exit(1)


def _need(*names: str) -> None:
    for name in names:
        if getattr(FLAGS, name) is None:
            _fail(f"this command needs --{name.replace('_', '-')}")


def _config(changes, say=print):
    from mmgen_jax.config import loading, override

    return override.override(loading.load(FLAGS.config, changes.get("data.layout", "")), changes, say=say)


def _train(changes) -> None:
    _need("config", "workdir")
    from mmgen_jax import evaluate, train
    from mmgen_jax.runs import remote
    from mmgen_jax.training import hosts

    hosts.connect(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id)
    with hosts.ending():
        config = _config(changes, print if hosts.is_first() else lambda line: None)
    state = train.train(config, FLAGS.workdir, FLAGS.profile)
    if not hosts.is_first():
        return
    workdir, shown = remote.opened(FLAGS.workdir), FLAGS.workdir.rstrip("/")
    for target in config.objective.get("targets") or (config.objective.target,):
        for newest in sorted((workdir / "samples").glob(f"*_{target}.*"))[-1:]:
            print(f"samples: {shown}/{newest.relative_to(workdir)}")
    if evaluate.checkpoint_step(workdir) == int(state.step):
        print(evaluate.table(evaluate.read(workdir)))
        print(f"metrics: {shown}/{evaluate.FILE}")


def _evaluate(changes) -> None:
    _need("workdir")
    from mmgen_jax import evaluate

    evaluate.evaluate(FLAGS.workdir, FLAGS.split, changes, lambda found: print(evaluate.table(found)), FLAGS.step)


def _sample(changes, given) -> None:
    _need("workdir", "out")
    from mmgen_jax import sample

    paths = sample.sample(
        FLAGS.workdir,
        FLAGS.out,
        given,
        FLAGS.num,
        seed=FLAGS.seed,
        changes=changes,
        by_kind=_by_kind(),
        overwrite=FLAGS.overwrite,
        first=FLAGS.first,
        step=FLAGS.step,
    )
    for path in paths:
        print(path)


def _retrieve(changes, given) -> None:
    _need("workdir", "out")
    from mmgen_jax import retrieve

    for path in retrieve.retrieve(
        FLAGS.workdir, FLAGS.out, given, FLAGS.num, _by_kind(), changes, FLAGS.overwrite, FLAGS.split, FLAGS.step
    ):
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

    sys.exit(check_data.check(_config(changes), FLAGS.out, FLAGS.overwrite))


def _sweep() -> None:
    _need("sweep", "workdir")
    from mmgen_jax import sweep

    sweep.run(FLAGS.sweep, FLAGS.workdir, FLAGS.shard)


def _configs(operands: list[str]) -> None:
    from mmgen_jax.commands import configs

    if FLAGS.copy and not operands:
        _fail("mmgen configs NAME --copy: expected the name of a config")
    print(configs.show(*operands, copy=FLAGS.copy))


def _compare(operands: list[str]) -> None:
    from mmgen_jax.commands import compare

    print(compare.compare(*operands))


def _cache() -> None:
    from mmgen_jax.commands import cache

    print(cache.evict(FLAGS.evict) if FLAGS.evict else cache.listing())


def _completion(shell: str) -> None:
    from mmgen_jax.commands import completion

    flags_of = {
        name: [f"--{flag.name}{'' if flag.boolean else '='}" for flag in help.flags_of(name, _own_flags(), COMMANDS)]
        for name in COMMANDS
    }
    print(completion.script(shell, flags_of), end="")


def _report() -> None:
    from mmgen_jax import report

    for page in report.report(check=FLAGS.check):
        print(page)
