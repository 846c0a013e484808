"""Picture and caption at five levels of difficulty: multimodal VAEs."""

METHODS = {"JMVAE": "jmvae", "MVAE": "mvae", "MMVAE": "mmvae", "MoPoE": "mopoe", "MVTCAE": "mvtcae"}


def cells():
    for level in range(1, 6):
        for label, method in METHODS.items():
            config = f"configs/multimodal_vae.py:captioned_shapes,method={method},level={level}"
            yield {"label": f"level {level}, {label}", "config": config, "seeds": (0,)}
