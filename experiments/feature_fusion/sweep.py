"""Five features of a photo, each alone, then all five fused in eleven ways."""

SEEDS = (0, 1, 2)
FEATURES = ("colour", "edge", "texture", "cnn", "autoencoder")
FUSIONS = (
    "early",
    "concat",
    "gated",
    "bilinear",
    "film",
    "cross_attention",
    "bottleneck",
    "late",
    "hybrid",
    "product_of_experts",
    "mixture_of_experts",
)
PRETRAINING = "autoencoder, trained to reconstruct"


def cells():
    yield {
        "label": PRETRAINING,
        "config": "configs/cae.py:clothing",
        "overrides": {"train.steps": 1000, "train.sample_steps": 0},
        "seeds": SEEDS,
    }
    pretrained = {"encoders.autoencoder.init_from": f"cell:{PRETRAINING}"}
    for feature in FEATURES:
        yield {
            "label": feature,
            "config": f"configs/feature_fusion.py:{feature}",
            "overrides": pretrained if feature == "autoencoder" else {},
            "seeds": SEEDS,
        }
    for fusion in FUSIONS:
        yield {
            "label": f"all, {fusion}",
            "config": "configs/feature_fusion.py:all",
            "overrides": {"fusion.name": fusion, **pretrained},
            "seeds": SEEDS,
        }
