"""Super-resolution of clips from five frames, and by the same network from one frame five times."""

SEEDS = (0, 1, 2)


def cells():
    for data, dataset in {"face": "grid_s1", "scenes": "scenes"}.items():
        for factor in (4, 2):
            for frames, suffix in {"five frames": "", "one frame": ",frame"}.items():
                config = f"configs/video_super_resolution.py:{dataset},x{factor}{suffix}"
                yield {"label": f"{data} ×{factor}: {frames}", "config": config, "seeds": SEEDS}
