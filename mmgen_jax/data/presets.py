"""What configs say about a data set, once: its source, and the evaluators that can judge a picture made from it."""

from __future__ import annotations

from typing import Any

LABELS = {"digits": "digit", "clothing": "clothing"}  # the label that a judge is trained on


def source(dataset: str, *names: str, **fields) -> dict[str, Any]:
    """`config.data` of a set for the modalities `names`."""
    return {"name": dataset, "names": names, **fields}


def judges(dataset: str, conditional: bool) -> dict[str, Any]:
    """`config.evaluators` for a model that draws the set's `image`, from a text or from nothing."""
    evaluators = {}
    if dataset == "scenes" and conditional:
        evaluators["coherence"] = {"name": "scenes_coherence"}
        evaluators["variety"] = {"name": "variety"}
    if dataset == "emoji" and conditional:
        evaluators["retrieval"] = {"name": "retrieval_judge"}
    if dataset in LABELS:
        evaluators["frechet"] = {"name": "classifier_frechet", "label": LABELS[dataset]}
        if conditional:
            evaluators["accuracy"] = {"name": "classifier_accuracy", "label": LABELS[dataset]}
    return evaluators
