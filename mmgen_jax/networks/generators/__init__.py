"""Generators and decoders: `(latent [B, Z], condition: Condition | None, train) -> [B, *shape]`, unbounded.

The objective brings the output to the target's range. `shape` and `dtype` are filled by the surroundings. A grid is
one of a sequence, an image or a clip. `condition.aligned` holds sources that `conv`, `grid`, `unet`, `translation` and
`unet_translation` read as channels; the last two start from them, and take None for their latent.

A generator of sequences (`transformer`, `recurrent`) gives the logits of the next id instead, of all places at once or
one by one; each array of its cache is `[B, …]`:

    (tokens [B, T] int32, condition, train) -> logits [B, T, V]      `tokens` are the sequence with PADDING before it
    init_cache(condition, batch_size) -> cache
    step(cache, token [B], position) -> (logits [B, V], cache)        `token` may be rows [B, V], see `layers.embed`

`grid` takes tokens `[B, N, D]` for its latent.
"""
