"""What a token store holds out: its text, back from its tokens, and how predictable its tokens are by themselves."""

from collections.abc import Iterator
from itertools import islice, pairwise

import numpy as np

from jaxlm.data import Store
from jaxlm.data.store import Split
from jaxlm.tokenizer.base import Tokenizer


def texts(store: Store, tokenizer: Tokenizer, split: Split, stream: str | None = None) -> Iterator[str]:
    """Each document's text of this stream, by default the first, in the order of the store."""
    for source in store.sources(split):
        part = store.part(split, source)
        for start, stop in pairwise(part.offsets(stream).tolist()):
            yield tokenizer.decode(part.ids(start, stop, stream))


def pairs(store: Store, tokenizer: Tokenizer, streams: tuple[str, ...], number: int) -> list[tuple[str, ...]]:
    """The texts of these streams of `number` held-out documents, spread over all of them."""
    found = list(zip(*(texts(store, tokenizer, "validation", stream) for stream in streams), strict=True))
    return [found[k * len(found) // number] for k in range(number)]


def unigram_nats(store: Store, tokenizer: Tokenizer) -> float:
    """Entropy in nats of the held-out tokens, special ones left out: what a reader pays for one who knows the frequency
    of each and nothing of its neighbours."""
    counts_V = np.zeros(tokenizer.vocab.size)
    for source in store.sources("validation"):
        part = store.part("validation", source)
        counts_V += np.bincount(part.ids(0, part.num_tokens), minlength=counts_V.size)
    counts_V[tokenizer.vocab.special_V] = 0
    shares = counts_V[counts_V > 0] / counts_V.sum()
    return float(-(shares * np.log(shares)).sum())


def openings(store: Store, tokenizer: Tokenizer, number: int, length: int = 48) -> list[str]:
    """The first words of `number` held-out documents, spread over all of them: prompts that training never saw."""
    found = [text for text in texts(store, tokenizer, "validation") if len(text) > 2 * length]
    if not found:
        found = list(texts(store, tokenizer, "validation"))
    if len(found) < number:  # few long documents: cut prompts from their middles
        found = [text[k * len(text) // number :] for text in found for k in range(number)]
    chosen = [found[k * len(found) // number] for k in range(number)]
    return [text[:length].rsplit(" ", 1)[0] if " " in text[:length].strip() else text[:length] for text in chosen]


def first_words(store: Store, tokenizer: Tokenizer, number: int) -> list[str]:
    """So many words of letters that follow each other, the first that the held-out documents begin with; else any words."""
    beginnings = [text[:1000].split() for text in islice(texts(store, tokenizer, "validation"), 20)]
    for words in beginnings:
        for i in range(len(words) - number + 1):
            if all(word.isalpha() for word in words[i : i + number]):
                return words[i : i + number]
    return max(beginnings, key=len, default=[])[:number]


def gaps(store: Store, tokenizer: Tokenizer, number: int) -> list[tuple[str, str]]:
    """`number` held-out sentences with one word hidden, and the word; words that are one token alone."""
    sentences = [
        " ".join(line.split())
        for text in texts(store, tokenizer, "validation")
        for line in text.replace("\n\n", ". ").split(". ")
        if 40 <= len(line) <= 140 and len(line.split()) >= 7
    ]
    found = []
    for k in range(len(sentences)):
        words = sentences[(k * 7919) % len(sentences)].split(" ")
        places = [i for i in range(2, len(words) - 2) if words[i].isalpha() and _is_one_token(tokenizer, words[i])]
        if places:
            i = places[len(places) // 2]
            found.append((" ".join([*words[:i], "[MASK]", *words[i + 1 :]]), words[i]))
        if len(found) == number:
            break
    return found


def _is_one_token(tokenizer: Tokenizer, word: str) -> bool:
    return len(tokenizer.encode_batch([f" {word}"])[0]) == 1 and len(word) > 1
