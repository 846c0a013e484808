"""`python -m mmgen_jax` is `mmgen`."""

from mmgen_jax.cli import run

if __name__ == "__main__":
    run()
