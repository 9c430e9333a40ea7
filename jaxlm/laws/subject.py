"""What is judged, and what a judgement is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxlm.core import Example, Sums, Vocab, Window
from jaxlm.core.noise import device_key, host_generator

EXACTLY = 1e-5
"""Relative; sums in float32 in another order."""


class Verdict(NamedTuple):
    """One law, one number."""

    law: str
    """What must hold, in a sentence."""
    holds: bool | None
    """None: it does not apply here, and `measured` says why."""
    measured: str
    bound: str = ""

    @classmethod
    def exact(cls, law: str, count: int, of: str) -> "Verdict":
        """Holds where nothing of what was counted broke it; `of` says what was counted."""
        return cls(law, count == 0, f"{count} {of}", "0")

    @classmethod
    def within(cls, law: str, value: float, bound: float) -> "Verdict":
        return cls(law, bool(value <= bound), f"{value:.1e}", f"{bound:.0e}")

    @classmethod
    def not_here(cls, law: str, why: str) -> "Verdict":
        return cls(law, None, why)


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and an objective, with text to try them on."""

    model: Any
    """Its vocabulary size filled in. Laws are judged in float32."""
    objective: Any
    vocab: Vocab
    seq_len: int
    windows: tuple[tuple[Window, ...], ...]
    """What `prepare` is given for rows 0, 1, ...; `objective.raw_length(seq_len)` tokens each."""
    seed: int = 0

    @cached_property
    def params(self) -> Any:
        """Initial parameters, every leaf moved, so that no zero or one hides a fault."""
        rng = host_generator(self.seed, "selftest", 0)
        move = lambda leaf: jnp.asarray(leaf + 0.02 * rng.standard_normal(leaf.shape, np.float32))  # noqa: E731
        return jax.tree.map(move, jax.device_get(self.initial_params))

    @cached_property
    def initial_params(self) -> Any:
        return nn.unbox(jax.jit(self.model.init)(device_key(self.seed, "init")))

    @property
    def ordinary(self) -> np.ndarray:
        """Ids that stand for text, ascending."""
        special_V = self.vocab.special_V
        return np.flatnonzero(~special_V) if special_V.size else np.arange(self.vocab.size)

    @property
    def noise(self) -> Any:
        """The key of a step's noise."""
        return device_key(self.seed, "noise")

    def example(self, row: int, windows: Sequence[Window], seq_len: int | None = None) -> Example:
        """The row as training would prepare it."""
        rng = host_generator(self.seed, "prepare", row)
        return self.objective.prepare(tuple(windows), rng, self.vocab, seq_len or self.seq_len)

    def padding(self) -> Example:
        """The row that stands for none."""
        empty = Window.empty(self.objective.raw_length(self.seq_len), self.windows[0][0].others)
        return self.example(-1, (empty,) * self.objective.num_windows)

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Places of a row's decoder side, and of its encoder's if it has one."""
        padding = self.padding()
        return tuple(len(padding[name]) for name in ("tokens", "encoder_tokens") if name in padding)

    @cached_property
    def batch(self) -> dict[str, np.ndarray]:
        """16 rows of uneven weight: of falling lengths, every second of two documents, the last a row of padding."""
        rows: list[Example] = []
        for i in range(15):
            first, *others = self.windows[i % len(self.windows)]
            first = glued(first, self.windows[(i + 1) % len(self.windows)][0]) if i % 2 else first
            kept = len(first.ids_N) - (i * 5) % (len(first.ids_N) // 2)
            rows.append({**self.example(i, (shortened(first, kept), *others)), "row": np.array(i, np.int32)})
        return stack([*rows, {**self.padding(), "row": np.array(-1, np.int32)}])

    @cached_property
    def sums(self) -> Callable[[Any, Any], Sums]:
        """(params, batch) -> the objective's sums with a step's noise; compiled once for a shape of batch."""
        return jax.jit(lambda params, batch: self.objective.loss(self.model, params, batch, self.noise))

    @cached_property
    def gradient(self) -> Callable[[Any, Any], Any]:
        """(params, batch) -> the gradient of the terms' numerators, likewise."""
        return jax.jit(jax.grad(lambda params, batch: sum(self.sums(params, batch).terms.values())))

    def computed(self, **how: Any) -> "Subject":
        """The same with a model that is computed another way; the parameters stay."""
        other = replace(self, model=self.model.computed(**how))
        other.__dict__["params"], other.__dict__["batch"] = self.params, self.batch
        return other


def stack(rows: Sequence[Example]) -> dict[str, np.ndarray]:
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def shortened(window: Window, kept: int) -> Window:
    """The window with its tokens from place `kept` on turned to padding."""
    place = np.arange(len(window.ids_N)) < kept
    return window._replace(
        ids_N=np.where(place, window.ids_N, 0),
        segments_N=np.where(place, window.segments_N, 0),
        positions_N=np.where(place, window.positions_N, 0),
        others={name: shortened(other, kept) for name, other in window.others.items()},
    )


def glued(first: Window, second: Window) -> Window:
    """The beginnings of two windows as two documents in one: stores of long documents seldom have a window of two."""
    half = len(first.ids_N) // 2
    sizes = half, len(first.ids_N) - half
    sentences_N = None
    if first.sentences_N is not None and second.sentences_N is not None:
        sentences_N = np.concatenate([first.sentences_N[: sizes[0]], second.sentences_N[: sizes[1]]])
    return Window(
        ids_N=np.concatenate([first.ids_N[: sizes[0]], second.ids_N[: sizes[1]]]),
        segments_N=np.repeat(np.array([1, 2], np.int32), sizes),
        positions_N=np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
        sentences_N=sentences_N,
        others={name: glued(other, second.others[name]) for name, other in first.others.items()},
    )


def spread(tree: Any, other: Any) -> float:
    """The norm of the difference of two trees, over the norm of the first; by numpy: nothing is compiled for it."""
    pairs = zip(*(jax.tree.leaves(jax.device_get(t)) for t in (tree, other)), strict=True)
    squares = np.sum([[np.sum(np.square(a - b, dtype=float)), np.sum(np.square(a, dtype=float))] for a, b in pairs], axis=0)
    return float(np.sqrt(squares[0] / (squares[1] + 1e-60)))
