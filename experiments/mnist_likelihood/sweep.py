"""The likelihood of MNIST: a VAE and an IWAE by the published schedule, and by schedules that are shortened alike."""

EPOCH = 2750  # steps


def cells():
    for label, argument in (("VAE, k = 1", "vae"), ("IWAE, k = 5", "iwae")):
        config = f"configs/mnist_likelihood.py:{argument}"
        yield {"label": label, "config": config, "seeds": (0,)}
        for epochs, images in ((328, 10_000), (33, 1_000)):
            overrides = {"train.steps": epochs * EPOCH, "evaluators.log_likelihood.num_examples": images}
            yield {"label": f"{label}, {epochs} epochs", "config": config, "overrides": overrides, "seeds": (0,)}
