"""Networks trained on real data that judge samples."""
