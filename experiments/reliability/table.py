"""The table of results.jsonl, one row for each kind of fault: the newest lines of one commit."""

import pathlib

from mmgen_jax.results.lines import FILE, read

TITLE = "Faults"
ABOUT = """
Faults that were injected into small trainings on CPU, and what became of the runs after
the same command was started again. *survived*: the run ends with the state, the data position, the lines of metrics,
the samples and the evaluation of the uninterrupted run, bit for bit. After a full disk, the samples are not compared;
of two and four processes, only the losses are compared with those of one process (relative 1e-4). *lost*: something is
missing or differs. *hang*: no end within 900 s. *traceback*: an end without its one line. *wrong*: a run that ends
well, with other numbers. Flipped bits and damaged files of a checkpoint: *survived* is the state that was saved, or
that of the checkpoint before. Damaged files of a workdir: the run of before, a line that names the file and what to do,
or, of `metrics.jsonl`, a warning of the lines that are missing. A damaged cache or judge: made again. A hostile input
survives where it is read, or refused by one line. Of 20,000 steps: in each later tenth the median memory is at most 2 %
above that of the second tenth, after four tenths it stays within 2 % of its mean, no more files are open, nothing is
compiled after the first line, and every line is there.
"""
OUTCOMES = ("injected", "survived", "lost", "hang", "traceback", "wrong")
NAMES = {
    "kill": "SIGKILL at a random moment",
    "signal": "SIGTERM, SIGINT or SIGHUP at a random moment",
    "flips": "one flipped bit in a checkpoint",
    "damage": "a file of a checkpoint, workdir, cache or judge cut, emptied, removed, longer, zeros or noise",
    "full": "a full disk",
    "double": "a second training in the workdir, a second sweep over the cells",
    "hostile": "a hostile file, folder, config, workdir or command line",
    "long": "20,000 steps: memory, open files, compilations, lines of metrics",
    "processes": "a fault in one of two processes; one, two and four processes",
}


def tables() -> str:
    every = read(pathlib.Path(__file__).parent / FILE)
    rows = [["fault", *OUTCOMES, "commit"], ["---"] + ["---:"] * (len(OUTCOMES) + 1)]
    shown = []
    for kind, name in NAMES.items():
        lines = [line for line in every if line["kind"] == kind]
        # A kind may have run in parts, each with its line.
        lines = [line for line in lines if line["commit"] == lines[-1]["commit"]]
        parts = {line.get("shard", "0/1"): line for line in lines}
        shown += parts.values()
        sums = [str(sum(line[outcome] for line in parts.values())) for outcome in OUTCOMES]
        rows.append([name, *sums, lines[-1]["commit"]] if lines else [name, *["not run"] * len(OUTCOMES), ""])
    hardware = ", ".join(dict.fromkeys(line["hardware"] for line in shown))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + f"\n\nHardware: {hardware}."


if __name__ == "__main__":
    print(tables())
