"""`jaxlm tokenizer show`."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from typing import Any

from jaxlm.cli.command import Command, flag, positional


@dataclass(frozen=True)
class TokenizerShowArguments:
    """The words of `jaxlm tokenizer show`."""

    run: str = positional("A run folder.")
    text: str = flag(MISSING, "TEXT", "The text to cut into tokens.")


def run(arguments: TokenizerShowArguments) -> Mapping[str, Any]:
    """Prints each token with its id, `*` where it starts a word; returns them, and the text that they give back."""
    from jaxlm.run.loaded import run_folder, run_tokenizer

    tokenizer = run_tokenizer(run_folder(arguments.run))
    (ids,) = tokenizer.encode_batch([arguments.text])
    pieces = tokenizer.pieces(ids)
    starts_V = tokenizer.vocab.starts_word_V  # None: this kind of tokenizer marks no words
    for number, piece in zip(ids, pieces, strict=True):
        print(f"{number:>8} {'*' if starts_V is not None and starts_V[number] else ' '} {piece}")
    marks = "" if starts_V is None else "; * starts a word"
    print(f"{len(ids)} tokens, {len(arguments.text.encode())} bytes; a vocabulary of {tokenizer.vocab.size}{marks}")
    return {
        "ids": ids.tolist(),
        "pieces": pieces,
        "text": tokenizer.decode(ids),
        "vocab_size": tokenizer.vocab.size,
        "digest": tokenizer.vocab.digest,
    }


COMMAND = Command(
    name="tokenizer show",
    summary="Print the tokens of a text, with their ids and which of them start a word.",
    arguments=TokenizerShowArguments,
    run=run,
    examples=('jaxlm tokenizer show runs/quickstart --text "The cat sat."',),
)
