"""Maps the conditioning modalities of a batch to one `Condition`."""
