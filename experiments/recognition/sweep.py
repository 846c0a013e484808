"""The class of a digit and of a garment from its picture: two networks, and a linear classifier of the pixels."""

SEEDS = (0, 1, 2)
NETWORKS = {
    ("digits", "CNN"): {},
    ("digits", "ViT"): {"encoders.image.name": "image.vit", "encoders.image.patch_size": 7},
    ("clothing", "CNN"): {},
    ("clothing", "ViT"): {"encoders.image.name": "image.vit", "optimizers.classifier.lr": 1e-3},
}


def cells():
    for (dataset, network), overrides in NETWORKS.items():
        yield {
            "label": f"{dataset}, {network}",
            "config": f"configs/image_recognition.py:{dataset}",
            "overrides": overrides,
            "seeds": SEEDS,
        }
    for dataset in ("digits", "clothing"):
        yield {
            "label": f"{dataset}, linear probe",
            "config": f"configs/image_recognition.py:{dataset}",
            "baseline": "linear_probe",
            "seeds": (0,),
        }
