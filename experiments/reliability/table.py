"""The table of results.jsonl, one row for each kind of fault: its newest line."""

import pathlib

from mmgen_jax.results.lines import FILE, read

TITLE = "Faults"
ABOUT = """
Faults that were injected into small trainings on CPU, and what became of the runs after the same command was started
again. *survived*: the run ends with the state, the data position, the lines of metrics, the samples and the evaluation
of the uninterrupted run, bit for bit. *lost*: something is missing or differs. *hang*: no end within 900 s.
*traceback*: an end without its one line. *wrong*: a run that ends well, with other numbers. Flipped bits and damaged
files are those of a checkpoint: *survived* is the state that was saved, or that of the checkpoint before.
"""
OUTCOMES = ("injected", "survived", "lost", "hang", "traceback", "wrong")
NAMES = {
    "kill": "SIGKILL at a random moment",
    "signal": "SIGTERM, SIGINT or SIGHUP at a random moment",
    "flips": "one flipped bit in a checkpoint",
    "damage": "a file of a checkpoint cut, emptied, removed, longer, zeros or noise",
    "full": "a full disk",
    "double": "a second training in the workdir",
}


def tables() -> str:
    newest = {line["kind"]: line for line in read(pathlib.Path(__file__).parent / FILE)}
    rows = [["fault", *OUTCOMES, "commit"], ["---"] + ["---:"] * (len(OUTCOMES) + 1)]
    for kind, name in NAMES.items():
        if kind in newest:
            rows.append([name, *(str(newest[kind][outcome]) for outcome in OUTCOMES), newest[kind]["commit"]])
        else:
            rows.append([name, *["not run"] * len(OUTCOMES), ""])
    hardware = ", ".join(dict.fromkeys(line["hardware"] for line in newest.values()))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + f"\n\nHardware: {hardware}."


if __name__ == "__main__":
    print(tables())
