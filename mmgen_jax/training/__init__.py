"""Parts of the train loop: state, optimizers, devices, checkpoints, metrics, progress, augmentation."""
