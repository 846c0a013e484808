"""Next frames of moving digits and of a face, by three networks and without a model; two effects of clips."""

SEEDS = (0, 1, 2)
NETWORKS = {"ConvLSTM": "conv_lstm", "3-D U-Net": "unet", "diffusion": "diffusion"}
DATA = {"moving digits": "moving_mnist", "face": "grid_s1"}
BASELINES = ("copy_last", "black", "mean_example")


def cells():
    for data, argument in DATA.items():
        for baseline in BASELINES:
            yield {
                "label": f"{data}: {baseline.replace('_', ' ')}",
                "config": f"configs/video_to_video.py:{argument}",
                "baseline": baseline,
                "seeds": (0,),
            }
        for network, name in NETWORKS.items():
            config = f"configs/video_to_video.py:{argument},{name}"
            yield {"label": f"{data}: {network}", "config": config, "seeds": SEEDS}
    for effect in ("colour", "sketch"):
        config = f"configs/video_to_video.py:grid_s1,effect={effect}"
        yield {"label": f"{effect}: mean example", "config": config, "baseline": "mean_example", "seeds": (0,)}
        yield {"label": f"{effect}: 3-D U-Net", "config": config, "seeds": (0,)}
