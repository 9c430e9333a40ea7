"""Prompts to text: what the model writes after each, or of each if it has an encoder; at once or as it comes."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlm.core import ConfigError, Vocab
from jaxlm.core.errors import require_seed
from jaxlm.core.noise import device_key
from jaxlm.generate.beam import Beams, search
from jaxlm.generate.candidates import Candidate, candidates, check_top
from jaxlm.generate.decode import stream
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
    prefix: bool = False
    """Prompts are read both ways, as prefixes were by a model that learnt `PrefixLM`."""
    beams: Beams | None = None
    """Search the likeliest texts, `num_samples` of each prompt, in place of drawing."""

    @classmethod
    def of(
        cls,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        num_beams: int | None = None,
        length_penalty: float | None = None,
        **settings: Any,
    ) -> "Continuation":
        """The same from flat settings."""
        if num_beams is None and length_penalty is not None:
            raise ConfigError(f"--length-penalty: {length_penalty} is of a search; give --num-beams too, such as 4.")
        beams = None
        if num_beams is not None:
            beams = Beams(num_beams) if length_penalty is None else Beams(num_beams, length_penalty)
        return cls(sampling=Sampling(temperature, top_k, 1.0 if top_p is None else top_p), beams=beams, **settings)

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
        if self.beams is not None:
            self._check_search(self.beams)

    def _check_search(self, beams: Beams) -> None:
        for flag, given in (("--temperature, --top-k or --top-p", self.sampling != Sampling()), ("--top", self.top)):
            if given:
                raise ConfigError(f"--num-beams: a search for the likeliest text draws nothing; it takes no {flag}.")
        if self.num_samples > beams.num_beams:
            raise ConfigError(
                f"--num-samples: a search with --num-beams {beams.num_beams} ends with so many texts; {self.num_samples} are more."
            )


SETTINGS = tuple(
    field.name for cls in (Continuation, Sampling, Beams) for field in fields(cls) if field.name not in ("sampling", "beams")
)
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
      **settings: `max_tokens`, `temperature` (0: greedy), `top_k`, `top_p`, `num_beams`, `length_penalty`, `num_samples`, `seed`,
        `stop_ids`, `prefix`; see `Continuation`, `Sampling` and `Beams`.

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
    check_top(settings.top, 0, tokenizer.vocab.size)
    if model.attention != "causal":
        raise ConfigError(
            f"generate: the model's attention is {model.attention}, so it cannot write a text on; use `jaxlm fill-mask`, "
            "or a run of a causal model."
        )
    given = [_given(model, tokenizer.vocab, ids_N, settings) for ids_N in tokenizer.encode_batch(prompts)]
    if not given:
        return iter(())
    if settings.beams is not None:
        return _searched(model, params, tokenizer, given, settings, settings.beams)
    return _drawn(model, params, tokenizer, given, settings)


class _Given(NamedTuple):
    """A prompt for the model."""

    start_N: np.ndarray
    """What its text goes on from."""
    read_N: np.ndarray | None
    """What its encoder reads, where it has one."""
    limit: int
    """New tokens at most."""


def _given(model: Any, vocab: Vocab, ids_N: np.ndarray, settings: Continuation) -> _Given:
    """bos and the prompt; of an encoder-decoder the prompt is the encoder's, whole as in a token store, and bos begins the text."""
    bos_1, eos_1 = (np.array([id], np.int32) for id in (vocab.bos, vocab.eos))
    if not model.encoder:
        start_N = np.concatenate([bos_1, ids_N]).astype(np.int32)
        return _Given(start_N, None, _limit(len(start_N), settings.max_tokens, model.max_length))
    read_N = np.concatenate([bos_1, ids_N, eos_1]).astype(np.int32)
    if model.max_length is not None and len(read_N) > model.max_length:
        raise ConfigError(
            f"--prompt: its {len(read_N)} tokens are more than the {model.max_length} that the model's encoder can tell apart. "
            "Shorten it; begin and end token are included."
        )
    return _Given(bos_1, read_N, _limit(1, settings.max_tokens, model.max_length))


def _drawn(model: Any, params: Any, tokenizer: Tokenizer, given: Sequence[_Given], settings: Continuation) -> Iterator[Piece]:
    rows = [(each, sample) for each in given for sample in range(settings.num_samples)]
    stop_ids = {tokenizer.vocab.eos, *settings.stop_ids}
    steps = stream(
        model,
        params,
        [each.start_N for each, _ in rows],
        limits=[each.limit for each, _ in rows],
        keys_B=_keys(settings.seed, rows),
        sampling=settings.sampling,
        stop_ids=stop_ids,
        prefix=settings.prefix,
        encoder_texts=[each.read_N for each, _ in rows if each.read_N is not None],
        vocab_size=tokenizer.vocab.size,
        top=settings.top,
    )
    texts = [TextStream(tokenizer, each.start_N.tolist()) for each, _ in rows]
    for step in steps:
        for row in np.flatnonzero(step.running_B).tolist():
            id, last = int(step.ids_B[row]), bool(step.finished_B[row])
            text = texts[row].end() if id in stop_ids else texts[row].push(id, last=last)
            (chosen,) = candidates(tokenizer, [id], [step.log_probs_B[row]])
            likeliest = candidates(tokenizer, step.top_ids_BT[row], step.top_log_probs_BT[row])
            yield Piece(row, text, chosen, likeliest, last)


def _searched(
    model: Any, params: Any, tokenizer: Tokenizer, given: Sequence[_Given], settings: Continuation, beams: Beams
) -> Iterator[Piece]:
    """The pieces of the best texts of each prompt, which are known at the end alone."""
    stop_ids = {tokenizer.vocab.eos, *settings.stop_ids}
    found = search(
        model,
        params,
        [each.start_N for each in given],
        limits=[each.limit for each in given],
        beams=beams,
        stop_ids=stop_ids,
        prefix=settings.prefix,
        encoder_texts=[each.read_N for each in given if each.read_N is not None],
        vocab_size=tokenizer.vocab.size,
    )
    for prompt, (each, texts) in enumerate(zip(given, found, strict=True)):
        for sample, best in enumerate(texts[: settings.num_samples]):
            text = TextStream(tokenizer, each.start_N.tolist())
            for number, chosen in enumerate(candidates(tokenizer, best.ids, best.log_probs), 1):
                last = number == len(best.ids)
                piece = text.end() if chosen.id in stop_ids else text.push(chosen.id, last=last)
                yield Piece(prompt * settings.num_samples + sample, piece, chosen, (), last)


def _keys(seed: int, rows: Sequence[tuple[_Given, int]]) -> Any:
    """One key a row, of its prompt and the number of its sample."""
    prompts = [(each.start_N if each.read_N is None else each.read_N).tobytes() for each, _ in rows]
    numbers = [(zlib.crc32(prompt), sample) for prompt, (_, sample) in zip(prompts, rows, strict=True)]
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
