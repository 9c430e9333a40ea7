"""A layer of one's own in a stack: a bilinear feed-forward, down(left(x) * right(x)), without activation (arXiv:2002.05202).

jaxlm train own_layer.py --train.steps 100
"""

from dataclasses import dataclass, replace

import flax.linen as nn

import jaxlm
from jaxlm.core.sharding import constrain
from jaxlm.kernels.project import project
from jaxlm.models.layers import Settings
from jaxlm.models.layers.base import normal, param


@dataclass(frozen=True)
class Bilinear(Settings):
    """Settings are frozen values: they are saved with the run and set by flags."""

    hidden_dim: int

    def build(self, name):
        return BilinearModule(self, name=name)


class BilinearModule(nn.Module):
    settings: Bilinear

    @nn.compact
    def __call__(self, x_BLD, context):
        D, F = x_BLD.shape[-1], self.settings.hidden_dim
        # each axis is named, and the rules say where it lies: the layer itself knows of no mesh
        left_DF, right_DF = (param(self, name, normal(None, D), (D, F), ("embed", "mlp")) for name in ("left", "right"))
        h_BLF = constrain(project(x_BLD, left_DF) * project(x_BLD, right_DF), "batch", "length", "mlp")
        return project(h_BLF, param(self, "down", normal(0.02, F), (F, D), ("mlp", "embed")))


def config():
    base = jaxlm.recipe("nano/gpt2")
    stack = base.model.decoder[0]
    block = replace(stack.pattern[0], mlp=Bilinear(256))
    return replace(base, model=replace(base.model, decoder=(replace(stack, pattern=(block,)),)))
