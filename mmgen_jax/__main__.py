"""`python -m mmgen_jax` is `mmgen`."""

import sys

from mmgen_jax.commands.process import prepare


def main() -> None:
    """The entry point: prepares the process, then reads the command."""
    prepare(sys.argv)
    from mmgen_jax.cli import run  # after the variables that JAX reads, and not twice in a process that starts again

    run()


if __name__ == "__main__":
    main()
