"""Four families of text to image on equal terms, and each with a sound beside the text under a fusion.

    mmgen train --config=configs/text_to_image_families.py:diffusion --workdir=runs/families_diffusion
    mmgen train --config=configs/text_to_image_families.py:gan,gated --workdir=runs/families_gan_gated

Argument: `gan`, `vae`, `autoregressive` or `diffusion`, from text alone; behind a comma a fusion of text and sound,
`concat`, `gated` or `cross_attention`. Scenes of 16 px. The systems are those of `text_to_image_FAMILY.py:scenes` with
one text encoder, fusions of one width, batches of 32, 0.38 to 0.40 M parameters in all that the run trains (from text;
with a sound more), and as many steps as a minute and a half on a CPU core allows (from text). Diffusion predicts
data and sees more noise than by default; the tokenizer has no normalisation. Table, without `gated`:
`experiments/text_to_image_families`.

Expected from text, shape, colour and size all right in so many of 1,000 samples (means over three seeds): `vae` 0.56,
`gan` 0.52, `autoregressive` 0.44, `diffusion` 0.43.
"""

import pathlib

from mmgen_jax.config import loading, override, presets

# What each has other than `text_to_image_FAMILY.py:scenes`, and its steps.
FAMILIES = {
    "gan": ({"generator.width": 46, "discriminator.width": 46}, 3750),
    "vae": ({"generator.width": 46, "objective.beta": 1.0}, 5250),  # a quarter of the pixels, a quarter of the beta
    "autoregressive": (
        {
            "representation.encoder.channels": (24, 48),
            "representation.encoder.norm": "none",
            "representation.decoder.width": 24,
            "representation.decoder.max_width": 48,
            "representation.decoder.norm": "none",
            "representation.codebook_size": 512,
            "representation.code_dim": 16,
            "objective.top_p": 0.9,
            "generator.features": 64,
            "optimizers.tokenizer.lr": 5e-3,
            "optimizers.tokenizer.stop_step": 1500,
            "optimizers.generator.start_step": 1500,
        },
        3300,
    ),
    "diffusion": (
        {"generator.channels": (32, 64), "objective.prediction": "data", "objective.logit_mean": -1.0},
        3600,
    ),
}
FUSIONS = ("concat", "gated", "cross_attention")
ARGUMENTS = ("gan", "vae,concat", "autoregressive,gated", "diffusion,cross_attention")


def get_config(arg="diffusion"):
    family, _, fusion = arg.partition(",")
    every = [f"{name}{behind}" for name in FAMILIES for behind in ("", *(f",{known}" for known in FUSIONS))]
    presets.choose(arg, dict.fromkeys(every), "text_to_image_families")
    changes, steps = FAMILIES[family]
    file = pathlib.Path(__file__).with_name(f"text_to_image_{family}.py")
    config = override.override(loading.load(f"{file}:scenes"), {**changes, "train.steps": steps})
    config = config.copy_and_resolve_references()
    config.unlock()
    config.data.image_size = 16
    config.train.batch_size = 32
    config.train.sample_steps = 0
    config.encoders = {"text": {"name": "text.embedding", "features": 64}}
    config.fusion = {"name": fusion or "concat", "features": 64}
    if fusion:
        config.data.names = ("text", "audio", "image")
        config.encoders.audio = {"name": "audio.log_mel_cnn", "features": 64, "channels": (16, 32)}
        config.fusion.modality_dropout = 0.3  # either may be missing
    config.evaluators = {name: it for name, it in config.evaluators.items() if it.name == "scenes_coherence"}
    return config
