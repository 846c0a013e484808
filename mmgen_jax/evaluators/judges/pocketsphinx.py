"""An outside recogniser of English: CMU PocketSphinx with its own acoustic model, and a grammar of the data's texts.

The acoustic model comes with the package (`pip install pocketsphinx`, BSD; trained on other speech), so nothing here
was trained on the data. The grammar is a JSGF file with the alternatives at each place of a text. Where the grammar
accepts no words for a sound, the transcript is empty, and every word of the reference counts as a deletion.
"""

from __future__ import annotations

import functools
import pathlib
import tempfile
from collections.abc import Sequence

import numpy as np

from mmgen_jax.errors import ConfigError

SAMPLE_RATE = 16_000  # Hz, of its acoustic model


def jsgf(grammar: Sequence[Sequence[str]]) -> str:
    """The grammar as the text of a JSGF file: one of the words at each place."""
    places = " ".join(f"( {' | '.join(words)} )" for words in grammar)
    return f"#JSGF V1.0;\ngrammar texts;\npublic <text> = {places};\n"


class Judge:
    """Transcribes sounds into texts of a grammar.

    Args:
      grammar: the words at each place of a text.

    Raises:
      ConfigError: pocketsphinx is not installed.
    """

    def __init__(self, grammar: Sequence[Sequence[str]]):
        check()
        self._decoder = _decoder(tuple(map(tuple, grammar)))

    @property
    def identity(self) -> dict[str, str | None]:
        """The fields about the judge in an evaluation's entry; others trained its model, on other data."""
        import importlib.metadata

        judge = f"pocketsphinx {importlib.metadata.version('pocketsphinx')}, grammar of the data"
        return {"judge": judge, "judge_trained_on": None}

    def transcribe(self, waveforms: np.ndarray, sample_rate: int) -> list[str]:
        """The text of each waveform `[N, S]` in [-1, 1]; "" where the grammar accepts none."""
        from mmgen_jax.modalities.resample import resample

        texts = []
        for waveform in waveforms:
            if sample_rate != SAMPLE_RATE:
                waveform = resample(waveform, sample_rate, SAMPLE_RATE, len(waveform) * SAMPLE_RATE // sample_rate)
            samples = np.round(np.clip(waveform, -1, 1) * 32767).astype("<i2")
            self._decoder.start_utt()
            self._decoder.process_raw(samples.tobytes(), full_utt=True)
            self._decoder.end_utt()
            found = self._decoder.hyp()
            texts.append(found.hypstr if found else "")
        return texts


def check() -> None:
    """Raises ConfigError where pocketsphinx is not installed."""
    import importlib.util

    if importlib.util.find_spec("pocketsphinx") is None:
        raise ConfigError(
            "judge: 'pocketsphinx' is not installed; pip install pocketsphinx, or take the evaluator's judge out"
        )


@functools.lru_cache(maxsize=4)
def _decoder(grammar: tuple[tuple[str, ...], ...]):
    from pocketsphinx import Decoder

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "texts.jsgf"
        path.write_text(jsgf(grammar), encoding="ascii")
        return Decoder(lm=None, jsgf=str(path), loglevel="FATAL")
