"""V-GAN: the inputs, the encoder of the clip, and every fusion of the two inputs; and the baselines without a model."""

from mmgen_jax import lookup

SEEDS = (0, 1, 2)
INPUTS = {"both": "clip and reference", "video": "clip alone", "image": "reference alone"}
ENCODERS = {"frame_lstm": "CNN and LSTM", "conv3d": "3-D convolution"}


def cells():
    for inputs, name in INPUTS.items():
        config = f"configs/vgan.py:digits,{inputs}"
        yield {"label": f"digits: {name}", "config": config, "seeds": SEEDS}
    for baseline in ("mean_example", "last_frame"):
        label = f"digits: {baseline.replace('_', ' ')}"
        yield {"label": label, "config": "configs/vgan.py:digits", "baseline": baseline, "seeds": (0,)}
    for inputs in ("both", "video"):
        label = f"digits: {INPUTS[inputs]}, {ENCODERS['conv3d']}"
        yield {"label": label, "config": f"configs/vgan.py:digits,{inputs},conv3d", "seeds": SEEDS}
    for encoder, of in ENCODERS.items():
        for fusion in lookup.available("fusion"):
            if fusion != "concat":
                yield {
                    "label": f"digits: both, {of}, fusion {fusion}",
                    "config": f"configs/vgan.py:digits,both,{encoder}",
                    "overrides": {"fusion.name": fusion},
                    "seeds": SEEDS,
                }
    label, config = "grid_s1: last frame", "configs/vgan.py:grid_s1"
    yield {"label": label, "config": config, "baseline": "last_frame", "seeds": (0,)}
    for inputs, name in INPUTS.items():
        yield {"label": f"grid_s1: {name}", "config": f"{config},{inputs}", "seeds": SEEDS}
