"""A product with a matrix, and a bias."""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxlm.kernels.project import project
from jaxlm.models.layers.base import normal, param, weight


class DenseModule(nn.Module):
    """A module that is this product alone."""

    width: int
    stddev: float | None

    @nn.compact
    def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... W"]:
        return dense(self, "kernel", x, self.width, self.stddev)


def dense(module: nn.Module, name: str, x: Float[Array, "... D"], width: int, stddev: float | None) -> Float[Array, "... W"]:
    """x @ kernel + bias, in x's dtype; the parameters of `module` are `name` and `name_bias`."""
    D = x.shape[-1]
    kernel_DW = weight(module, name, normal(stddev, D), (D, width), ("embed", "features"), x.dtype)
    return project(x, kernel_DW) + param(module, f"{name}_bias", nn.initializers.zeros, (width,), ("features",)).astype(x.dtype)
