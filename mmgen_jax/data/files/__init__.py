"""Files of a folder or a notation, listed and read."""
