"""Does a picture have the style of one picture and the content of another, in the features of a third network?

The features are those of a classifier of real photos (`judges/image.py`). No model is trained with this classifier. The
style is compared at every grid of the classifier, the content at the coarsest grid.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.config.ranges import Amount
from mmgen_jax.contracts import Draw
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.judges import classifier
from mmgen_jax.evaluators.measures import paired
from mmgen_jax.evaluators.measures.examples import collect
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.objectives.parts.style import gram_distance, recoloured

BATCH = 50


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """How far the Gram distance to the style falls, and how near the content's features stay.

    Args:
      data: the source that the judge is trained on, as in `config.data`; photos of the target's size.
      target: the modality that the model draws, and the photos of `data`.
      photo, style: the modalities of content and style.
      label: the modality of `data` whose classes the judge learns.
      num_examples: at most this many pairs of each split.
      splits: splits to evaluate.
      training: how the judge is trained, the `Training` of the target's kind; None: its default.
    """

    data: Mapping[str, Any]
    target: str
    photo: str = "photo"
    style: str = "style"
    label: str = "clothing"
    num_examples: Amount = 200
    splits: tuple[str, ...] = ("test",)
    training: Any = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.photo, self.style)

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        for field in ("target", "photo", "style"):
            needs.modality(self, field, needs.PICTURE, modalities)
        classifier.check(self.data, self.target, self.label)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"gram_fall", "content_cosine": {"value", "n", "interval", "baselines", "judge…"}}`.

        gram_fall       mean over pairs of 1 - D(output, style) / D(photo, style), D being the mean over the grids of
                        |G - G_style|² / |G_style|², G a Gram matrix. 0 for the photo itself, 1 for the style itself;
                        `median` is the median over pairs, `share_80` the share of pairs with at least 0.8.
        content_cosine  mean over pairs of the cosine of output and photo, all places and channels; 1 for the photo
                        itself.

        Baselines: `recoloured`, the photo with its channels' means and standard deviations those of the style (a
        transfer of colours); for the cosine also `style_itself`, the style in place of the output.
        """
        judge = classifier.load(self.data, self.target, self.label, self.training)
        names = self.names
        samples, true = collect(sampler, batches, self.target, names, self.num_examples)
        photo, style = (true[name] for name in names)
        grids = functools.partial(features, judge)
        fall, cosine = compare(grids, samples, photo, style)
        colours = np.asarray(recoloured(jnp.asarray(photo), jnp.asarray(style)))
        colours_fall, colours_cosine = compare(grids, colours, photo, style)
        _, style_cosine = compare(grids, style, photo, style)
        about = {"features": "classifier, after relu", **judge.identity}
        return {
            "gram_fall": {
                **paired.entry(fall, {"recoloured": colours_fall}),
                "median": float(np.median(fall)),
                "share_80": float((fall >= 0.8).mean()),
                "better": "higher",
                **about,
            },
            "content_cosine": {
                **paired.entry(cosine, {"recoloured": colours_cosine, "style_itself": style_cosine}),
                "better": "higher",
                **about,
            },
        }


def features(judge: classifier.Classifier, pictures: jax.Array) -> list[jax.Array]:
    """The judge's features of pictures `[B, H, W, C]` at every grid, the finest first."""
    _, sown = judge.network.apply(judge.variables, pictures, mutable=["intermediates"])
    return list(sown["intermediates"]["grids"])


def compare(
    grids: Callable[[jax.Array], list[jax.Array]], samples: np.ndarray, photo: np.ndarray, style: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`(fall of the Gram distance, cosine of the content)`, each `[N]`, of pictures `[N, H, W, C]` in [-1, 1].

    A pair whose photo already has the style (distance 0) has a fall of 0.
    """

    @jax.jit
    def measure(samples, photo, style):
        drawn, content, wanted = grids(samples), grids(photo), grids(style)
        after, before = (
            jnp.mean(jnp.stack([gram_distance(a, b) for a, b in zip(one, wanted)]), 0) for one in (drawn, content)
        )
        fall = jnp.where(before > 0, 1 - after / jnp.where(before > 0, before, 1), 0)
        product, one, other = (
            jnp.sum(a * b, axis=(1, 2, 3))
            for a, b in ((drawn[-1], content[-1]), (drawn[-1], drawn[-1]), (content[-1], content[-1]))
        )
        return fall, product / jnp.sqrt(jnp.maximum(one * other, 1e-12))

    parts = []
    for start in range(0, len(samples), BATCH):
        rows = [x[start : start + BATCH] for x in (samples, photo, style)]
        padded = [np.pad(x, ((0, BATCH - len(x)), (0, 0), (0, 0), (0, 0))) for x in rows]  # compiled once
        parts.append([np.asarray(values, np.float64)[: len(rows[0])] for values in measure(*padded)])
    fall, cosine = (np.concatenate(values) for values in zip(*parts))
    return fall, cosine
