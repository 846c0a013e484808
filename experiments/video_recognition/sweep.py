"""The label of a clip by three networks: frame CNN and LSTM, 3-D convolution, factorised attention."""

SEEDS = (0, 1, 2)
DATA = {"scenes, motion": "scenes", "digits, digit": "digits", "face and voice, command": "grid_s1"}
NETWORKS = {"frame CNN + LSTM": "frame_lstm", "3-D convolution": "conv3d", "factorised attention": "factorised"}


def cells():
    for data, dataset in DATA.items():
        for network, name in NETWORKS.items():
            config = f"configs/video_recognition.py:{dataset},{name}"
            yield {"label": f"{data}: {network}", "config": config, "seeds": SEEDS}
