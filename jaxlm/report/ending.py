"""What a run shows at its end: how good it is beside what everybody knows, what it says, and how to go on."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from jaxlm.core.vocab import Gaps
from jaxlm.data import Store
from jaxlm.generate import Continuation, fill_mask, fill_spans, generate_texts, stream_pieces
from jaxlm.report.compressors import bits_per_byte
from jaxlm.report.held_out import first_words, gaps, openings, pairs, texts, unigram_nats
from jaxlm.report.replaced import judged
from jaxlm.tokenizer.base import Tokenizer
from jaxlm.train.run import Run
from jaxlm.train.waiting import awaited, waiting

Say = Callable[[str], None]


class Own(NamedTuple):
    """What of a run is its recipe's own code, and must be trusted to be used again."""

    model: bool
    any: bool


def show_ending(run: Run, params: Any, tokenizer: Tokenizer, store: Store, summary: Mapping[str, Any], own: Own, say: Say) -> None:
    """Prints the ending of a finished run, as far as its `log` asks for it."""
    model, log, partial = run.model, run.log, run.train.eval_batches
    if log.compressors and "eval/bits_per_byte" in summary:
        ours = summary["eval/bits_per_byte"]
        with waiting("compressing the text, to compare"):
            said = _partial(ours, partial) if partial is not None else _comparison(ours, store, tokenizer)
        say(said)
    elif "eval/bits_per_masked_byte" in summary:
        others = sum(summary.get(f"eval/{term}", 0.0) for term in ("pair_nll", "router_balance", "router_z"))
        say(
            f"\nheld-out text: {summary['eval/loss'] - others:.3f} nats for a hidden token "
            f"({unigram_nats(store, tokenizer):.3f} for who knows only how often each token occurs), "
            f"{summary['eval/bits_per_masked_byte']:.3f} bits per masked byte; "
            f"{summary['eval/accuracy']:.0%} of the hidden tokens guessed right\n"
            "(bits per masked byte: how many bits one hidden byte costs a reader who sees all around it; fewer is better)"
        )
        if "eval/pair_nll" in summary:
            say(
                f"held-out pairs: {summary['eval/pair_accuracy']:.1%} told rightly, {summary['eval/pair_nll']:.3f} nats each "
                "(0.693 for who throws a coin)"
            )
    elif "eval/bits_per_target_byte" in summary:
        say(
            f"\nheld-out pairs: {summary['eval/bits_per_target_byte']:.3f} bits per byte of the target\n"
            "(how many bits one byte of it costs a reader who knows its source; fewer is better)"
        )
    elif (said_of_both := judged(summary)) is not None:
        unigram = unigram_nats(store, tokenizer)
        say(f"\nheld-out text: {said_of_both} ({unigram:.3f} nats for who knows only how often each token occurs)")
    streams, asked = run.objective.streams, run.objective.gaps(tokenizer.vocab)
    if log.samples and streams:
        _show_pairs(model, params, tokenizer, pairs(store, tokenizer, streams, log.samples), say)
    elif log.samples and model.attention == "causal" and not model.encoder:
        _show_samples(run, params, tokenizer, openings(store, tokenizer, log.samples), say)
    elif log.samples and asked is not None:
        _show_spans(model, params, tokenizer, gaps(store, tokenizer, log.samples), asked, say)
    elif log.samples and not model.encoder and tokenizer.vocab.mask is not None:
        _show_filled(run, params, tokenizer, gaps(store, tokenizer, log.samples), say)
    say(f"\nThe run lies in {_short(run.folder)}. Next:")
    fills = model.attention != "causal" or asked is not None
    words = [pairs(store, tokenizer, streams, 1)[0][1]] if streams else first_words(store, tokenizer, 6 if fills else 2)
    use, *others = _next_commands(quote(_short(run.folder)), fills, words, "--num-beams 4" if streams else "--top 5", own)
    for line in others if model.encoder and not streams and not fills else (use, *others):
        say(f"  {line}")


def _partial(ours: float, eval_batches: int) -> str:
    return (
        f"\nheld-out text: {ours:.3f} bits per byte over the first {eval_batches} batches of it (train.eval_batches); "
        "compressors are set beside an evaluation of all of it alone"
    )


def _comparison(ours: float, store: Store, tokenizer: Tokenizer) -> str:
    held_out, training = ("".join(texts(store, tokenizer, split)).encode() for split in ("validation", "train"))
    lines = [
        f"\nheld-out text, {len(held_out):,} bytes that training never saw, in bits per byte",
        f"  {'this model':<42}{ours:.3f}",
    ]
    for name, (alone, after) in bits_per_byte(held_out, training).items():
        lines += [f"  {name + ', alone':<42}{alone:.3f}", f"  {name + ', with the training text before it':<42}{after:.3f}"]
    lines.append(
        "(bits per byte: how many bits one byte of the text costs if the model's predictions are used to compress it; plain text "
        "has 8, fewer is better)"
    )
    return "\n".join(lines)


def _show_samples(run: Run, params: Any, tokenizer: Tokenizer, prompts: list[str], say: Say) -> None:
    model, prefix = run.model, run.objective.prefix
    for number, prompt in enumerate(prompts, 1):
        say(f"\nsample {number}: {prompt!r}, and how the model goes on")
        used = 1 + len(tokenizer.encode_batch([prompt])[0])
        room = 60 if model.max_length is None else min(60, model.max_length - used)
        settings = Continuation.of(temperature=0.7, top_k=50, seed=number, max_tokens=room, prefix=prefix)
        pieces = awaited("compiling, to write", stream_pieces(model, params, tokenizer, [prompt], settings))
        print("  | " + prompt.replace("\n", "\n  | "), end="", flush=True)
        for piece in pieces:
            print(piece.text.replace("\n", "\n  | "), end="", flush=True)
        print()


def _show_pairs(model: Any, params: Any, tokenizer: Tokenizer, held_out: list[tuple[str, ...]], say: Say) -> None:
    with waiting("compiling, to write"):
        answers = generate_texts(model, params, tokenizer, [source for _, source in held_out], num_beams=4)
    for (target, source), answer in zip(held_out, answers, strict=True):
        say(f"\n  {source}\n    it was: {target}\n    the model says: {answer}")


def _show_filled(run: Run, params: Any, tokenizer: Tokenizer, hidden: list[tuple[str, str]], say: Say) -> None:
    with waiting("compiling, to fill gaps"):
        prompts = [prompt for prompt, _ in hidden]
        filled = fill_mask(run.model, params, tokenizer, prompts, top=3, ends=run.objective.ends)
    for (prompt, word), answer in zip(hidden, filled, strict=True):
        guesses = ", ".join(f"{c.token.strip('▁ ')} {c.probability:.0%}" for c in answer.masks[0])
        say(f"\n  {prompt}\n    it was: {word};  the model says: {guesses}")


def _show_spans(model: Any, params: Any, tokenizer: Tokenizer, hidden: list[tuple[str, str]], asked: Gaps, say: Say) -> None:
    with waiting("compiling, to fill gaps"):
        prompts = [prompt for prompt, _ in hidden]
        found = fill_spans(model, params, tokenizer, prompts, asked, top=3)
    for (prompt, word), answers in zip(hidden, found, strict=True):
        guesses = ", ".join(f"{answer.spans[0].strip()!r} {math.exp(answer.log_prob):.0%}" for answer in answers)
        say(f"\n  {prompt}\n    it was: {word};  the model says: {guesses}")


def _next_commands(folder: str, fills: bool, words: list[str], how: str, own: Own) -> list[str]:
    if fills:
        use = f"jaxlm fill-mask {folder} --prompt {quote(' '.join([*words[:2], '[MASK]', *words[3:]]))}"
    else:
        use = f"jaxlm generate {folder} --prompt {quote(' '.join(words))} {how}"
    show = f"jaxlm data show {folder} --step 1 --row 0"
    again = f"jaxlm train {folder} --run-dir {folder}-again --train.seed 1"
    trusted = (own.model, own.any, own.any)
    return [f"{command} --trust" if trust else command for command, trust in zip((use, show, again), trusted, strict=True)]


def _short(folder: Path) -> str:
    """The folder as one would type it here."""
    try:
        return str(folder.relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
