"""The packages; all else is in pyproject.toml. A wheel holds the folder `configs/` as `mmgen_jax.configs`."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["mmgen_jax", "mmgen_jax.*"]), "mmgen_jax.configs"],
    package_dir={"mmgen_jax.configs": "configs"},
)
