"""Errors that tell a person what to do: one line each, caught by `except MmgenError`; others are bugs."""

from __future__ import annotations


class MmgenError(Exception):
    """Base of every error that a user's files, configs or commands can cause."""


class ConfigError(MmgenError, ValueError):
    """A config, a component's field, or a change to one that cannot be used."""


class LookupFailed(ConfigError):
    """A name or field that does not exist; the message lists those that do."""


class BatchError(MmgenError, ValueError):
    """A batch that does not keep to its modalities; the message names modality, field, expected and got."""


class TextError(MmgenError, ValueError):
    """A text that a tokenizer cannot encode."""


class CheckpointError(MmgenError, ValueError):
    """A checkpoint that is not there or does not fit; the message names the step or the leaf, expected and got."""


class SweepError(MmgenError, ValueError):
    """A sweep that cannot start, or one of whose cells failed."""


class ResultsError(MmgenError, ValueError):
    """A results file that cannot be read or added to."""


class ReportError(MmgenError, ValueError):
    """A page of results that cannot be written, or is not current."""


class PrepareError(MmgenError, RuntimeError):
    """A data set that cannot be prepared."""


class NotFinite(MmgenError, FloatingPointError):
    """A loss, gradient or parameter that is NaN or infinite; the message names step, metric and tensors."""
