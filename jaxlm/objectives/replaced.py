"""Replaced-token detection: which tokens did a small masked model write? (ELECTRA, arXiv:2003.10555)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlm.core import Example, Inputs, Sums, Vocab, Window
from jaxlm.core.errors import require_above
from jaxlm.core.noise import purpose_id, row_keys
from jaxlm.kernels.cross_entropy import token_nll
from jaxlm.kernels.draw import draw
from jaxlm.objectives.base import Array
from jaxlm.objectives.masked import MaskedLM, asked


@dataclass(frozen=True)
class ReplacedTokenDetection(MaskedLM):
    """A generator fills the gaps of a masked text with words that it draws; a discriminator says of each token whether it was
    replaced (section 2 of the paper):

        min L_MLM(generator) + discriminator_weight * L_Disc(discriminator)

    L_MLM is `MaskedLM`'s loss, a mean over the gaps; L_Disc the binary cross-entropy, a mean over all real tokens. A draw
    that is the original token counts as original. No gradient flows through the draws, which are keyed by row: so a
    batch means the same in any split. The model is a `Pair`, of `electra`.
    """

    replace_with_mask: float = 1.0
    """Share of the chosen that become [MASK]: all in the paper; 0.85 in its release, the rest left as they are."""
    replace_with_random: float = 0.0
    """Share of the chosen that become a random ordinary token."""
    discriminator_weight: float = 50.0
    """Of the discriminator's loss beside the generator's: lambda of section 2."""

    bits_name = None  # type: ignore[assignment]  # two models, two losses: neither alone is the run's
    pair = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_above(0, "objective", self, "discriminator_weight")

    def prepare(self, windows: tuple[Window, ...], rng: np.random.Generator, vocab: Vocab, seq_len: int) -> Example:
        """`MaskedLM`'s row, in which `weights` are the generator's, with `discriminator_weights`: 1 for each real token."""
        example = super().prepare(windows, rng, vocab, seq_len)
        return {**example, "discriminator_weights": (example["segments"] > 0).astype(np.float32)}

    def weights(self, batch: Mapping[str, Array]) -> dict[str, Array]:
        return {"generator": batch["weights"].sum(), "discriminator": batch["discriminator_weights"].sum()}

    def loss(self, model: Any, params: Any, batch: Mapping[str, Array], rng: Any) -> Sums:
        inputs = Inputs.of(batch)
        index_BM, targets_BM, weights_BM = asked(batch)
        generated = model.generate(params, inputs, rng=rng)
        readout = generated.heads["lm"].at(index_BM)
        nll_BM = token_nll(readout, targets_BM)
        drawn = draw(readout, row_keys(jax.random.fold_in(rng, purpose_id("replaced tokens")), batch["row"]))
        tokens_BL = _placed(batch["tokens"], batch["masked_index"], drawn.sample)
        replaced_BL = _placed(jnp.zeros(tokens_BL.shape, bool), batch["masked_index"], drawn.sample != targets_BM)
        out = model(params, inputs._replace(tokens_BL=tokens_BL), rng=rng)
        score_BL, real_BL = out.heads["replaced"], batch["discriminator_weights"]
        judged_BL = jax.nn.softplus(jnp.where(replaced_BL, -score_BL, score_BL))  # -log of the truth's probability
        return Sums.of(
            generated,
            out,
            generator=(nll_BM, weights_BM),
            discriminator=(self.discriminator_weight * judged_BL, real_BL),
            metrics={
                "generator_nll": (nll_BM, weights_BM),
                "generator_accuracy": (drawn.likeliest == targets_BM, weights_BM),
                "discriminator_nll": (judged_BL, real_BL),
                "discriminator_accuracy": ((score_BL > 0) == replaced_BL, real_BL),
                "replaced": (replaced_BL, real_BL),
            },
        )


def _placed(x_BL: Array, index_BM: Array, values_BM: Array) -> Array:
    """x with these values at these places; -1 is none."""
    nowhere = x_BL.shape[1]
    put = lambda x_L, index_M, values_M: x_L.at[jnp.where(index_M < 0, nowhere, index_M)].set(values_M, mode="drop")  # noqa: E731
    return jax.vmap(put)(x_BL, index_BM, values_BM)
