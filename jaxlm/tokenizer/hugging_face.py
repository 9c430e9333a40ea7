"""Tokenizers of Hugging Face's `tokenizers` library, from their files; published models bring them."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from jaxlm.core import ConfigError, RunError, Vocab
from jaxlm.core.paths import write_whole
from jaxlm.tokenizer.base import TokenizerConfig
from jaxlm.tokenizer.folder import read_part, write_description
from jaxlm.tokenizer.hugging_face_files import SENTINEL, SPECIALS, read_definition
from jaxlm.tokenizer.ids import id_dtype, spacing

FILE = "tokenizer.json"
BYTE_LEVEL = {"Ġ": " ", "Ċ": "\n", "ĉ": "\t", "č": "\r"}
"""How the library writes white space where it writes bytes."""
SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class TokenizersFile(TokenizerConfig):
    """A published tokenizer, unchanged; special ids are found by their names ([PAD] [CLS] <s> </s> <mask> ...).

    Where a tokenizer has no pad, eos is taken (GPT-2); where it has no bos, pad is (T5); where it has a mask but no
    [CLS] and [SEP], bos and eos are (RoBERTa).
    """

    path: Path
    """A tokenizer.json, or a folder with it, with vocab.json and merges.txt (GPT-2, RoBERTa), or with vocab.txt (BERT)."""

    def train(self, texts: Callable[[], Iterable[str]]) -> "HuggingFaceTokenizer":
        """The tokenizer of the file; the texts are not read.

        Raises:
          ConfigError: the path is missing, or holds no such tokenizer, or one without an end token.
        """
        definition = json.dumps(read_definition(self.path), ensure_ascii=True, sort_keys=True)
        try:
            return HuggingFaceTokenizer(definition)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"tokenizer.path: {self.path} is no tokenizer ({error}).") from error


class HuggingFaceTokenizer:
    """A tokenizer in the format of tokenizer.json. Lossless only where the published one is; lone surrogates become U+FFFD.

    No special token is looked for in text; added tokens that stand for text are. Where a vocabulary would still give a
    special id for text that looks like its name (a unigram model does), that stretch is encoded character by character.
    """

    def __init__(self, definition: str):
        self.definition = definition
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(definition)
        except Exception as error:  # the library raises plain Exception
            raise ValueError(str(error)) from error
        self._tokenizer.encode_special_tokens = True  # special tokens in text are text
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        self._names: dict[int, str] = {id: name for name, id in vocabulary.items()}
        self.vocab = _vocab(vocabulary, json.loads(definition), sha256(b"tokenizers 1 " + definition.encode()).hexdigest())
        self._forged_V = self.vocab.special_V.copy()  # special ids that no text may give
        if self.vocab.unk is not None:
            self._forged_V[self.vocab.unk] = False

    def __reduce__(self) -> tuple[Any, ...]:
        return HuggingFaceTokenizer, (self.definition,)

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        texts = [SURROGATES.sub("\ufffd", text) for text in texts]
        encoded = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ids = [np.array(encoding.ids, id_dtype(self.vocab.size)) for encoding in encoded]
        return [self._unforged(text)[0] if self._forged_V[ids_N].any() else ids_N for text, ids_N in zip(texts, ids, strict=True)]

    def encode_with_ends(self, texts: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        return [self._unforged(SURROGATES.sub("\ufffd", text)) for text in texts]

    def _unforged(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Ids, none of them forged, and the character at which each ends."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        ids: list[int] = []
        ends: list[int] = []
        for id, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            if not self._forged_V[id]:
                ids.append(id)
                ends.append(end)
                continue
            for place in range(start, end):
                of_character = self._tokenizer.encode(text[place], add_special_tokens=False).ids
                ids += of_character
                ends += [place + 1] * len(of_character)
        return np.array(ids, id_dtype(self.vocab.size)), np.maximum.accumulate(np.array(ends, np.int64))

    def decode(self, ids_N: Sequence[int] | np.ndarray) -> str:
        text_ids = [i for i in np.asarray(ids_N).tolist() if not self.vocab.special_V[i]]
        return self._tokenizer.decode(text_ids, skip_special_tokens=False)

    def pieces(self, ids_N: Sequence[int] | np.ndarray) -> list[str]:
        return [self._names.get(i, f"<{i}>") for i in np.asarray(ids_N).tolist()]

    def save(self, folder: Path) -> None:
        write_whole(folder / FILE, self.definition)
        write_description(folder, "tokenizers", self.vocab.digest)

    @classmethod
    def load(cls, folder: Path) -> "HuggingFaceTokenizer":
        """The tokenizer that `save` described.

        Raises:
          RunError: its file is missing or broken.
        """
        path = folder / FILE
        try:
            return cls(read_part(path).decode("ascii"))
        except ValueError as error:
            raise RunError(
                f"{path} is no tokenizer of the tokenizers library ({error}). Restore it from the run that made it."
            ) from error


def _vocab(vocabulary: Mapping[str, int], definition: Mapping[str, Any], digest: str) -> Vocab:
    found = {role: next((vocabulary[name] for name in names if name in vocabulary), None) for role, names in SPECIALS.items()}
    eos = found["eos"]
    if eos is None:
        raise ValueError(f"it has no end token; one of {' '.join(SPECIALS['eos'])} is wanted")
    pad = eos if found["pad"] is None else found["pad"]
    bos = pad if found["bos"] is None else found["bos"]
    if found["mask"] is not None and found["cls"] is None:
        found |= {"cls": bos, "sep": eos}
    sentinels = sorted((int(match[1]), id) for name, id in vocabulary.items() if (match := SENTINEL.fullmatch(name)))
    size = max(vocabulary.values()) + 1
    special_V = np.zeros(size, bool)
    special_V[[pad, bos, eos, *(id for id in found.values() if id is not None), *(id for _, id in sentinels)]] = True
    special_V[[token["id"] for token in definition["added_tokens"] if token["special"]]] = True
    return Vocab(
        size=size,
        digest=digest,
        pad=pad,
        bos=bos,
        eos=eos,
        unk=found["unk"],
        mask=found["mask"],
        cls=found["cls"],
        sep=found["sep"],
        sentinels=tuple(id for _, id in sentinels),
        special_V=special_V,
        starts_word_V=_starts_word(vocabulary, definition, special_V),
        spacing_V2=_spacing(vocabulary, definition, special_V),
    )


def _kinds(definition: Mapping[str, Any]) -> set[str]:
    """What its text passes through, by the library's names."""
    parts = json.dumps([definition["pre_tokenizer"], definition["decoder"], definition["normalizer"]])
    return set(re.findall(r'"type": "(\w+)"', parts))


def _spacing(vocabulary: Mapping[str, int], definition: Mapping[str, Any], special_V: np.ndarray) -> np.ndarray:
    """Of the names, with white space where they have marks for it."""
    marks = BYTE_LEVEL if "ByteLevel" in _kinds(definition) else {"\u2581": " "}
    table, texts = str.maketrans("".join(marks), "".join(marks.values())), [""] * len(special_V)
    for name, id in vocabulary.items():
        if not special_V[id]:
            texts[id] = name.translate(table)
    return spacing(texts)


def _starts_word(vocabulary: Mapping[str, int], definition: Mapping[str, Any], special_V: np.ndarray) -> np.ndarray | None:
    """By the marks of this kind of vocabulary; None where it has none."""
    model = definition["model"]
    kinds = _kinds(definition)
    if model.get("type") == "WordPiece":
        inside = model["continuing_subword_prefix"]
        starts = {id for name, id in vocabulary.items() if not name.startswith(inside)}
    elif "ByteLevel" in kinds or "Metaspace" in kinds:
        white = BYTE_LEVEL if "ByteLevel" in kinds else "\u2581"
        starts = {id for name, id in vocabulary.items() if name[:1] in set(white)}
    else:
        return None
    starts_word_V = np.zeros(len(special_V), bool)
    starts_word_V[list(starts)] = True
    return starts_word_V & ~special_V
