"""What a loss asks of a softmax over the vocabulary, with a gradient of its own; where [B, L, V] would be large, in blocks.

Two letters beside the package's: C blocks of the vocabulary, W ids in each. Block c holds the ids c, c + C, c + 2 C, ...: so
a device that holds a stretch of the table's rows holds a part of every block.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxlm.core.readout import Readout
from jaxlm.core.sharding import constrain
from jaxlm.kernels.project import project


class Scores(NamedTuple):
    """Of the logits of each place [B, L], in float32."""

    logsumexp: Float[Array, "B L"]
    target: Float[Array, "B L"]
    """The logit of the target."""
    mean: Float[Array, "B L"]
    """Over the vocabulary."""

    @property
    def nll(self) -> Float[Array, "B L"]:
        """-log P(target), in nats."""
        return self.logsumexp - self.target


def token_nll(readout: Readout, targets_BL: Int[Array, "B L"]) -> Float[Array, "B L"]:
    """-log P(target) in nats, float32: logsumexp(logits) - logits[target]; see `token_scores`."""
    return token_scores(readout, targets_BL).nll


def token_scores(readout: Readout, targets_BL: Int[Array, "B L"], num_blocks: int | None = None) -> Scores:
    """What losses need of the logits, which the backward pass keeps where they are small and computes again, block by
    block, where they are not. What is not used of it costs nothing under jit.

    Targets must be ids below `readout.vocab_size`; give places without a target any id and weight 0.

    Args:
      num_blocks: of the vocabulary; 1: logits are kept. None: by size.
    """
    V = readout.vocab_size
    C = num_blocks or blocks_for(targets_BL.size, V)
    return _scores(readout.hidden, *in_blocks(readout, C), targets_BL, V, readout.soft_cap)


def blocks_for(num_targets: int, vocab_size: int) -> int:
    """1 up to 256 MiB of logits, where keeping them is quicker; else a power of 2 that leaves blocks of at most 2048 ids."""
    if num_targets * vocab_size <= 2**26:
        return 1
    return fine_blocks(vocab_size)


def fine_blocks(vocab_size: int) -> int:
    """A power of 2 that leaves blocks of at most 2048 ids."""
    return 1 << (-(-vocab_size // 2048) - 1).bit_length()


def in_blocks(readout: Readout, C: int) -> tuple[Array, Array]:
    """(table_WCD, bias_WC): the table and the bias, zeros where there is none, in C blocks."""
    # whole tables are cut into blocks, for their padding is what lets a mesh axis divide them
    rows = readout.vocab_size if C == 1 else -(-readout.table_VD.shape[0] // C) * C
    bias_V = jnp.zeros(rows) if readout.bias_V is None else _with_rows(readout.bias_V, rows)
    return _with_rows(readout.table_VD, rows).reshape(rows // C, C, -1), bias_V.reshape(-1, C)


def _with_rows(x: Array, rows: int) -> Array:
    """Cut or padded with zeros."""
    return jnp.pad(x[:rows], [(0, max(0, rows - x.shape[0]))] + [(0, 0)] * (x.ndim - 1))


@partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def _scores(hidden: Array, table_WCD: Array, bias_WC: Array, targets_BL: Array, V: int, soft_cap: float | None) -> Scores:
    return _forward(hidden, table_WCD, bias_WC, targets_BL, V, soft_cap)[0]


def _forward(
    hidden: Array, table_WCD: Array, bias_WC: Array, targets_BL: Array, V: int, soft_cap: float | None
) -> tuple[Scores, Any]:
    W, C, _ = table_WCD.shape

    def logits_of(c: Any) -> Array:
        return block_logits(hidden, block_of(table_WCD, c, hidden.dtype), bias_WC, soft_cap, c)

    def add(before: Scores, c: Any, logits_BLW: Array) -> Scores:
        real_W, is_target_BLW = real_ids(W, C, c, V), _is_target(W, C, c, targets_BL)
        return Scores(
            jnp.logaddexp(before.logsumexp, jax.nn.logsumexp(logits_BLW, axis=-1, where=real_W)),
            before.target + jnp.where(is_target_BLW, logits_BLW, 0).sum(-1),
            before.mean + jnp.sum(logits_BLW, axis=-1, where=real_W) / V,
        )

    zeros_BL = jnp.zeros(targets_BL.shape)
    scores, logits_BLV = Scores(zeros_BL - jnp.inf, zeros_BL, zeros_BL), None
    if C == 1:
        logits_BLV = logits_of(0)
        scores = add(scores, 0, logits_BLV)
    else:
        scores = jax.lax.fori_loop(0, C, lambda c, before: add(before, c, logits_of(c)), scores)
    return scores, (hidden, table_WCD, bias_WC, targets_BL, logits_BLV, scores.logsumexp)


def _backward(V: int, soft_cap: float | None, kept: Any, cotangent: Scores) -> tuple[Array, Array, Array, None]:
    """softmax minus one-hot in one pass (autodiff scatters the one-hot), and the table's gradient with the vocabulary last
    until its end: turning [D, W] costs less than turning [B, L, W]."""
    hidden, table_WCD, bias_WC, targets_BL, logits_BLV, total_BL = kept
    W, C, D = table_WCD.shape

    def add(c: Any, before: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        to_hidden, to_table_WCD, to_bias_WC = before
        block_WD = block_of(table_WCD, c, hidden.dtype)
        logits_BLW = block_logits(hidden, block_WD, bias_WC, soft_cap, c) if logits_BLV is None else logits_BLV
        softmax_BLW = jnp.exp(logits_BLW - total_BL[..., None])
        slope_BLW = softmax_BLW * cotangent.logsumexp[..., None] + cotangent.mean[..., None] / V
        slope_BLW += jnp.where(_is_target(W, C, c, targets_BL), cotangent.target[..., None], 0)
        if soft_cap is not None:
            slope_BLW *= 1 - jnp.square(logits_BLW / soft_cap)
        if (real_W := real_ids(W, C, c, V)) is not None:
            slope_BLW = jnp.where(real_W, slope_BLW, 0)
        narrow_BLW = slope_BLW.astype(hidden.dtype)
        to_block_DW = hidden.reshape(-1, D).T @ narrow_BLW.reshape(-1, W)  # of two matrices, as in `project`
        return (
            to_hidden + project(narrow_BLW, block_WD),
            _with_block(to_table_WCD, to_block_DW.T, c),
            _with_block(to_bias_WC, slope_BLW.sum((0, 1)), c),
        )

    start = jnp.zeros(hidden.shape), jnp.zeros_like(table_WCD), jnp.zeros_like(bias_WC)
    to_hidden, to_table_WCD, to_bias_WC = add(0, start) if C == 1 else jax.lax.fori_loop(0, C, add, start)
    return to_hidden.astype(hidden.dtype), to_table_WCD, to_bias_WC, None


def block_logits(hidden: Array, block_WD: Array, bias_WC: Array, soft_cap: float | None, c: Any) -> Array:
    """Of the ids of block c."""
    return Readout(hidden, block_WD, _block(bias_WC, c), block_WD.shape[0], soft_cap).logits()


def block_of(table_WCD: Array, c: Any, dtype: Any) -> Array:
    """[W, D]: block c, whole in D, so that devices send each other its rows once for all that is computed with it."""
    return constrain(_block(table_WCD, c).astype(dtype), "vocab", None)


def _block(x_WC: Array, c: Any) -> Array:
    return jax.lax.dynamic_index_in_dim(x_WC, c, axis=1, keepdims=False)


def _with_block(x_WC: Array, block_W: Array, c: Any) -> Array:
    return jax.lax.dynamic_update_index_in_dim(x_WC, block_W.astype(x_WC.dtype), c, axis=1)


def real_ids(W: int, C: int, c: Any, V: int) -> Array | None:
    """[W]: which of a block's ids are none of the padding's; None: all."""
    return jnp.arange(W) * C + c < V if W * C > V else None


def _is_target(W: int, C: int, c: Any, targets_BL: Array) -> Array:
    return jnp.arange(W) * C + c == targets_BL[..., None]


_scores.defvjp(_forward, _backward)
