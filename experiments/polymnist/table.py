"""Prints the table of results.jsonl in Markdown: python experiments/polymnist/table.py"""

import pathlib

from mmgen_jax.results import lines
from mmgen_jax.results.tables import table

TITLE = "Five views of a digit"
ABOUT = """
Multimodal VAEs on PolyMNIST of this project, **which is not the published set** (`mmgen_jax/data/polymnist.py`); every
row without a number of epochs has the same dense networks, 32 latents and 3,000 steps of 128. *given k*: the share of
the other views in which a judge finds the digit. *together*: the share of joint draws with one digit in all five views,
by the sampler of the latents. *Published, on the published images, 300 epochs*: given 1, 2, 3, 4 views MoPoE .66, .77,
.81, .83, MVTCAE .69, .77, .83, .86, MMVAE+ .869 on average.
"""
COLUMNS = {f"given {k} ↑": f"test/coherence/given_{k}" for k in range(1, 5)}
COLUMNS |= {
    "together, prior ↑": "test/coherence/joint_prior",
    "mixture of 10 ↑": "test/coherence/joint_gaussian_mixture_10",
    "aggregate posterior ↑": "test/coherence/joint_aggregate_posterior",
    "linear probe ↑": "test/probe/accuracy",
    "log-likelihood, nats ↑": "test/log_likelihood/log_likelihood",
    "training, processor s": "processor_seconds",
}


FOLDER = pathlib.Path(__file__).parent
METHODS = {"mvae": "MVAE", "mmvae": "MMVAE", "mopoe": "MoPoE", "mvtcae": "MVTCAE", "mmvae_plus": "MMVAE+"}
PEER = "multivae 1.0.3"


def tables() -> str:
    return f"{table(FOLDER, COLUMNS)}\n\n{beside_multivae()}"


def beside_multivae() -> str:
    """The lines of `multivae_peer.py` beside our lines of the same method and seed."""
    ours = {(line["config"].rpartition("=")[2], line["seed"]): line for line in lines.read(FOLDER / lines.FILE)}
    heading = ["", "seed", *(f"given {k} ↑" for k in range(1, 5)), "examples a second", "ratio"]
    rows = [heading, ["---", *["---:"] * (len(heading) - 1)]]
    theirs = lines.read(FOLDER / "multivae.jsonl")
    speeds = {line["method"]: line for line in theirs if line["kind"] == "throughput"}
    for line in theirs:
        if line["kind"] != "coherence":
            continue
        speed = speeds.get(line["method"], {})
        for name, found, prefix in (
            (METHODS[line["method"]], ours.get((line["method"], line["seed"])), "test/coherence/"),
            (f"{METHODS[line['method']]}, {PEER}", line, ""),
        ):
            cells = [shown(found["metrics"][f"{prefix}given_{k}"]) if found else "not run" for k in range(1, 5)]
            rate = speed.get("examples_per_second", {}).get("multivae" if found is line else "ours")
            ratio = "" if found is line or not speed else f"{speed['ratio']:.2f}"
            rows.append([name, str(line["seed"]), *cells, "not run" if rate is None else f"{rate:,.0f}", ratio])
    text = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    about = ", ".join(dict.fromkeys(f"{line['commit']} ({line['hardware']})" for line in theirs))
    for method, speed in speeds.items():
        if not any(line["kind"] == "coherence" and line["method"] == method for line in theirs):
            ours_rate, peer_rate = (f"{speed['examples_per_second'][side]:,.0f}" for side in ("ours", "multivae"))
            text += f"\n| {METHODS[method]} | – |{' – |' * 4} {ours_rate} | {speed['ratio']:.2f} |"
            text += f"\n| {METHODS[method]}, {PEER} | – |{' – |' * 4} {peer_rate} |  |"
    same = "Same views, networks and first weights; 3,003 steps of the library, 3,000 of ours"
    other = "the library's models are measured on the first 1,000 test examples, ours on 1,000 drawn at random"
    return f"{text}\n\n{same}; {other}. Commit: {about or 'none'}."


def shown(entry) -> str:
    low, high = entry["interval"]
    return f"{entry['value']:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    print(tables())
