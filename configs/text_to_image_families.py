"""Four families of text to image on equal terms, from text, or from text and sound under a fusion.

    mmgen train --config=configs/text_to_image_families.py:diffusion --workdir=runs/families_diffusion
    mmgen train --config=configs/text_to_image_families.py:gan,gated --workdir=runs/families_gan_gated

Argument: `gan`, `vae`, `autoregressive` or `diffusion`, from text alone; add a fusion after a comma, `concat`, `gated`
or `cross_attention`, for text and sound. Scenes of 16 px. The systems are those of `text_to_image_FAMILY.py:scenes`,
with the same text encoder, fusions of the same width, batches of 32, 0.38 to 0.40 M trained parameters (from text; more
with a sound), and numbers of steps chosen for a minute and a half on an idle CPU core (from text; the autoregressive
runs took 143 to 264 s on busy cores). Diffusion has x-prediction and
more noise than by default; the tokenizer has no normalisation. Measured, except `gated`, in
`experiments/text_to_image_families`.

Expected from text, share of 1,000 samples with shape, colour and size all right (means over three seeds): `vae` 0.56,
`gan` 0.52, `autoregressive` 0.44, `diffusion` 0.43.
"""

from mmgen_jax.config import loading, override, presets

# For each family: the overrides of `text_to_image_FAMILY.py:scenes`, and the number of steps.
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
    config = override.override(loading.load(f"text_to_image_{family}:scenes"), {**changes, "train.steps": steps})
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
        config.fusion.modality_dropout = 0.3  # text or sound may be missing
    config.evaluators = {name: it for name, it in config.evaluators.items() if it.name == "scenes_coherence"}
    return config
