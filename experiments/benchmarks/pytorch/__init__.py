"""The PyTorch side of `peers.py`: for each kind of row a class with our network, losses and sampler."""
