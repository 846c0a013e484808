"""Decoding of connectionist temporal classification: the best alignment, and prefix beam search.

An alignment gives each frame one id, the blank or a label. Its labels are what remains when repeated ids are merged and
blanks are removed; the probability of the labels is the sum over all their alignments. Here the blank is PADDING (0).
All shapes are static, so that decoding compiles. A result has at most `length` labels, and PADDING after them.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mmgen_jax.modalities.tokenizer import PADDING
from mmgen_jax.objectives.parts.decoding import LOWEST


def best_alignment(log_p: jax.Array, mask: jax.Array, length: int) -> jax.Array:
    """The labels `[B, length] int32` of the most probable alignment (greedy decoding, Graves et al., 2006).

    Args:
      log_p: `[B, N, V]` log-probabilities, or logits.
      mask: `[B, N] bool`, False where a frame counts as a blank.
    """
    best = jnp.where(mask, jnp.argmax(log_p, axis=-1), PADDING).astype(jnp.int32)
    before = jnp.pad(best, ((0, 0), (1, 0)), constant_values=PADDING)[:, :-1]
    kept = (best != PADDING) & (best != before)
    place = jnp.where(kept, jnp.cumsum(kept, axis=1) - 1, length)  # `length` and more: dropped
    empty = jnp.full((len(best), length), PADDING, jnp.int32)
    return jax.vmap(lambda row, at, ids: row.at[at].set(ids, mode="drop"))(empty, place, best)


def prefix_beam_search(log_p: jax.Array, mask: jax.Array, length: int, beam_size: int) -> tuple[jax.Array, jax.Array]:
    """The most probable labels that prefix beam search finds, `[B, length] int32`, and their log-probability `[B]`.

    After each frame, the beam holds the `beam_size` most probable prefixes, each with the probability of its alignments
    that end in a blank and of those that end in its last label (Hannun et al., 2014, "First-pass large vocabulary
    continuous speech recognition using bi-directional recurrent DNNs", without a language model). With a beam that
    holds every prefix, the result is exact.

    Args:
      log_p: `[B, N, V]` log-probabilities; ids that may not occur have `LOWEST`.
      mask: `[B, N] bool`, False where a frame is left out.
    """
    return jax.vmap(lambda rows, present: _search(rows, present, length, beam_size))(log_p, mask)


def _search(log_p: jax.Array, mask: jax.Array, length: int, beam_size: int) -> tuple[jax.Array, jax.Array]:
    num_ids, beams = log_p.shape[-1], jnp.arange(beam_size)

    def body(beam, frame):
        row, present = frame
        ids, size, blank, label = beam  # [K, length], [K], [K], [K]; a beam that does not exist has LOWEST in both
        total = jnp.logaddexp(blank, label)
        exists = total > LOWEST / 2
        last = jnp.where(size > 0, ids[beams, size - 1], PADDING)
        # Extended by a label; by the last label again only behind a blank, because repeated ids are merged.
        longer = jnp.where(jnp.arange(num_ids) == last[:, None], blank[:, None], total[:, None]) + row
        longer = longer.at[:, PADDING].set(LOWEST)
        longer = jnp.where((exists & (size < length))[:, None], longer, LOWEST)
        same_blank, same_label = total + row[PADDING], jnp.where(size > 0, label + row[last], LOWEST)
        # Prefix i, extended by the last label of prefix j, may be prefix j: the probability then belongs to j.
        within = jnp.arange(length) < size[:, None, None]
        equal = jnp.all((ids[:, None] == ids[None]) | ~within, axis=-1)
        joins = equal & (size[None] == size[:, None] + 1) & exists[:, None] & exists[None]
        joined = jnp.where(joins, longer[beams[:, None], last[None]], LOWEST)  # [from i, to j]
        same_label = jnp.logaddexp(same_label, joined.max(axis=0))  # at most one i
        longer = longer.at[beams[:, None], last[None]].min(jnp.where(joins, LOWEST, jnp.inf))

        score, index = jax.lax.top_k(
            jnp.concatenate([jnp.logaddexp(same_blank, same_label), longer.reshape(-1)]), beam_size
        )
        extended = index >= beam_size
        parent, new = jnp.divmod(index - beam_size, num_ids)
        parent = jnp.where(extended, parent, index)
        written = jax.vmap(lambda row, at, value: row.at[at].set(value, mode="drop"))(
            ids[parent], jnp.where(extended, size[parent], length), new.astype(jnp.int32)
        )
        found = (
            written,
            size[parent] + extended,
            jnp.maximum(jnp.where(extended, LOWEST, same_blank[parent]), LOWEST),
            jnp.maximum(jnp.where(extended, score, same_label[parent]), LOWEST),
        )
        return jax.tree.map(lambda after, before: jnp.where(present, after, before), found, beam), None

    lowest = jnp.full(beam_size, LOWEST)
    ids = jnp.full((beam_size, length), PADDING, jnp.int32)
    start = ids, jnp.zeros(beam_size, jnp.int32), lowest.at[0].set(0.0), lowest
    (ids, _, blank, label), _ = jax.lax.scan(body, start, (log_p, mask))
    return ids[0], jnp.logaddexp(blank, label)[0]
