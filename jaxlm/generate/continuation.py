"""Prompts to text: what the model writes after each, at once or as it comes."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlm.core import ConfigError
from jaxlm.core.errors import require_seed
from jaxlm.core.noise import device_key
from jaxlm.generate.candidates import Candidate, candidates, check_top
from jaxlm.generate.decode import stream
from jaxlm.generate.prompts import require_no_encoder
from jaxlm.generate.sampling import Sampling
from jaxlm.generate.streaming import TextStream
from jaxlm.tokenizer.base import Tokenizer

MAX_TOKENS = 100
"""Where none are asked for and the context holds as many."""


@dataclass(frozen=True)
class Continuation:
    """How prompts are continued."""

    max_tokens: int | None = None
    """New tokens at most; None: 100, or what the model's context still holds. The end token ends a text before."""
    sampling: Sampling = Sampling()
    num_samples: int = 1
    """Texts a prompt."""
    seed: int = 0
    """Noise is a function of seed, prompt and number of the sample: other prompts beside it change nothing."""
    stop_ids: tuple[int, ...] = ()
    """Ids that end a text, beside the tokenizer's end token."""
    top: int = 0
    """Tell so many of the likeliest tokens at each place."""

    @classmethod
    def of(
        cls, *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None, **settings: Any
    ) -> "Continuation":
        """The same from flat settings."""
        return cls(sampling=Sampling(temperature, top_k, 1.0 if top_p is None else top_p), **settings)

    def __post_init__(self) -> None:
        require_seed("--seed", self.seed)
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ConfigError(f"--max-tokens: {self.max_tokens} is not at least 1.")
        if self.num_samples < 1:
            raise ConfigError(f"--num-samples: {self.num_samples} is not at least 1.")
        if self.num_samples > 1 and self.sampling.temperature == 0:
            raise ConfigError(
                f"--num-samples: {self.num_samples} at temperature 0 would be one text many times. Give a --temperature above 0."
            )


SETTINGS = tuple(field.name for cls in (Continuation, Sampling) for field in fields(cls) if field.name != "sampling")
"""The names that `Continuation.of` takes."""


class Piece(NamedTuple):
    """One new token of one text."""

    row: int
    """Number of the text: number of the prompt * num_samples + number of the sample."""
    text: str
    """What it adds; "" while a character is incomplete, and for a token that ends the text."""
    chosen: Candidate
    """The token itself."""
    likeliest: tuple[Candidate, ...]
    """The `top` likeliest tokens at this place."""
    last: bool
    """The text ends here."""


class Completion(NamedTuple):
    """What the model wrote after a prompt."""

    text: str
    chosen: tuple[Candidate, ...]
    """Its tokens, the end token included where it came."""
    likeliest: tuple[tuple[Candidate, ...], ...]
    """The likeliest tokens at each place; as many as were asked for."""


def generate_texts(model: Any, params: Any, tokenizer: Tokenizer, prompts: Sequence[str], **settings: Any) -> list[str]:
    """Continuations of each prompt, without the prompt.

    Args:
      **settings: `max_tokens`, `temperature` (0: greedy), `top_k`, `top_p`, `num_samples`, `seed`, `stop_ids`; see
        `Continuation` and `Sampling`.

    Returns:
      len(prompts) * num_samples texts, those of one prompt together.

    Raises:
      ConfigError: a setting is out of its bounds, a prompt does not fit the context, the model looks both ways.
    """
    return [completion.text for completion in complete(model, params, tokenizer, prompts, Continuation.of(**settings))]


def complete(
    model: Any, params: Any, tokenizer: Tokenizer, prompts: Sequence[str], settings: Continuation = Continuation()
) -> list[Completion]:
    """As `generate_texts`, with the tokens and their probabilities."""
    return collect(stream_pieces(model, params, tokenizer, prompts, settings))


def collect(pieces: Iterable[Piece]) -> list[Completion]:
    """The texts that these pieces make, in the order of rows."""
    rows: dict[int, list[Piece]] = {}
    for piece in pieces:
        rows.setdefault(piece.row, []).append(piece)
    return [
        Completion("".join(piece.text for piece in own), tuple(p.chosen for p in own), tuple(p.likeliest for p in own))
        for _, own in sorted(rows.items())
    ]


def stream_pieces(
    model: Any, params: Any, tokenizer: Tokenizer, prompts: Sequence[str], settings: Continuation = Continuation()
) -> Iterator[Piece]:
    """The texts' tokens as they are drawn, one of each text that goes on, in turn. Errors come before the first."""
    vocab = tokenizer.vocab
    check_top(settings.top, 0, vocab.size)
    require_no_encoder("generate", model)
    if model.attention != "causal":
        raise ConfigError(
            f"generate: the model's attention is {model.attention}, so it cannot write a text on; use `jaxlm fill-mask`, "
            "or a run of a causal model."
        )
    ids = [np.concatenate([[vocab.bos], ids_N]).astype(np.int32) for ids_N in tokenizer.encode_batch(prompts)]
    limits = [_limit(len(ids_N), settings.max_tokens, model.max_length) for ids_N in ids]
    rows = [(ids_N, limit, sample) for ids_N, limit in zip(ids, limits, strict=True) for sample in range(settings.num_samples)]
    return _pieces(model, params, tokenizer, rows, settings)


def _pieces(
    model: Any, params: Any, tokenizer: Tokenizer, rows: Sequence[tuple[np.ndarray, int, int]], settings: Continuation
) -> Iterator[Piece]:
    if not rows:
        return
    stop_ids = {tokenizer.vocab.eos, *settings.stop_ids}
    steps = stream(
        model,
        params,
        [ids_N for ids_N, _, _ in rows],
        limits=[limit for _, limit, _ in rows],
        keys_B=_keys(settings.seed, rows),
        sampling=settings.sampling,
        stop_ids=stop_ids,
        vocab_size=tokenizer.vocab.size,
        top=settings.top,
    )
    texts = [TextStream(tokenizer, ids_N.tolist()) for ids_N, _, _ in rows]
    for step in steps:
        for row in np.flatnonzero(step.running_B).tolist():
            id, last = int(step.ids_B[row]), bool(step.finished_B[row])
            text = texts[row].end() if id in stop_ids else texts[row].push(id, last=last)
            (chosen,) = candidates(tokenizer, [id], [step.log_probs_B[row]])
            likeliest = candidates(tokenizer, step.top_ids_BT[row], step.top_log_probs_BT[row])
            yield Piece(row, text, chosen, likeliest, last)


def _keys(seed: int, rows: Sequence[tuple[np.ndarray, int, int]]) -> Any:
    """One key a row, of its prompt and the number of its sample."""
    numbers = [(zlib.crc32(ids_N.tobytes()), sample) for ids_N, _, sample in rows]
    prompts_B, samples_B = jnp.array(numbers, jnp.uint32).T
    return jax.vmap(jax.random.fold_in)(jax.vmap(jax.random.fold_in, (None, 0))(device_key(seed, "generate"), prompts_B), samples_B)


def _limit(length: int, max_tokens: int | None, max_length: int | None) -> int:
    """The most new tokens after a prompt of this many; max_length None: the model has no bound."""
    if max_length is None:
        return max_tokens or MAX_TOKENS
    left = max_length - length
    if left < 1:
        raise ConfigError(
            f"--prompt: its {length} tokens leave no room in the model's context of {max_length}. Shorten it to at most "
            f"{max_length - 1} tokens, the begin token included."
        )
    if max_tokens is not None and max_tokens > left:
        raise ConfigError(
            f"--max-tokens: {max_tokens} after a prompt of {length} tokens is more than the model's context of {max_length}. "
            f"Give at most {left}, or a shorter prompt."
        )
    return min(max_tokens or MAX_TOKENS, left)
