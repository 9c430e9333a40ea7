"""Parameters and FLOPs: what a model says of itself against what is there."""

from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from jaxlm.core import Inputs
from jaxlm.core.readout import Readout
from jaxlm.laws.subject import Subject, Verdict

ROWS = 8


def parameters(subject: Subject) -> Iterator[Verdict]:
    """The number told is that of the parameters that are made."""
    made = sum(leaf.size for leaf in jax.tree.leaves(subject.initial_params))
    told = subject.model.num_params()
    yield Verdict("num_params() is what init makes", told == made, f"{told:,} of {made:,}", f"{made:,}")


def flops(subject: Subject) -> Iterator[Verdict]:
    """The FLOPs told of a training step against those that XLA counts, layers unrolled and nothing computed again."""
    lengths = subject.lengths
    counted = counted_flops(subject)
    told = subject.model.flops_per_token(*lengths) * ROWS * sum(lengths)
    law = "flops_per_token() is within 10 % of XLA's count"
    yield Verdict(law, bool(abs(told / counted - 1) <= 0.1), f"{told:.3e} told, {counted:.3e} counted", "10 %")


def counted_flops(subject: Subject) -> float:
    """XLA's count of the products in a gradient through all heads of all parts.

    Of experts the model has as many as a token takes, so that every one of them multiplies every token: XLA counts products
    of many groups as if each token took all, and on CPUs so it is computed.
    """
    model = subject.model.all_active().computed(unroll=True, remat="none", kernel="plain")
    texts = [_text(length) for length in subject.lengths]
    inputs = texts[0]._replace(encoder=texts[1] if len(texts) > 1 else None)

    def total(params: Any) -> Any:  # squares: of a plain sum XLA makes the heads' gradients without their products
        heads = [head for part, own in model.parts(params) for head in part(own, inputs).heads.values()]
        return sum(((head.logits() if isinstance(head, Readout) else head).astype("float32") ** 2).sum() for head in heads)

    analysis = jax.jit(jax.grad(total)).lower(nn.unbox(model.abstract_params())).compile().cost_analysis()
    assert analysis is not None, "XLA tells what a program costs"
    return analysis["flops"]


def _text(length: int) -> Inputs:
    ids_BL = np.zeros((ROWS, length), np.int32)
    return Inputs(ids_BL, np.broadcast_to(np.arange(length, dtype=np.int32), ids_BL.shape), ids_BL + 1)
