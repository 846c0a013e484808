"""Five views of a digit: five multimodal VAEs with equal networks and steps, and their sizes for an accelerator."""

METHODS = {"MVAE": "mvae", "MMVAE": "mmvae", "MoPoE": "mopoe", "MVTCAE": "mvtcae", "MMVAE+": "mmvae_plus"}


def cells():
    for label, method in METHODS.items():
        config = f"configs/multimodal_vae.py:polymnist,method={method}"
        yield {"label": label, "config": config, "seeds": (0, 1, 2)}
    for label, method in METHODS.items():
        config = f"configs/multimodal_vae.py:polymnist,method={method},size=large"
        yield {"label": f"{label}, 300 epochs", "config": config, "seeds": (0,)}
