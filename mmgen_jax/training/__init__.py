"""What the loop needs: state, optimizers, devices, checkpoints, metrics, augmentation."""
