"""The likelihood of MNIST under a VAE and an IWAE with one layer of 50 latents (Burda et al., 2016).

    mmgen train --config=configs/mnist_likelihood.py:vae --workdir=runs/mnist_vae

Argument: `vae` (k = 1; the default) or `iwae` (k = 5). As in the paper: layers 784-200-200 with tanh, z of 50, pixels
that are drawn as 0 or 1 anew in each step, batches of 20, Adam with epsilon 1e-4, 3,280 epochs in eight stages of 3^i
epochs with the learning rate 1e-3 · 10^(-i/7), and 5,000 importance samples for each test image.
`--config.train.steps=N` shortens all stages alike.

Departs from the paper: 55,000 of the 60,000 training images are trained on (5,000 are the validation split); the
weights are initialised by LeCun's rule, the biases of the pixels by 0.

Published log-likelihoods: -86.76 for k = 1, -85.54 for k = 5; -87.01 and -85.18 in reproductions elsewhere. Not run
here in full: 9.02 million steps. Hardware: one CPU core or accelerator. Numbers of shortened runs, where there are any:
`experiments/mnist_likelihood`.
"""

from mmgen_jax.config import presets, schema

ARGUMENTS = ("vae", "iwae")
SAMPLES = {"vae": 1, "iwae": 5}


def get_config(arg="vae"):
    config = schema.base()
    config.data = presets.source("digits", "image")
    dense = {"norm": "none", "activation": "tanh", "num_layers": 2}
    config.target_encoder = {"name": "image.mlp", "features": 200, "hidden": 200, "activate_output": True, **dense}
    config.generator = {"name": "mlp", "width": 200, **dense}
    config.objective = {"name": "variational", "target": "image", "latent_dim": 50, "likelihood": "bernoulli"}
    config.objective.importance_samples = presets.choose(arg, SAMPLES, "mnist_likelihood")
    config.optimizers = {"generator": {"lr": 1e-3, "epsilon": 1e-4, "schedule": "tripling"}}
    config.evaluators = {
        "log_likelihood": {
            "name": "importance_likelihood",
            "num_samples": 5000,
            "chunk": 50,
            "num_examples": 10_000,
        }
    }
    epoch = 2750  # steps
    config.train.update(steps=3280 * epoch, batch_size=20, steps_per_call=50, log_steps=epoch, sample_steps=100 * epoch)
    config.train.checkpoint_steps = 10 * epoch
    return config
