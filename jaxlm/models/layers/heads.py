"""What a model says at its end."""

from dataclasses import dataclass
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlm.core import Inputs
from jaxlm.core.readout import Readout
from jaxlm.models.layers.base import Settings, normal, param
from jaxlm.models.layers.dense import dense
from jaxlm.models.layers.mlp import ACTIVATIONS
from jaxlm.models.layers.norm import Norm


@dataclass(frozen=True)
class VocabHead(Settings):
    """Scores of each word of the vocabulary. With `transform` it is BERT's masked-word head: dense, activation, norm first."""

    tied: bool = True
    """Score with the input's table; else with one of its own."""
    bias: bool = False
    """One number for each word of the vocabulary."""
    transform: bool = False
    """A dense layer, to the width of the table, the activation and the norm before the scores."""
    activation: Literal["gelu", "gelu_exact", "relu", "relu_squared", "silu"] = "gelu_exact"
    """Of the transform."""
    norm: Norm | None = None
    """Before the scores, after the transform if there is one."""
    scale_by_inverse_sqrt_dim: bool = False
    """Multiply what is scored by 1 / sqrt(embed_dim) (T5 1.0, whose table's numbers are large)."""
    soft_cap: float | None = None
    """c: logits become c * tanh(logits / c)."""
    stddev: float | None = 0.02
    """Of initial weights; None: 1 / sqrt(embed_dim); 0: zeros."""

    def build(self, name: str) -> nn.Module:
        return VocabHeadModule(self, name=name)


@dataclass(frozen=True)
class Pooler(Settings):
    """tanh(dense(first token)), BERT's summary of a text: [B, D]."""

    stddev: float | None = 0.02
    """Of initial weights; None: 1 / sqrt(fan in)."""

    once_a_row = True

    def build(self, name: str) -> nn.Module:
        return PoolerModule(self, name=name)


@dataclass(frozen=True)
class Comparison(Settings):
    """tanh(dense(a, b, |a - b|, a * b)), a and b the means of the two token types' states: [B, D] (arXiv:1705.02364, 3.1).

    What two texts have in common is there from the first step; from its first token alone a small model is slow to learn it.
    """

    stddev: float | None = 0.02
    """Of initial weights; None: 1 / sqrt(fan in)."""

    once_a_row = True
    reads_inputs = True

    def build(self, name: str) -> nn.Module:
        return ComparisonModule(self, name=name)


@dataclass(frozen=True)
class TokenScore(Settings):
    """One number a token, its log-odds of something: dense, activation, dense (ELECTRA's discriminator): [B, L], float32."""

    activation: Literal["gelu", "gelu_exact", "relu", "relu_squared", "silu"] = "gelu_exact"
    """Between the two dense layers."""
    stddev: float | None = 0.02
    """Of initial weights; None: 1 / sqrt(fan in)."""

    def build(self, name: str) -> nn.Module:
        return TokenScoreModule(self, name=name)


@dataclass(frozen=True)
class Classifier(Settings):
    """Scores of some classes of a text, from a summary of it: [B, num_classes], float32 (arXiv:1810.04805, section 3.1)."""

    num_classes: int = 2
    """Classes; a sentence objective has two, one for pairs as they should be."""
    pooler: Pooler | Comparison = Pooler()
    """The summary: BERT's, or for pairs a comparison of their halves."""
    stddev: float | None = 0.02
    """Of initial weights of the scores; None: 1 / sqrt(fan in); 0: zeros."""

    once_a_row = True
    reads_inputs = True

    def build(self, name: str) -> nn.Module:
        return ClassifierModule(self, name=name)


def scores(head: Any, name: str, x_BLD: Array, table_VD: Array, vocab_size: int, inputs: Inputs) -> Any:
    """What a head says of a model's last states; one with `reads_inputs` is told what the model was given, too."""
    told = (inputs,) if getattr(head, "reads_inputs", False) else ()
    return head.build(name)(x_BLD, table_VD, vocab_size, *told)


class VocabHeadModule(nn.Module):
    settings: VocabHead

    @nn.compact
    def __call__(self, x_BLD: Float[Array, "B L D"], table_VD: Float[Array, "V D"], vocab_size: int) -> Readout:
        s, D = self.settings, x_BLD.shape[-1]
        if s.transform:
            x_BLD = ACTIVATIONS[s.activation](dense(self, "kernel", x_BLD, table_VD.shape[-1] if s.tied else D, s.stddev))
        if s.norm is not None:
            x_BLD = s.norm.build("norm")(x_BLD)
        if s.scale_by_inverse_sqrt_dim:
            x_BLD = x_BLD * D**-0.5
        if not s.tied:
            table_VD = param(self, "table", normal(s.stddev, D), (table_VD.shape[0], D), ("vocab", "embed"))
        bias_V = param(self, "bias", nn.initializers.zeros, table_VD.shape[:1], ("vocab",)) if s.bias else None
        return Readout(x_BLD, table_VD, bias_V, vocab_size, s.soft_cap)


class PoolerModule(nn.Module):
    settings: Pooler

    @nn.compact
    def __call__(self, x_BLD: Float[Array, "B L D"], table_VD: Float[Array, "V D"], vocab_size: int) -> Float[Array, "B D"]:
        return jnp.tanh(dense(self, "kernel", x_BLD[:, 0], x_BLD.shape[-1], self.settings.stddev))


class ComparisonModule(nn.Module):
    settings: Comparison

    @nn.compact
    def __call__(
        self, x_BLD: Float[Array, "B L D"], table_VD: Float[Array, "V D"], vocab_size: int, inputs: Inputs
    ) -> Float[Array, "B D"]:
        def mean(of_BL: Array) -> Array:
            share_BL = (of_BL & (inputs.segments_BL > 0)).astype(jnp.float32)
            share_BL /= jnp.maximum(share_BL.sum(1, keepdims=True), 1)
            return jnp.einsum("BL,BLD->BD", share_BL, x_BLD.astype(jnp.float32))

        types_BL = jnp.zeros_like(inputs.segments_BL) if inputs.token_types_BL is None else inputs.token_types_BL
        a_BD, b_BD = mean(types_BL == 0), mean(types_BL == 1)
        both_BF = jnp.concatenate([a_BD, b_BD, jnp.abs(a_BD - b_BD), a_BD * b_BD], axis=-1).astype(x_BLD.dtype)
        return jnp.tanh(dense(self, "kernel", both_BF, x_BLD.shape[-1], self.settings.stddev))


class TokenScoreModule(nn.Module):
    settings: TokenScore

    @nn.compact
    def __call__(self, x_BLD: Float[Array, "B L D"], table_VD: Float[Array, "V D"], vocab_size: int) -> Float[Array, "B L"]:
        s = self.settings
        h_BLD = ACTIVATIONS[s.activation](dense(self, "kernel", x_BLD, x_BLD.shape[-1], s.stddev))
        return dense(self, "score", h_BLD.astype(jnp.float32), 1, s.stddev)[..., 0]


class ClassifierModule(nn.Module):
    settings: Classifier

    @nn.compact
    def __call__(
        self, x_BLD: Float[Array, "B L D"], table_VD: Float[Array, "V D"], vocab_size: int, inputs: Inputs
    ) -> Float[Array, "B C"]:
        s = self.settings
        x_BD = scores(s.pooler, "pooler", x_BLD, table_VD, vocab_size, inputs)
        return dense(self, "score", x_BD.astype(jnp.float32), s.num_classes, s.stddev)
