"""Clips from captions and from noise, by three families; beside them real training clips."""

SEEDS = (0, 1, 2)
MODELS = {
    "latents, flow matching": "text_to_video.py:{data},latents",
    "codes, transformer": "text_to_video.py:{data},codes",
    "MoCoGAN": "video_gan.py:{data},text",
    "MoCoGAN, from noise": "video_gan.py:{data}",
}


def cells():
    for data in ("digits", "scenes"):
        for label, config in MODELS.items():
            yield {"label": f"{data}: {label}", "config": f"configs/{config.format(data=data)}", "seeds": SEEDS}
        for baseline in ("class_matched", "training_examples"):
            if data == "digits" or baseline == "training_examples":
                config = f"configs/text_to_video.py:{data},latents"
                label = f"{data}: {baseline.replace('_', ' ')}"
                yield {"label": label, "config": config, "baseline": baseline, "seeds": (0,)}
