"""From hidden states to the vocabulary, when asked."""

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Readout:
    """Hidden states and the table that scores them; logits are made by `.logits()` and not before.

    `table_VD` may have more rows than `vocab_size` (padded to be divided among devices); they are cut off.
    """

    hidden: Float[Array, "B L D"]
    table_VD: Float[Array, "V D"]
    bias_V: Float[Array, " V"] | None
    vocab_size: int = field(metadata={"static": True})
    soft_cap: float | None = field(default=None, metadata={"static": True})
    """c: logits become c * tanh(logits / c)."""

    def at(self, index_BM: Int[Array, "B M"]) -> "Readout":
        """The same readout at M positions of each row."""
        return replace(self, hidden=jnp.take_along_axis(self.hidden, index_BM[..., None], axis=1))

    def logits(self) -> Float[Array, "B L V"]:
        """Scores in float32, whatever the hidden states are in."""
        table_VD = self.table_VD.astype(self.hidden.dtype)
        logits = jnp.einsum("bld,vd->blv", self.hidden, table_VD, preferred_element_type=jnp.float32)
        logits = logits[..., : self.vocab_size]
        if self.bias_V is not None:
            logits = logits + self.bias_V[: self.vocab_size].astype(jnp.float32)
        return logits if self.soft_cap is None else self.soft_cap * jnp.tanh(logits / self.soft_cap)
