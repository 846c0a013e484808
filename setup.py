"""Metadata, dependencies and the `mmgen` command."""

import pathlib

from setuptools import find_packages, setup

TFDS = ["tensorflow-cpu", "pydub", "importlib_resources"]  # tensorflow-datasets uses the last one without declaring it
REFERENCES = ["librosa", "scikit-image", "scikit-learn"]  # what tests compare with
NOTEBOOKS = ["ipykernel", "nbclient", "nbformat"]

setup(
    name="mmgen_jax",
    version="0.1.0",
    description="Multimodal generation in JAX: text, image, audio and video in any combination, in and out",
    long_description=(pathlib.Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["mmgen_jax", "mmgen_jax.*"]),
    entry_points={"console_scripts": ["mmgen = mmgen_jax.cli:run"]},
    install_requires=[
        "absl-py",
        "av",
        "dm-pix",
        "einops",
        "flax>=0.12",
        "grain>=0.2.18",
        "jax>=0.10",
        "jiwer",
        "matplotlib",
        "ml-collections>=1.0",
        "numpy",
        "scipy",
        "optax>=0.2.8",
        "orbax-checkpoint>=0.12",
        "pillow",
        "sacrebleu",
        "soundfile",
        "tensorboardX",
        "tensorflow-datasets>=4.9.10",
        "tqdm",
    ],
    extras_require={
        "tfds": TFDS,
        "notebooks": NOTEBOOKS,
        "test": ["pytest", "pytest-xdist", "hypothesis", "ruff", *REFERENCES, *TFDS, *NOTEBOOKS],
        "bench": ["torch", "multivae"],
    },
)
