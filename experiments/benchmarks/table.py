"""Prints the tables of results.jsonl in Markdown: python experiments/benchmarks/table.py"""

import math
import pathlib
import statistics

from mmgen_jax.results.lines import FILE, read

TITLE = "Benchmarks"
ABOUT = """
First table: a DCGAN step (width 64, batch 64, float32; forward, backward and Adam of both networks) on one core, in
milliseconds of processor time with the ratio to `xla`; a column for each program that can run the convolutions. Then
single layers, output and all gradients, in milliseconds of processor time (cores and machine stand below each table);
`auto` takes one of the other programs. Then normalisations with their gradients beside flax's (batch, height, width,
channels). Then the loss of sounds by `log_mel` and Griffin-Lim. Then the share of the training time that is spent
waiting for data, for each pass over the data; *loop* is what a step in the loop takes beyond the compiled step alone,
in processor time, the reading of its batch included. Then what the compiled step costs each of 8 devices in each
layout: operations and state, as shares of those of one device alone, and bytes between devices beside theory. Then
sampling with a cache, in processor time, beside the network applied for each token to as many positions as a sampler
without a cache reads. Last table: steps and samplers beside the same networks in PyTorch, in milliseconds of processor
time; the ratio is PyTorch's best time to ours, above 1 where ours is faster. *load* is the load average: other work on
the machine slows both sides.
"""
FOLDER = pathlib.Path(__file__).parent
LAYER_PROGRAMS = ("xla", "exchange", "matmul", "frames", "auto")
PROGRAMS = ("xla", "matmul", "exchange", "auto", "torch", "torch channels-last")


def steps() -> str:
    """The table of DCGAN steps, from the newest line on one core for each picture size."""
    lines = [line for line in _convolutions() if line["config"].startswith("dcgan")]
    return _times("step", [line for line in lines if line["hardware"].startswith("1 cores")], PROGRAMS)


def layers() -> str:
    """The tables of single layers, one for each machine, from the newest line of each layer."""
    newest = {line["config"]: line for line in _convolutions() if not line["config"].startswith("dcgan")}
    machines = dict.fromkeys(line["hardware"] for line in newest.values())
    of = {machine: [line for line in newest.values() if line["hardware"] == machine] for machine in machines}
    return "\n\n".join(_times("layer", lines, LAYER_PROGRAMS) for lines in of.values())


def _convolutions() -> list[dict]:
    return [line for line in read(FOLDER / FILE) if line["experiment"] == "benchmarks/convolution"]


def _times(what: str, lines, programs) -> str:
    """Processor times, and in parentheses their ratios to the first program; a program that no line has is left out."""
    programs = [name for name in programs if any(f"{name}/processor_ms" in line["metrics"] for line in lines)]
    rows = [[what, *(f"`{name}`" for name in programs), "commit"], ["---"] + ["---:"] * (len(programs) + 1)]
    for config, line in {line["config"]: line for line in lines}.items():
        times = [line["metrics"].get(f"{program}/processor_ms") for program in programs]  # PyTorch may be missing
        shown = [f"{time:.{1 if time < 100 else 0}f} ({time / times[0]:.2f})" if time else "–" for time in times]
        rows.append([config, *shown, line["commit"]])
    hardware = ", ".join(dict.fromkeys(line["hardware"] for line in lines))
    return _markdown(rows) + f"\n\nHardware: {hardware}."


def normalisations() -> str:
    """The table of normalisation layers, from the newest line of each."""
    lines = [line for line in read(FOLDER / FILE) if line["experiment"] == "benchmarks/normalisation"]
    return _times("normalisation", lines, ("flax", "ours")) if lines else ""


def sounds() -> str:
    """The table of what `log_mel` and Griffin-Lim lose, from the newest line of each set and setting."""
    newest = {line["config"]: line for line in read(FOLDER / FILE) if line["experiment"] == "benchmarks/log_mel"}
    head = ("sounds of the test split", "setting of `log_mel`", "sounds", "distance, dB", "recognised", "commit")
    rows = [head, ["---", "---"] + ["---:"] * (len(head) - 2)]
    for config, line in newest.items():
        name, _, setting = config.partition(": ")
        entry = line["metrics"]
        recognised = f"{entry['recognised']:.3f}" if "recognised" in entry else "–"
        cells = (f"`{name}`", setting, entry["sounds"], f"{entry['distance_db']:.2f}", recognised, line["commit"])
        rows.append([str(cell) for cell in cells])
    machines = ", ".join(dict.fromkeys(line["hardware"] for line in newest.values()))
    return f"{_markdown(rows)}\n\nHardware: {machines}." if newest else ""


def waits() -> str:
    """The table of waiting times, from the newest line of each config."""
    newest = {line["config"]: line for line in read(FOLDER / FILE) if line["experiment"] == "benchmarks/data_wait"}
    head = (
        "config",
        "step, ms",
        "first pass, cold",
        "second pass",
        "last pass",
        "decoding, s",
        "loop",
        "load",
        "commit",
    )
    rows = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for reference, line in newest.items():
        entry = line["metrics"]
        last = max(int(key.split("/")[0].removeprefix("epoch_")) for key in entry if "/" in key)
        shares = [f"{100 * entry[f'epoch_{epoch}/data_wait']:.2f} %" for epoch in (1, 2, last)]
        shares[0] += f" ({entry['epoch_1/wait_s']:.2f} s)"
        loop, bare = (entry.get(f"{part}/processor_ms") for part in ("loop", "bare"))  # older lines have neither
        added = f"{loop / bare - 1:+.1%}" if loop and bare else "–"
        cells = [f"`{reference}`", entry[f"epoch_{last}/step_ms"], *shares, entry["decoding_s"], added]
        cells.append(entry["load_average"])
        rows.append([*map(str, cells), line["commit"]])
    hardware = ", ".join(dict.fromkeys(line["hardware"] for line in newest.values()))
    return _markdown(rows) + f"\n\nHardware: {hardware}."


def starts() -> str:
    """The tables of start-up times and of huge pages, from the newest line of each config."""
    newest = {line["config"]: line for line in read(FOLDER / FILE) if line["experiment"] == "benchmarks/startup"}
    if not newest:
        return ""
    head = ("command", "cold, s", "warm, s", "load", "commit")
    times = [head, ["---"] + ["---:"] * (len(head) - 1)]
    pages = [("config", "steps/s", "steps/s with huge pages", "ratio", "load", "commit"), ["---"] + ["---:"] * 5]
    for config, line in newest.items():
        entry, last = line["metrics"], [str(line["metrics"]["load_average"]), line["commit"]]
        if "gain" in entry:
            rates = [entry["without/steps_per_second"], entry["with/steps_per_second"], entry["gain"]]
            pages.append([f"`{config}`", *map(str, rates), *last])
            continue
        for key, what in (("first_step_s", "train, to the first step"), ("sample_s", "sample, 16 pictures")):
            times.append(
                [f"`{config}`: {what}", *(f"{entry[f'{state}/{key}']:.1f}" for state in ("cold", "warm")), *last]
            )
    hardware = ", ".join(dict.fromkeys(line["hardware"] for line in newest.values()))
    return f"{_markdown(times)}\n\n{_markdown(pages)}\n\nHardware: {hardware}."


def peers() -> str:
    """The tables of our steps beside PyTorch's, one for each machine, from the newest line of each row."""
    lines = [line for line in read(FOLDER / FILE) if line["experiment"] == "benchmarks/peers"]
    tables = []
    for machine in dict.fromkeys(line["hardware"] for line in lines):
        newest = {line["config"]: line for line in lines if line["hardware"] == machine}
        if newest.keys() == {"product"}:
            continue
        product = newest.pop("product")["metrics"]["ours/gigaflops"] if "product" in newest else None
        head = ("row", "ours, ms", "PyTorch, ms", "program of PyTorch", "ratio", "by wall time", "ours, GFLOP/s")
        rows = [[*head, "share of a matrix product", "load", "commit"], ["---", "---:", "---:", "---", *["---:"] * 6]]
        ratios = {"processor": [], "wall": []}
        for name, line in newest.items():
            entry, kind = line["metrics"], "processor_ms"
            best = min((key for key in entry if key.startswith("torch") and key.endswith(kind)), key=entry.get)
            ours = entry[f"ours/{kind}"]
            for clock, found in ratios.items():
                found.append(entry[f"{clock}_ratio"])
            rate = 1e3 * entry["gigaflop"] / ours
            rows.append([f"`{name}`", f"{ours:.1f}", f"{entry[best]:.1f}", best.split("/")[0].removeprefix("torch ")])
            rows[-1] += [f"{entry['processor_ratio']:.2f}", f"{entry['wall_ratio']:.2f}", f"{rate:.1f}"]
            rows[-1] += [f"{rate / product:.0%}" if product else "–", str(entry["load_average"]), line["commit"]]
        mean, wall = (math.exp(statistics.fmean(map(math.log, found))) for found in ratios.values())
        about = "Times and `ratio` are of processor time. "
        about += f"Geometric means of the ratios: {mean:.2f}, by wall time {wall:.2f}."
        about += f" A matrix product of this machine: {product:.1f} GFLOP/s." if product else ""
        tables.append(f"{_markdown(rows)}\n\n{about} Hardware: {machine}.")
    return "\n\n".join(tables)


def decodings() -> str:
    """The table of sampling with and without a cache, from the newest line of each row."""
    newest = {line["config"]: line for line in read(FOLDER / FILE) if line["experiment"] == "benchmarks/decoding"}
    if not newest:
        return ""
    rows = [("sampler", "with the cache, s", "without, s", "ratio", "load", "commit"), ["---"] + ["---:"] * 4 + ["---"]]
    for name, line in newest.items():
        entry = line["metrics"]
        seconds = (f"{entry[f'{which}/processor_ms'] / 1e3:,.2f}" for which in ("cached", "uncached"))
        last = [f"{entry['processor_ratio']:,.0f}", str(entry["load_average"]), line["commit"]]
        rows.append([f"{name}, {entry['sequences']} sequences", *seconds, *last])
    hardware = ", ".join(dict.fromkeys(line["hardware"] for line in newest.values()))
    return f"{_markdown(rows)}\n\nHardware: {hardware}."


def layouts() -> str:
    """The table of steps on 8 devices, from the newest line of each config."""
    newest = {line["config"]: line for line in read(FOLDER / FILE) if line["experiment"] == "benchmarks/layouts"}
    if not newest:
        return ""
    head = ("config", "layout", "operations", "state", "between devices, MB", "in theory, MB", "ratio", "commit")
    rows = [head, ["---", "---", *["---:"] * 5, "---"]]
    for config, line in newest.items():
        entry = line["metrics"]
        for layout in ("jit", "fsdp", "pmap"):
            theory = entry["parameters"] + (entry["gathered"] if layout == "fsdp" else 0)
            sent = entry[f"{layout}/collective"]
            shares = (entry[f"{layout}/{number}"] / entry[f"one/{number}"] for number in ("gigaflop", "state"))
            numbers = [f"{share:.3f}" for share in shares]
            numbers += [f"{sent / 1e6:.3f}", f"{theory / 1e6:.3f}", f"{sent / theory:.3f}", line["commit"]]
            rows.append([f"`{config}`", layout, *numbers])
    hardware = ", ".join(dict.fromkeys(line["hardware"] for line in newest.values()))
    about = "Of one of 8 devices; operations and state as shares of those of one device alone."
    return f"{_markdown(rows)}\n\n{about} Hardware: {hardware}."


def tables() -> str:
    return "\n\n".join(
        filter(
            None, (steps(), layers(), normalisations(), sounds(), waits(), starts(), layouts(), decodings(), peers())
        )
    )


def _markdown(rows) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    print(tables())
