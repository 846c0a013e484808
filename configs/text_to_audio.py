"""Sound from a text: spoken digits, sounds of scenes, or short named sounds, by every family.

    mmgen train --config=configs/text_to_audio.py:digits --workdir=runs/speech
    mmgen sample --workdir=runs/speech --text="the number seven" --out=out

Argument: the data, then, behind a comma, the family.

    digits, scenes, sounds                                     the default is digits
    adversarial, variational, autoregressive, diffusion        the default is diffusion
    large, <argument>_large                                    three times the widths, for one accelerator; not measured

This is `any_to_any.py:digits,target=audio,family=diffusion,conditions=text`, and so on: the model is described there.
`sounds` are 346 files with names of a few words, at 8 kHz here; each name is the text.

Expected for digits, seed 0, one CPU core: the share of 1,000 samples in which the digit is recognised, and minutes.
0.987, 12 (diffusion); 0.926, 6 (autoregressive); 0.728, 1 (variational); 0.557, 2 (adversarial). Scenes:
`experiments/any_to_any`. `sounds` is not measured.
"""

from mmgen_jax.config import loading, presets

FAMILIES = ("diffusion", "adversarial", "variational", "autoregressive")
DATA = ("digits", "scenes", "sounds")
ARGUMENTS = ("digits", "sounds", "large")


def get_config(arg=DATA[0]):
    arg, large = presets.split_size(arg, DATA[0])
    data, _, family = arg.partition(",")
    presets.choose(data, dict.fromkeys(DATA), "text_to_audio")
    presets.choose(family or FAMILIES[0], dict.fromkeys(FAMILIES), "text_to_audio")
    size = "large" if large else "default"
    base = "digits" if data == "sounds" else data
    config = loading.load(
        f"any_to_any:{base},target=audio,family={family or FAMILIES[0]},conditions=text,size={size}"
    ).unlock()
    if data == "sounds":
        config.data = presets.source("sounds", "text", "audio", sample_rate=8000, seconds=0.768)
        config.evaluators = {"frechet": {"name": "frechet_audio"}}
    return config
