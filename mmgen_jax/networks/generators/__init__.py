"""Generators and decoders: `(latent [B, Z], condition: Condition | None, train) -> [B, *shape]`, unbounded.

The objective brings the output to the target's range, and `config/system.py` sets the fields `shape` and `dtype`.
`shape` is that of a vector, or of a grid: a sequence `(T, C)`, an image `(H, W, C)` or a clip `(T, H, W, C)`. The class
attribute `form` says what a generator starts from (`FORMS` of `config/fitting.py`): `latent`, or another form as below.
The latent of `grid` is tokens `[B, N, D]`. `clip_subpixel` and `conv_lstm` read one aligned source and `mlp` none; all
others read all of them as channels. `translation`, `unet_translation`, `resnet_translation`, `gated`, `subpixel`,
`clip_subpixel`, `conv_lstm` and `vocos` start from the sources, and their latent may be None.

The denoisers `unet` and `dit` map a noisy grid, its time and the condition to a grid of the same shape:

    (z [B, *grid, C], time [B] in [0, 1], condition, train) -> [B, *grid, C]

A generator of sequences (`transformer`, `recurrent`, `wavenet`) gives logits of the next id, at all positions at once
or one position after another. `V` is the number of ids; every array of the cache is `[B, …]`.

    (tokens [B, T] int32, condition, train) -> logits [B, T, V]      `tokens`: the sequence, shifted by one PADDING
    init_cache(condition, batch_size) -> cache
    step(cache, token, position []) -> (logits [B, V], cache)        `token`: ids [B], or rows [B, V] (`blocks.embed`)

A generator of frames (`tacotron`) gives the next frames of a sequence `[T, M]`, from the frame before; see its file.

An invertible generator (`waveglow`) maps a target to noise of its shape and back:

    (x [B, *shape], condition, train) -> (z [B, *shape], log |det dz/dx| [B])
    inverse(z, condition) -> x
"""
