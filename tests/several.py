"""`mmgen train` in several processes on loopback, with faults in one of them."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import sys

# In process 1, from epoch `EPOCH` on (8 steps each, and up to 8 calls are read ahead), the environment says what goes
# wrong. `IN_EVALUATION` is a signal that process 1 gets in its first evaluation. With `JUDGE`, an evaluation begins
# with a judge, trained for as many steps where the cache lacks it; `IN_JUDGE` is a signal that process 1 gets then.
CONFIG = f"""
import os, signal, sys, threading, time
sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
from tiny import config
import numpy as np
from mmgen_jax.data import scenes
from mmgen_jax.evaluators import reconstruction
from mmgen_jax.evaluators.judges import retriever

ARGUMENTS = ("",)
read, train = scenes.Source.read, retriever.train

def failing(self, indices, epochs):
    if epochs.max() >= int(os.environ.get("EPOCH", "6")) and os.environ.get("JAX_PROCESS_ID") == "1":
        match os.environ.pop("FAULT", ""):
            case "raise":
                raise OSError(5, "Input/output error", "share/7.png")
            case "hang":
                time.sleep(3600)
            case "":
                pass
            case number:
                os.kill(os.getpid(), getattr(signal, number))
        time.sleep(float(os.environ.get("SLOW", "0")))
    return read(self, indices, epochs)

def trained(*arguments):
    print("a judge is trained", flush=True)
    return train(*arguments)

def judged(self, sampler, batches, call=reconstruction.Evaluator.__call__):
    batches = list(batches)
    if os.environ.get("JUDGE"):
        data = {{"name": "scenes", "num_train": 64, "num_test": 16, "image_size": 16}}
        number = os.environ.pop("IN_JUDGE", "")
        if number and os.environ.get("JAX_PROCESS_ID") == "1":
            threading.Timer(5, os.kill, (os.getpid(), getattr(signal, number))).start()
        training = retriever.Training(steps=int(os.environ["JUDGE"]), batch_size=8)
        judge = retriever.load(data, "image", "text", training)
        zeros = [np.zeros((4, *judge.system.modalities[n].shape), t) for n, t in (("image", "f4"), ("text", "i4"))]
        print("embeddings", judge.embed(*zeros)[0].shape)
    number = os.environ.pop("IN_EVALUATION", "")
    if number and os.environ.get("JAX_PROCESS_ID") == "1":
        os.kill(os.getpid(), getattr(signal, number))
    for _ in range(100 if number else 1):  # the processes agree within a few batches
        entries = call(self, sampler.rewind(), batches)
        time.sleep(0.1 if number else 0)
    return entries

def get_config(arg=""):
    if os.environ.get("SEVERAL"):  # not in the process of the tests
        scenes.Source.read, reconstruction.Evaluator.__call__ = failing, judged
        retriever.train = trained
    made = config("autoencoder", steps=60, steps_per_call=5, log_steps=5, checkpoint_steps=5)
    with made.unlocked():
        made.parallel.fsdp = made.parallel.num_devices = 4
        made.parallel.wait_seconds = 15.0
        made.evaluators = {{"pixels": {{"name": "reconstruction", "from_target": True}}}}
    return made
"""


def start(workdir: pathlib.Path, processes: int = 2, *changes: str, **environment: str) -> list[subprocess.Popen]:
    """`mmgen train` in `processes` processes with four devices together.

    Args:
      environment: further variables. With `SLURM_JOB_ID`, the processes find each other as tasks of SLURM.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    (file := workdir.with_suffix(".py")).write_text(CONFIG)
    flags = os.environ["XLA_FLAGS"].split()
    flags = [flag for flag in flags if "device_count" not in flag]
    running = []
    for number in range(processes):
        several = {"JAX_COORDINATOR_ADDRESS": f"localhost:{port}", "JAX_NUM_PROCESSES": str(processes)}
        several |= {"JAX_PROCESS_ID": str(number)}
        if "SLURM_JOB_ID" in environment:
            several = {"SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": str(processes), "SLURM_LOCALID": str(number)}
            several |= {"SLURM_PROCID": str(number)}
        own = {
            "SEVERAL": "1",
            "XLA_FLAGS": " ".join([*flags, f"--xla_force_host_platform_device_count={4 // processes}"]),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, "-m", "mmgen_jax", "train", f"--config={file}", f"--workdir={workdir}", *changes]
        command += ["--coordinator=auto"] if "SLURM_JOB_ID" in environment else []
        running.append(
            subprocess.Popen(
                command,
                env=os.environ | own | (several if processes > 1 else {}) | environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    return running


def harm_what_one_process_reads(workdir: pathlib.Path) -> int:
    """Cuts the newest checkpoint's file of process 1 in half; the step."""
    step = max(int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdigit())
    (file,) = (workdir / f"checkpoints/{step}/state/ocdbt.process_1/d").iterdir()
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return step


def ended(running: list[subprocess.Popen], timeout: float = 600) -> list[tuple[int, str]]:
    """`[(exit code, what it printed)]`; -9 where a process had to be killed after `timeout` seconds."""
    try:
        printed = [process.communicate(timeout=timeout)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    return list(zip((process.returncode for process in running), printed))
