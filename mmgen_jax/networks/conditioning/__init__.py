"""From a batch's conditioning modalities to one Condition."""
