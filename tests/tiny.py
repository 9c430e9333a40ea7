"""Small models, vocabularies and batches that tests share."""

from functools import partial
from itertools import pairwise
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest
from scipy.stats import binom

from jaxlm.core import Vocab, Window
from jaxlm.core.lookup import load
from jaxlm.core.noise import host_generator
from jaxlm.models.families import FAMILIES
from jaxlm.models.layers import RotaryScaling
from jaxlm.objectives import CausalLM, MaskedLM, Objective, ReplacedTokenDetection

VOCAB_SIZE, SEQ_LEN = 61, 16
SIZES: dict[str, dict[str, Any]] = {
    "albert": {"context": 32, "table_dim": 24, "dropout": 0.0},
    "bert": {"context": 32, "dropout": 0.0},
    "electra": {"context": 32, "dropout": 0.0, "table_dim": 16, "generator_size": 0.5},
    "gemma": {"num_kv_heads": 2, "head_dim": 16, "window": 4},
    "gpt2": {"context": 32, "dropout": 0.0},
    "gpt3": {"context": 32, "dropout": 0.0, "band": 4},
    "llama": {"num_kv_heads": 2},
    "llama3": {"num_kv_heads": 2, "rotary_scaling": RotaryScaling(context=16)},
    "mixtral": {"num_kv_heads": 2, "mlp_dim": 48, "num_experts": 4},
    "modern": {},
    "qwen3": {"num_kv_heads": 2, "head_dim": 16},
    "roberta": {"context": 32, "dropout": 0.0},
    "t5": {"dropout": 0.0},
    "t5_v1_1": {},
    "transformer_2017": {"dropout": 0.0},
}
"""What each family takes beside layers, width, heads and vocabulary."""
ALIKE = ("gpt3", "llama3", "qwen3", "roberta", "t5_v1_1")
"""Families all of whose layers are those of others, with other settings: what is dear to try is tried of them by slow tests."""
EACH_FAMILY = [pytest.param(family, marks=[pytest.mark.slow] if family in ALIKE else []) for family in FAMILIES]
KINDS = ("electra", "gpt2", "mixtral", "transformer_2017")
"""A pair, a decoder, experts, an encoder-decoder: laws that are about how a model is called, not what it is made of, need no more."""
EACH_KIND = [pytest.param(family, marks=[] if family in KINDS else [pytest.mark.slow]) for family in FAMILIES]


def likely(count: int, trials: int, probability: float) -> bool:
    """Whether a binomial count is not further out than one in a million."""
    return bool(binom.ppf(5e-7, trials, probability) <= count <= binom.isf(5e-7, trials, probability))


def vocab() -> Vocab:
    special_V = np.zeros(VOCAB_SIZE, bool)
    special_V[:7], special_V[-3:] = True, True
    starts_word_V = ~special_V & (np.arange(VOCAB_SIZE) % 2 == 1)
    ids = {"pad": 0, "unk": 1, "bos": 2, "eos": 3, "mask": 4, "cls": 5, "sep": 6}
    return Vocab(VOCAB_SIZE, "tiny", **ids, sentinels=(58, 59, 60), special_V=special_V, starts_word_V=starts_word_V)


def model(family: str = "gpt2", **settings: Any) -> Any:
    """A model of some thousand parameters, without dropout."""
    sizes = {"num_layers": 2, "embed_dim": 32, "num_heads": 4, "vocab_size": VOCAB_SIZE, **SIZES[family]}
    return load(FAMILIES[family])(**{**sizes, **settings})


@partial(jax.jit, static_argnames="model")
def call(model: Any, params: Any, inputs: Any, rng: Any = None) -> Any:
    """The model's outputs, compiled once for a shape: called as it is, jax compiles its loop over layers each time."""
    return model(params, inputs, rng=rng)


def params(model: Any, seed: int = 0) -> Any:
    """Initial parameters, every leaf moved, so that no zero or one hides a fault."""
    tree = nn.unbox(model.init(jax.random.key(seed)))
    leaves, definition = jax.tree.flatten(tree)
    keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
    moved = [leaf + 0.1 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(definition, moved)


def window(length: int, seed: int, *, documents: int = 2, padding: int = 0) -> Window:
    """Random ids in some documents, each from its bos to its eos, in sentences of some ids, then padding."""
    rng = np.random.default_rng(seed)
    ids_N = rng.integers(7, VOCAB_SIZE - 3, length).astype(np.int32)
    segments_N, positions_N = np.zeros((2, length), np.int32)
    cuts = [0, *sorted(rng.choice(np.arange(2, length - padding - 1), documents - 1, replace=False)), length - padding]
    for k, (start, stop) in enumerate(pairwise(cuts)):
        segments_N[start:stop], positions_N[start:stop] = k + 1, np.arange(stop - start)
        ids_N[start], ids_N[stop - 1] = 2, 3
    ids_N[length - padding :] = 0
    sentences_N = (segments_N > 0) & ((positions_N == 1) | (rng.random(length) < 0.25)) & (ids_N != 2) & (ids_N != 3)
    return Window(ids_N, segments_N, positions_N, sentences_N)


def window_for(objective: Objective, length: int, seed: int, **settings: Any) -> Window:
    """The same, with other streams where the objective reads some: as many documents, of other lengths."""
    own = window(length, seed, **settings)
    fewer = {"documents": settings.get("documents", 2), "padding": (settings.get("padding", 0) + 3) % 7}
    return own._replace(others={name: window(length, seed + 1000, **fewer) for name in objective.streams[1:]})


def model_for(objective: Objective, **settings: Any) -> Any:
    """A model that it can train, with the heads that it reads."""
    sort = "electra" if objective.pair else "transformer_2017" if objective.encoder else None
    family = sort or ("gpt2" if objective.attention == "causal" else "bert")
    return model(family, **{**dict.fromkeys(objective.heads, True), **settings})


def batch(objective: Objective, num_rows: int, *, first: int = 0, padded: int | None = None) -> dict[str, np.ndarray]:
    """Rows at positions from `first`, of uneven weights: row i has 1 to 3 documents and up to 9 tokens of padding."""
    rows = []
    for i in range(first, first + (padded or num_rows)):
        real = i < first + num_rows
        length = objective.raw_length(SEQ_LEN)
        sizes = {"documents": 1 + i % 3, "padding": (i * 5) % 10}
        empty = Window.empty(length, objective.streams[1:])
        sources = tuple(
            window_for(objective, length, i + 1000 * k, **sizes) if real else empty for k in range(objective.num_windows)
        )
        row = i if real else -1
        example = objective.prepare(sources, host_generator(0, "prepare", row), vocab(), SEQ_LEN)
        rows.append({**example, "row": np.int32(row)})
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


FAMILY_OF = {CausalLM: "gpt2", MaskedLM: "bert", ReplacedTokenDetection: "electra"}
