"""Errors that a user can mend, each with a message of one line; all are `MmgenError`s. Any other exception is a bug."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with control characters escaped: the name of a file may hold any, and a terminal obeys some."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode() for char in text
    )


class MmgenError(Exception):
    """Base class of every error that a user's files, configs or commands can cause."""


class ConfigError(MmgenError, ValueError):
    """A config, or a field of a component, that cannot be used, or cannot be changed."""


class InputError(MmgenError, ValueError):
    """An argument of a function with a wrong shape, range or number of examples."""


class LookupFailed(ConfigError):
    """A name or field that does not exist; the message lists the existing ones."""


class BatchError(MmgenError, ValueError):
    """A batch that does not match its modalities; the message names modality, field, expected and got."""


class TextError(MmgenError, ValueError):
    """A text that a tokenizer cannot encode."""


class DataError(MmgenError, ValueError):
    """A file that cannot be used; the message, one line, names file, modality, field, expected, got, and what to do."""

    def __init__(self, file, modality: str, field: str, expected, got, advice: str):
        super().__init__(str(file), modality, field, str(expected), str(got), advice)  # the arguments make it picklable

    def __str__(self) -> str:
        file, modality, field, expected, got, advice = self.args
        return printable(" ".join(f"{file}: {modality}.{field}: expected {expected}, got {got}; {advice}".split()))


class AbcError(MmgenError, ValueError):
    """Music in ABC notation that does not parse; the message has the tune, the voice, the position and its text."""


class Unusable(MmgenError, ValueError):
    """Prepared data that is absent, damaged, or was made from other sources; the message says which of these."""


class CheckpointError(MmgenError, ValueError):
    """A checkpoint that is missing or does not match; the message names the step or the leaf, expected and got."""


class DamagedCheckpoint(CheckpointError):
    """A checkpoint whose files are incomplete, or hold other bits than were saved."""


class SweepError(MmgenError, ValueError):
    """A sweep that cannot start, or in which the run of a cell failed."""


class ResultsError(MmgenError, ValueError):
    """A results file that cannot be read or added to."""


class ReportError(MmgenError, ValueError):
    """A page of results that cannot be written, or that differs from the results files."""


class PrepareError(MmgenError, RuntimeError):
    """A data set that cannot be prepared."""


class NotConverged(MmgenError, ArithmeticError):
    """A numerical fit that did not converge to a minimum."""


class NotFinite(MmgenError, FloatingPointError):
    """A loss, gradient or parameter that is NaN or infinite; the message names step, metric and tensors.

    Args:
      step: the first such step, from 1.
    """

    def __init__(self, message: str, step: int = 0):
        super().__init__(message)
        self.step = step
