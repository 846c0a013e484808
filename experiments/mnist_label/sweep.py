"""Image and label of MNIST: two multimodal VAEs in their published setting."""


def cells():
    for label, method in (("JMVAE", "jmvae"), ("MVAE", "mvae")):
        config = f"configs/multimodal_vae.py:mnist_label,method={method}"
        yield {"label": label, "config": config, "seeds": (0, 1, 2)}
        overrides = {"train.steps": 25 * 550, "objective.warmup_steps": 10 * 550}
        yield {"label": f"{label}, 25 epochs", "config": config, "overrides": overrides, "seeds": (0,)}
