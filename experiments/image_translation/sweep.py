"""Grey to colour and edges to photo: the U-Net by the absolute error alone, and against a discriminator (pix2pix)."""

SEEDS = (0, 1, 2)


def cells():
    for task in ("colour", "edges"):
        config = f"configs/image_translation.py:{task}"
        for baseline in ("mean_example", "nearest_condition"):
            yield {
                "label": f"{task}: {baseline.replace('_', ' ')}",
                "config": config,
                "baseline": baseline,
                "seeds": (0,),
            }
        yield {"label": f"{task}: absolute error", "config": f"{config},l1", "seeds": SEEDS}
        yield {"label": f"{task}: pix2pix", "config": config, "seeds": SEEDS}
