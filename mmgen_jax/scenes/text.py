"""Captions of the scenes world: a closed grammar, and its parser."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from mmgen_jax.modalities import tokenizer
from mmgen_jax.scenes.factors import choose

# For each factor, the words of each value; the first word is the value's name. A word belongs to one value only. No
# word begins with a vowel, so that the article is always "a".
WORDS = {
    "shape": (
        *(("circle", "disc"), ("square", "box"), ("triangle", "wedge")),
        *(("star", "starlet"), ("cross", "plus"), ("ring", "hoop")),
    ),
    "color": (
        *(("red", "scarlet"), ("yellow", "golden"), ("green", "jade")),
        *(("cyan", "turquoise"), ("blue", "cobalt"), ("magenta", "pink")),
    ),
    "size": (("small", "little", "tiny"), ("large", "big", "huge")),
    "motion": (
        ("still", "motionless"),
        ("left", "leftwards"),
        ("right", "rightwards"),
        ("up", "upwards"),
        ("down", "downwards"),
    ),
}
VERBS = (("standing", "staying", "resting"), ("moving", "going", "sliding"))  # for the motion `still`; for all others
PATTERNS = (
    "a SIZE COLOR SHAPE",
    "the SIZE COLOR SHAPE",
    "SIZE COLOR SHAPE",
    "a COLOR SHAPE , SIZE",
    "the SIZE SHAPE is COLOR",
    "the COLOR SHAPE is SIZE",
    "a SHAPE that is SIZE and COLOR",
    "there is a SIZE COLOR SHAPE",
    "a picture of a SIZE COLOR SHAPE",
    "a SIZE SHAPE in COLOR",
    "a SIZE COLOR SHAPE VERB MOTION",
    "the SIZE COLOR SHAPE is VERB MOTION",
    "a COLOR SHAPE , SIZE , VERB MOTION",
    "VERB MOTION , a SIZE COLOR SHAPE",
    "the SHAPE VERB MOTION is SIZE and COLOR",
    "there is a SIZE COLOR SHAPE VERB MOTION",
    "the SIZE SHAPE is COLOR and VERB MOTION",
    "a SHAPE VERB MOTION , SIZE and COLOR",
)
NUM_WITHOUT_MOTION = sum("MOTION" not in pattern for pattern in PATTERNS)  # these patterns come first

_SLOTS = ("SHAPE", "COLOR", "SIZE", "MOTION", "VERB")
_LITERALS = sorted({word for pattern in PATTERNS for word in pattern.split()} - set(_SLOTS))
_MEANING = {
    word: (factor, value) for factor, values in WORDS.items() for value, words in enumerate(values) for word in words
}
TOKENIZER = tokenizer.Tokenizer(
    "word", tuple(sorted({*_LITERALS, *_MEANING, *(verb for verbs in VERBS for verb in verbs)}))
)
MIN_LENGTH = max(len(pattern.split()) for pattern in PATTERNS) + 1  # with END


def render(
    factors: dict[str, np.ndarray], draw: dict[str, np.ndarray], length: int, tell_motion: bool = True
) -> np.ndarray:
    """Captions as ids `[B, length] int32`, one for each example; padding follows END.

    Args:
      factors: `{factor: [B] ids}`, of `factors.sample`.
      draw: `{name: [B]}` uniform numbers, of `factors.draws`; they choose the pattern and the synonyms.
      length: at least `MIN_LENGTH`.
      tell_motion: False uses only the patterns without the motion.
    """
    words = [
        _pick(_FACTOR_IDS[name][factors[name]], draw[f"{name}_word"]) for name in ("shape", "color", "size", "motion")
    ]
    words.append(_pick(_VERB_IDS[(factors["motion"] > 0).astype(np.int32)], draw["verb"]))
    fixed = np.broadcast_to(_LITERAL_IDS, (len(words[0]), len(_LITERAL_IDS)))
    columns = np.concatenate([fixed, np.stack(words, axis=1)], axis=1)
    pattern = _PATTERN_COLUMNS[choose(draw["pattern"], len(PATTERNS) if tell_motion else NUM_WITHOUT_MOTION)]
    ids = np.zeros((len(pattern), length), np.int32)
    ids[:, :MIN_LENGTH] = np.take_along_axis(columns, pattern, axis=1)
    return ids


def parse(caption: str) -> dict[str, int]:
    """The factors that a caption states, `{"shape": id, "color": id, "size": id, "motion": id}`.

    A factor is absent where the caption does not state it, or states two different values of it.
    """
    stated: dict[str, set[int]] = {}
    for word in tokenizer.split(caption, "word"):
        if word in _MEANING:
            factor, value = _MEANING[word]
            stated.setdefault(factor, set()).add(value)
    return {factor: min(values) for factor, values in stated.items() if len(values) == 1}


def paraphrases(factors: Mapping[str, int], tell_motion: bool = True) -> list[str]:
    """All 696 captions of the grammar that are true of `{"shape": id, "color": id, "size": id, "motion": id}`.

    Args:
      tell_motion: False leaves out the patterns with the motion; 120 captions remain.
    """
    options = {name.upper(): WORDS[name][value] for name, value in factors.items()}
    options["VERB"] = VERBS[int(factors["motion"] > 0)]
    captions = []
    for pattern in PATTERNS if tell_motion else PATTERNS[:NUM_WITHOUT_MOTION]:
        choices = [options.get(word, (word,)) for word in pattern.split()]
        captions += [" ".join(words) for words in itertools.product(*choices)]
    return captions


def is_grammatical(caption: str) -> bool:
    """Whether the caption is a sentence of the grammar, for any scene."""
    words = tokenizer.split(caption, "word")
    verbs = {verb: moves for moves, group in enumerate(VERBS) for verb in group}
    slots = ["VERB" if word in verbs else _MEANING[word][0].upper() if word in _MEANING else word for word in words]
    motion = [_MEANING[word][1] > 0 for word, slot in zip(words, slots) if slot == "MOTION"]
    moves = [verbs[word] for word in words if word in verbs]
    return " ".join(slots) in PATTERNS and motion == moves  # "standing" only with "still"


def _pick(options: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    return np.take_along_axis(options, choose(uniform, options.shape[1])[:, None], axis=1)[:, 0]


def _ids(words) -> np.ndarray:
    return np.array([[tokenizer.NUM_SPECIAL + TOKENIZER.vocabulary.index(w) for w in row] for row in words], np.int32)


_FACTOR_IDS = {factor: _ids(values) for factor, values in WORDS.items()}  # [values, synonyms]
_VERB_IDS = _ids(VERBS)
# `render` gathers a caption from a row of ids: padding, END, the literals, then the example's own word for each slot.
_LITERAL_IDS = np.concatenate([[tokenizer.PADDING, tokenizer.END], _ids([_LITERALS])[0]]).astype(np.int32)
_COLUMN = {word: column for column, word in enumerate(["", "END", *_LITERALS, *_SLOTS])}
_PATTERN_COLUMNS = np.zeros((len(PATTERNS), MIN_LENGTH), np.int32)
for _row, _pattern in zip(_PATTERN_COLUMNS, PATTERNS):
    _words = [*_pattern.split(), "END"]
    _row[: len(_words)] = [_COLUMN[word] for word in _words]
