"""Warns once of each kind of collapse in a run, with the value of the metric."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

LINES = 3  # consecutive lines of metrics below the limit before the warning
# {last part of a metric's name: (the limit below which it warns, the meaning of such values)}
LOW = {
    "codebook_perplexity": (2.0, "nearly all vectors get one code; lower the learning rate or the commitment"),
    "kl": (1e-2, "in nats an example: the codes hold nothing of the target; lower the weight of the KL"),
    "kl_per_element": (1e-5, "in nats: the codes hold nothing of the target; lower the weight of the KL"),
    "active_dimensions": (0.1, "the share of the latent's dimensions in use; lower the weight of the KL"),
}
VARIETY = 0.05  # share of the held-out examples' variety below which samples have collapsed
SATURATED = (1e-4, "it tells real from fake without an error, and its gradient vanishes; weaken or regularise it")


class Watch:
    """Looks at every line of metrics, and at the samples."""

    def __init__(self):
        self._seen: dict[str, int] = {}  # consecutive lines below the limit, by the metric's name
        self._said: set[str] = set()

    def warnings(self, step: int, metrics: Mapping[str, float]) -> list[str]:
        """The warnings that `metrics`, `{"<player>/<name>": mean}`, give for the first time."""
        said = []
        for name, value in metrics.items():
            player, _, last = name.rpartition("/")
            judges = last == "loss" and any(key.startswith(f"{player}/logits_real") for key in metrics)
            low, meaning = SATURATED if judges else LOW.get(last, (None, ""))
            if low is None:
                continue
            self._seen[name] = self._seen.get(name, 0) + 1 if 0 <= value < low else 0
            if self._seen[name] == LINES and name not in self._said:
                self._said.add(name)
                said.append(f"WARNING step {step}: {name} is {value:.3g}, below {low:g}: {meaning}")
        return said

    def of_samples(self, step: int, drawn: Mapping[str, np.ndarray], held_out: Mapping[str, np.ndarray]) -> list[str]:
        """A warning for each target `[B, …]` whose samples hardly differ from each other, twice in a row.

        The variety of numbers is the standard deviation over the examples, averaged over the elements; of ids, such as
        texts, the number of different examples less one. Both are relative to those of the held-out examples.
        """
        said = []
        for name, samples in drawn.items():
            if name not in held_out or len(samples) < 2:
                continue
            expected = variety(held_out[name])
            ratio = variety(samples) / expected if expected else 1.0
            key = f"samples of {name}"
            self._seen[key] = self._seen.get(key, 0) + 1 if ratio < VARIETY else 0
            if self._seen[key] == 2 and key not in self._said:
                self._said.add(key)
                said.append(
                    f"WARNING step {step}: {key} differ by {ratio:.3g} of what held-out examples differ by, below "
                    f"{VARIETY:g}: the model draws one kind of {name}; wait if the training has just begun, else lower "
                    "the learning rate (of a GAN, the discriminator's)"
                )
        return said


def variety(examples: np.ndarray) -> float:
    if np.issubdtype(examples.dtype, np.floating):
        return float(np.std(examples, axis=0).mean())
    return float(len(np.unique(examples, axis=0)) - 1)
