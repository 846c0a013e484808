"""A picture from a sound: the digit that is spoken, the scene that is heard, by every family.

    mmgen train --config=configs/audio_to_image.py:digits --workdir=runs/seen
    mmgen sample --workdir=runs/seen --audio=seven.wav --out=out

Argument: the data, then, behind a comma, the family.

    digits, scenes                                             the default is digits
    variational, adversarial, autoregressive, diffusion        the default is variational
    large, <argument>_large                                    three times the widths, for one accelerator; not measured

This is `any_to_any.py:digits,target=image,family=variational,conditions=audio`, and so on: see there.

Expected for digits, seed 0, one CPU core: the share of 1,000 samples in which the digit is recognised, and minutes.
0.909, 4 (variational); 0.902, 8 (adversarial); 0.867, 11 (autoregressive); 0.903, 10 (diffusion). Scenes:
`experiments/any_to_any`.
"""

from mmgen_jax.config import loading, presets

FAMILIES = ("variational", "adversarial", "autoregressive", "diffusion")
DATA = ("digits", "scenes")
ARGUMENTS = ("digits", "scenes", "large")


def get_config(arg=DATA[0]):
    arg, large = presets.split_size(arg, DATA[0])
    data, _, family = arg.partition(",")
    presets.choose(data, dict.fromkeys(DATA), "audio_to_image")
    presets.choose(family or FAMILIES[0], dict.fromkeys(FAMILIES), "audio_to_image")
    size = "large" if large else "default"
    return loading.load(f"any_to_any:{data},target=image,family={family or FAMILIES[0]},conditions=audio,size={size}")
