"""Prints the tables of results.jsonl in Markdown: python experiments/benchmarks/table.py"""

import pathlib

from mmgen_jax.results.lines import FILE, read

TITLE = "Benchmarks"
ABOUT = """
A DCGAN step (width 64, batch 64, float32; forward, backward and Adam of both networks) on one core, milliseconds of
processor time and their ratio to `xla`, by the program that a convolution runs as. Then the share of time that training
waits for data, by pass over the data.
"""
FOLDER = pathlib.Path(__file__).parent
PROGRAMS = ("xla", "matmul", "exchange", "auto", "torch", "torch channels-last")


def steps() -> str:
    """The newest line of each size that was measured on one core."""
    lines = [line for line in read(FOLDER / FILE) if line["experiment"] == "benchmarks/convolution"]
    lines = [line for line in lines if line["config"].startswith("dcgan") and line["hardware"].startswith("1 cores")]
    rows = [["step", *PROGRAMS, "commit"], ["---"] + ["---:"] * (len(PROGRAMS) + 1)]
    for config, line in {line["config"]: line for line in lines}.items():
        times = [line["metrics"].get(f"{program}/processor_ms") for program in PROGRAMS]  # PyTorch may be missing
        shown = [f"{time:.0f} ({time / times[0]:.2f})" if time else "–" for time in times]
        rows.append([config, *shown, line["commit"]])
    hardware = ", ".join(dict.fromkeys(line["hardware"] for line in lines))
    return _markdown(rows) + f"\n\nHardware: {hardware}."


def waits() -> str:
    """The newest line of each config."""
    newest = {line["config"]: line for line in read(FOLDER / FILE) if line["experiment"] == "benchmarks/data_wait"}
    head = ("config", "step, ms", "first pass, cold", "second pass", "last pass", "decoding, s", "load", "commit")
    rows = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for reference, line in newest.items():
        entry = line["metrics"]
        last = max(int(key.split("/")[0].removeprefix("epoch_")) for key in entry if "/" in key)
        shares = [f"{100 * entry[f'epoch_{epoch}/data_wait']:.2f} %" for epoch in (1, 2, last)]
        shares[0] += f" ({entry['epoch_1/wait_s']:.2f} s)"
        cells = [f"`{reference}`", entry[f"epoch_{last}/step_ms"], *shares, entry["decoding_s"], entry["load_average"]]
        rows.append([*map(str, cells), line["commit"]])
    hardware = ", ".join(dict.fromkeys(line["hardware"] for line in newest.values()))
    return _markdown(rows) + f"\n\nHardware: {hardware}."


def tables() -> str:
    return f"{steps()}\n\n{waits()}"


def _markdown(rows) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    print(tables())
