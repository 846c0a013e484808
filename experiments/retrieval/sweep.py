"""Pictures and their texts retrieved from each other, by two losses."""

SEEDS = (0, 1, 2)
LOSSES = {"InfoNCE": {}, "sigmoid": {"objective.loss_type": "sigmoid", "objective.temperature": 0.1}}


def cells():
    for dataset in ("emoji", "scenes"):
        for loss, overrides in LOSSES.items():
            yield {
                "label": f"{dataset}, {loss}",
                "config": f"configs/image_text_retrieval.py:{dataset}",
                "overrides": overrides,
                "seeds": SEEDS,
            }
