"""Masked language modelling: sum over masked j of -log P(w_j | context) (BERT, arXiv:1810.04805, section 3.1)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxlm.core import ConfigError, Example, Inputs, Sums, Vocab, Window
from jaxlm.kernels.cross_entropy import token_nll
from jaxlm.kernels.draw import likeliest
from jaxlm.objectives.base import Array, Objective, Share
from jaxlm.objectives.masking import Masking, Row, Tokens


@dataclass(frozen=True)
class MaskedLM(Objective):
    """Hide some tokens, predict them from both sides.

    Of a row's n maskable tokens max(1, round(mask_rate * n)) are chosen, as BERT does, never padding or special
    tokens; fewer where `masking` takes whole words and none is left that fits. Of the chosen, `replace_with_mask` become
    [MASK], `replace_with_random` a random ordinary token, the rest stay as they are. Masks are drawn anew each time a
    row is seen (RoBERTa's dynamic masking).
    """

    mask_rate: float = 0.15
    """Share of the maskable tokens that are predicted."""
    masking: Masking = Tokens()
    """Which tokens are chosen: Tokens(), WholeWords() or Spans()."""
    replace_with_mask: float = 0.8
    """Share of the chosen that become [MASK]."""
    replace_with_random: float = 0.1
    """Share of the chosen that become a random ordinary token."""

    attention = "bidirectional"
    bits_name = "bits_per_masked_byte"

    def __post_init__(self) -> None:
        if not 0 < self.mask_rate < 1:
            raise ConfigError(f"objective.mask_rate={self.mask_rate} is not between 0 and 1; BERT has 0.15")
        shares = self.replace_with_mask, self.replace_with_random
        if not (min(shares) >= 0 and sum(shares) <= 1):
            raise ConfigError(
                f"objective.replace_with_mask={shares[0]} and replace_with_random={shares[1]} must be at least 0 and add up to "
                "at most 1; BERT has 0.8 and 0.1"
            )

    def check(self, vocab: Vocab, seq_len: int) -> None:
        super().check(vocab, seq_len)
        if vocab.mask is None:
            raise ConfigError(f"objective {type(self).__name__} needs a [MASK] token and the tokenizer has none; use one that has")
        self.masking.check(vocab)

    def num_targets(self, num_tokens: int, num_documents: int) -> int:
        return num_tokens - 2 * num_documents  # all but bos and eos

    def max_masked(self, seq_len: int) -> int:
        """M, the most tokens that a row of this length has chosen."""
        return max(1, round(self.mask_rate * seq_len))

    def prepare(self, windows: tuple[Window, ...], rng: np.random.Generator, vocab: Vocab, seq_len: int) -> Example:
        """Adds `masked_index` [M]: the chosen positions, ascending, then -1."""
        assert vocab.mask is not None, "`check` refuses tokenizers without [MASK]"
        ids_L, segments_L, positions_L, *_ = windows[0]
        tokens_L = ids_L.copy()
        weights_L = np.zeros(seq_len, np.float32)
        masked_index_M = np.full(self.max_masked(seq_len), -1, np.int32)
        row = Row(ids_L, segments_L, (segments_L > 0) & ~vocab.special_V[ids_L], vocab)
        count = max(1, round(self.mask_rate * np.count_nonzero(row.maskable_L)))
        group_L = self.masking.choose(row, count, rng)
        chosen = np.flatnonzero(group_L)
        if chosen.size:
            masked_index_M[: chosen.size] = chosen
            weights_L[chosen] = 1
            kind = rng.random(group_L.max())[group_L[chosen] - 1]
            ordinary = np.flatnonzero(~vocab.special_V)
            noise = ordinary[rng.integers(ordinary.size, size=chosen.size)]
            to_mask = kind < self.replace_with_mask
            to_random = ~to_mask & (kind < self.replace_with_mask + self.replace_with_random)
            tokens_L[chosen] = np.where(to_mask, vocab.mask, np.where(to_random, noise, ids_L[chosen]))
        return {
            "tokens": tokens_L,
            "positions": positions_L,
            "segments": segments_L,
            "targets": ids_L,
            "weights": weights_L,
            "masked_index": masked_index_M,
        }

    def shares(self, windows: tuple[Window, ...], example: Example, vocab: Vocab) -> Iterator[Share]:
        chosen_L = example["weights"] > 0
        first_L = chosen_L & ~np.roll(chosen_L, 1)  # of each run: a fate of its own, however tokens are grouped
        given, asked = example["tokens"][first_L], example["targets"][first_L]
        masked = given == vocab.mask
        ordinary = int((~vocab.special_V).sum())
        yield Share("of the chosen, [MASK]", self.replace_with_mask, int(masked.sum()), given.size)
        another = self.replace_with_random * (1 - 1 / ordinary)  # a random token may be the same one
        yield Share("of the chosen, another token", another, int((~masked & (given != asked)).sum()), given.size)
        maskable_L = (example["segments"] > 0) & ~vocab.special_V[example["targets"]]
        maskable = int(maskable_L.sum())
        if maskable:
            rate = max(1, round(self.mask_rate * maskable)) / maskable
            yield Share("of the tokens, hidden", rate, int(chosen_L.sum()), maskable)
        yield from self.masking.shares(Row(example["targets"], example["segments"], maskable_L, vocab), chosen_L)

    def loss(self, model: Any, params: Any, batch: Mapping[str, Array], rng: Any) -> Sums:
        return self.token_sums(model(params, Inputs.of(batch), rng=rng), batch)

    def token_sums(self, out: Any, batch: Mapping[str, Array]) -> Sums:
        """The term of the hidden tokens, from a model's outputs."""
        index_BM, targets_BM, weights_BM = asked(batch)
        readout = out.heads["lm"].at(index_BM)
        nll_BM = token_nll(readout, targets_BM)
        hit_BM = likeliest(readout) == targets_BM
        return Sums.of(
            out,
            tokens=(nll_BM, weights_BM),
            metrics={"nll": (nll_BM, weights_BM), "accuracy": (hit_BM, weights_BM)},
        )

    def nll(self, model: Any, params: Any, batch: Mapping[str, Array]) -> tuple[Array, Array]:
        index_BM, targets_BM, weights_BM = asked(batch)
        return token_nll(model(params, Inputs.of(batch)).heads["lm"].at(index_BM), targets_BM), weights_BM


def asked(batch: Mapping[str, Array]) -> tuple[Array, Array, Array]:
    """Index, targets and weights [B, M] of what is hidden: these positions alone meet the vocabulary."""
    index_BM = jnp.maximum(batch["masked_index"], 0)
    targets_BM, weights_BM = (jnp.take_along_axis(batch[name], index_BM, axis=1) for name in ("targets", "weights"))
    return index_BM, targets_BM, jnp.where(batch["masked_index"] >= 0, weights_BM, 0)
