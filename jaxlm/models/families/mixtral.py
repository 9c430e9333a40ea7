"""Mixtral (arXiv:2401.04088): Llama with few key/value heads, slow rotations (theta 1,000,000) and, in place of each MLP, eight
experts of which a token takes two."""

from dataclasses import replace
from typing import Literal

from jaxlm.models.families.llama import llama, llama_dimensions
from jaxlm.models.layers import MLP, Experts
from jaxlm.models.transformer import Transformer

SIZES = {  # layers, width, heads, key/value heads, an expert's width: table 1; the config of the release
    "8x7b": (32, 4096, 32, 8, 14_336),
    "8x22b": (56, 6144, 48, 8, 16_384),
}


def mixtral(
    size: Literal["8x7b", "8x22b"] | None = None,
    *,
    num_layers: int | None = None,
    embed_dim: int | None = None,
    num_heads: int | None = None,
    num_kv_heads: int | None = None,
    mlp_dim: int | None = None,
    num_experts: int = 8,
    top_k: int = 2,
    capacity_factor: float | None = None,
    balance: float = 0.01,
    router_z: float = 0.001,
    rotary_theta: float = 1_000_000.0,
    **rest,
) -> Transformer:
    """Mixtral of a published size, or of any other where its numbers are given.

    Args:
      num_kv_heads, mlp_dim: None: the size's, else as `llama` has them.
      num_experts, top_k: of each layer, and how many of them a token takes.
      capacity_factor: see `Experts`; None: no token is passed by, as in the release.
      balance, router_z: coefficients of the router's losses; the paper has none of its own, these are those of Switch
        (arXiv:2101.03961) and ST-MoE (arXiv:2202.08906).
      **rest: of `llama`: `vocab_size` (32,000), and `dtype`, `remat`, `unroll`, `kernel` of `Transformer`.
    """
    given = (num_layers, embed_dim, num_heads, num_kv_heads, mlp_dim)
    layers, width, heads, kv_heads, feed_forward = llama_dimensions("mixtral", SIZES, size, *given)
    model = llama(
        num_layers=layers,
        embed_dim=width,
        num_heads=heads,
        num_kv_heads=kv_heads,
        mlp_dim=feed_forward,
        rotary_theta=rotary_theta,
        **rest,
    )
    (stack,), (block,) = model.decoder, model.decoder[0].pattern
    assert isinstance(block.mlp, MLP), "Llama's feed-forward half is such"
    experts = Experts(num_experts, block.mlp.mlp_dim, top_k, capacity_factor=capacity_factor, balance=balance, router_z=router_z)
    return replace(model, decoder=(replace(stack, pattern=(replace(block, mlp=experts),)),))
