"""Sound from a picture: a spoken digit from a handwritten one, the sound of a scene from its picture, by every family.

    mmgen train --config=configs/image_to_audio.py:digits --workdir=runs/spoken
    mmgen sample --workdir=runs/spoken --image=seven.png --out=out

Argument: the data, then, behind a comma, the family.

    digits, scenes                                             the default is digits
    adversarial, variational, autoregressive, diffusion        the default is diffusion
    large, <argument>_large                                    three times the widths, for one accelerator; not measured

This is `any_to_any.py:digits,target=audio,family=diffusion,conditions=image`, and so on: the model is described there.

Expected for digits, seed 0, one CPU core: the share of 1,000 samples in which the digit is recognised, and minutes
of processor time.
0.886, 14 (diffusion); 0.591, 12 (autoregressive); 0.544, 5 (adversarial); 0.182, 2 (variational); the last two by
another judge, so the pairs are not compared. Scenes: `experiments/any_to_any`.
"""

from mmgen_jax.config import loading, presets

FAMILIES = ("diffusion", "adversarial", "variational", "autoregressive")
DATA = ("digits", "scenes")
ARGUMENTS = ("digits", "scenes", "large")


def get_config(arg=DATA[0]):
    arg, large = presets.split_size(arg, DATA[0])
    data, _, family = arg.partition(",")
    presets.choose(data, dict.fromkeys(DATA), "image_to_audio")
    presets.choose(family or FAMILIES[0], dict.fromkeys(FAMILIES), "image_to_audio")
    size = "large" if large else "default"
    return loading.load(f"any_to_any:{data},target=audio,family={family or FAMILIES[0]},conditions=image,size={size}")
