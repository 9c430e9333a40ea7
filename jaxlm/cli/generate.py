"""`jaxlm generate`."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, replace
from typing import TYPE_CHECKING, Any

from jaxlm.cli.command import Command, flag, positional

if TYPE_CHECKING:
    from jaxlm.generate import Candidate, Completion, Piece
    from jaxlm.run.loaded import Loaded


@dataclass(frozen=True)
class GenerateArguments:
    """The words of `jaxlm generate`."""

    run: str = positional("A run folder of a causal model, or of an encoder-decoder.")
    prompt: tuple[str, ...] = flag(
        MISSING, "TEXT", "What is written on, or, where there is an encoder, what it reads; may be given several times."
    )
    max_tokens: int | None = flag(None, "N", "New tokens at most. Without it: 100, or what the model's context still holds.")
    temperature: float = flag(1.0, "T", "Below 1 likelier, above 1 wilder; 0 takes the likeliest token each time.")
    top_k: int | None = flag(None, "K", "Draw from the K likeliest tokens.")
    top_p: float | None = flag(None, "P", "Draw from the fewest likeliest tokens that hold this probability together.")
    num_beams: int | None = flag(None, "N", "Search the likeliest text, with N beginnings kept at a time, in place of drawing.")
    length_penalty: float | None = flag(
        None, "A", "Of that search: scores are log P / ((5 + tokens) / 6)^A. Without it: 0.6; more for longer texts."
    )
    num_samples: int = flag(1, "S", "Texts a prompt; of a search the S best.")
    seed: int = flag(0, "N", "The same seed and prompt give the same text.")
    top: int = flag(0, "N", "Show the N likeliest tokens at each place, with probability and bits.")
    trust: bool = flag(False, "", "Where the run's model is its recipe's own code, run it.")


def run(arguments: GenerateArguments) -> Mapping[str, Any]:
    """Writes each prompt on; one text is printed as it comes."""
    from jaxlm.generate import Continuation, collect, stream_pieces

    settings = Continuation.of(
        max_tokens=arguments.max_tokens,
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        top_p=arguments.top_p,
        num_beams=arguments.num_beams,
        length_penalty=arguments.length_penalty,
        num_samples=arguments.num_samples,
        seed=arguments.seed,
        top=arguments.top,
    )
    from jaxlm.run.api import load
    from jaxlm.train.waiting import awaited

    loaded = load(arguments.run, trust=arguments.trust)
    settings, prompts = replace(settings, prefix=loaded.prefix), arguments.prompt
    _note_long(prompts, loaded)
    pieces = awaited("compiling, to write", stream_pieces(loaded.model, loaded.params, loaded.tokenizer, prompts, settings))
    beginnings = ["" if loaded.model.encoder else prompt for prompt in prompts]
    if len(prompts) * settings.num_samples == 1:
        completions = collect(_shown(beginnings[0], pieces))
        _show_candidates(completions[0])
    else:
        completions = collect(pieces)
        for row, completion in enumerate(completions):
            prompt, sample = divmod(row, settings.num_samples)
            print(f"--- prompt {prompt + 1}, sample {sample + 1}\n{beginnings[prompt]}{completion.text}")
            _show_candidates(completion)
    result: dict[str, Any] = {"prompts": list(prompts), "completions": [completion.text for completion in completions]}
    if settings.top:
        result["candidates"] = [[_as_json(place) for place in completion.likeliest] for completion in completions]
        result["chosen"] = [_as_json(completion.chosen) for completion in completions]
    return result


def _note_long(prompts: tuple[str, ...], loaded: "Loaded") -> None:
    """A model of rotary positions takes a prompt of any length, and need not be good at what it never saw."""
    longest = max(map(len, loaded.tokenizer.encode_batch(prompts)))
    if loaded.model.max_length is None and longest > loaded.seq_len:
        note = f"note: a prompt has {longest:,} tokens, and the model was trained on rows of {loaded.seq_len:,}"
        print(note, file=sys.stderr, flush=True)


def _shown(beginning: str, pieces: "Iterator[Piece]") -> "Iterator[Piece]":
    """The pieces, each printed on its way."""
    print(beginning, end="", flush=True)
    for piece in pieces:
        print(piece.text, end="", flush=True)
        yield piece
    print()


def _show_candidates(completion: "Completion") -> None:
    """A line for each token: itself, its probability and bits, then the likeliest ones at its place."""
    for chosen, likeliest in zip(completion.chosen, completion.likeliest, strict=True):
        if likeliest:
            others = "  ".join(f"{c.token!r} {c.probability:.3f}" for c in likeliest)
            print(f"{chosen.token!r:>16} {chosen.probability:.3f} {chosen.bits:5.2f} bits   {others}")


def _as_json(place: "tuple[Candidate, ...]") -> list[dict[str, Any]]:
    return [{**c._asdict(), "bits": c.bits} for c in place]


COMMAND = Command(
    name="generate",
    summary="Write a text on with a trained causal model, or answer one with an encoder-decoder.",
    arguments=GenerateArguments,
    run=run,
    examples=(
        'jaxlm generate runs/quickstart --prompt "The "',
        'jaxlm generate runs/quickstart --prompt "Once" --max-tokens 50 --temperature 0.8 --top-p 0.95 --num-samples 3',
        'jaxlm generate runs/quickstart --prompt "def " --temperature 0 --top 5     what else it held likely',
        'jaxlm generate runs/nano-seq2seq --prompt "json.load(fp)" --num-beams 4',
    ),
)
