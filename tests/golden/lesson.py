"""A vocabulary of a few words, text as pieces, and dice that fall as told: for examples written out by hand."""

import numpy as np

from jaxlm.core import Window
from jaxlm.tokenizer.ids import make_vocab

SPECIALS = ["<pad>", "<unk>", "<s>", "</s>", "[MASK]", "[CLS]", "[SEP]", "<0>", "<1>", "<2>", "<R>", "<S>", "<X>"]
PIECES = ["_the", "_cat", "_sat", "_on", "_a", "_ma", "t", "s", "_dog", "_ran", "."]
NAMES = SPECIALS + PIECES
ID = {name: id for id, name in enumerate(NAMES)}

VOCAB = make_vocab(len(NAMES), 6, "lesson", np.array([name.startswith("_") for name in NAMES]))


def window(*documents: str, length: int) -> Window:
    """Documents of pieces, one after the other, then padding."""
    return Window.of([np.array([ID[name] for name in document.split()]) for document in documents], length)


def sentences(document: str, length: int) -> Window:
    """A document, of which pieces behind a "/" start a sentence."""
    pieces = document.split()
    starts_N = np.array([piece.startswith("/") for piece in pieces] + [False] * length)[:length]
    return window(document.replace("/_", "_"), length=length)._replace(sentences_N=starts_N)


def names(ids: np.ndarray) -> str:
    return " ".join(NAMES[id] for id in ids.tolist())


class Dice:
    """A generator whose draws are given: each method takes the next of its own."""

    def __init__(self, **draws: list):
        self._draws = {name: iter(values) for name, values in draws.items()}

    def __getattr__(self, name: str):
        return lambda *args, **kwargs: np.array(next(self._draws[name]))
