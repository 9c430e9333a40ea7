"""Layers: each a short file, each a frozen value of settings that builds a Linen module."""

from jaxlm.models.layers.attention import Attention
from jaxlm.models.layers.base import Context, Mixer, Settings
from jaxlm.models.layers.block import Block
from jaxlm.models.layers.cross_attention import CrossAttention
from jaxlm.models.layers.embed import Embed
from jaxlm.models.layers.experts import Experts
from jaxlm.models.layers.heads import Classifier, Comparison, Pooler, TokenScore, VocabHead
from jaxlm.models.layers.mlp import MLP
from jaxlm.models.layers.norm import LayerNorm, RMSNorm
from jaxlm.models.layers.positions import LearnedPositions, RotaryScaling, SinusoidalPositions
from jaxlm.models.layers.relative_bias import RelativeBias
from jaxlm.models.layers.stack import Stack, in_turn

__all__ = [
    "MLP",
    "Attention",
    "Block",
    "Classifier",
    "Comparison",
    "Context",
    "CrossAttention",
    "Embed",
    "Experts",
    "LayerNorm",
    "LearnedPositions",
    "Mixer",
    "Pooler",
    "RMSNorm",
    "RelativeBias",
    "RotaryScaling",
    "Settings",
    "SinusoidalPositions",
    "Stack",
    "TokenScore",
    "VocabHead",
    "in_turn",
]
