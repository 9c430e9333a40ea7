"""SentencePiece (arXiv:1808.06226), trained on the corpus and lossless: unigram (arXiv:1804.10959) or BPE.

The library alone loses three things, which are mended here. It shows a space as U+2581 and so turns that character of a
text into a space, and it refuses lone surrogates: both are cut out and encoded as their UTF-8 bytes, by the ids of the
byte fallback. And it adds up scores in float32 over a whole text, so a long text is encoded in stretches, cut in front of
a space, where every piece ends anyway.
"""

import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import sentencepiece

from jaxlm.core import ConfigError, RunError
from jaxlm.core.paths import write_whole
from jaxlm.tokenizer.base import TokenizerConfig
from jaxlm.tokenizer.folder import read_part, write_description
from jaxlm.tokenizer.ids import byte_name, character_ends, id_dtype, join_bytes, make_vocab, spacing, special_names

MODEL_FILE = "sentencepiece.model"
SPACE = "\u2581"
BY_BYTES = re.compile(f"([{SPACE}\ud800-\udfff]+)")
"""Characters that the library would lose."""
STRETCH = re.compile(r".{0,999}[^ ](?= )|.{1,1000}", re.DOTALL)
"""At most 1,000 characters, ending in front of a space where there is one. (Training drops sentences that are too long.)"""


@dataclass(frozen=True)
class SentencePiece(TokenizerConfig):
    """A SentencePiece model trained on the corpus; decode(encode(text)) == text for any text."""

    vocab_size: int = 8000
    """Ids at most, special ones and the 256 bytes among them; a small text may give fewer."""
    model_type: Literal["unigram", "bpe"] = "unigram"
    """How pieces are found: a probabilistic model, or merges of the commonest pairs."""
    num_sentinels: int = 0
    """Sentinel ids, for span objectives."""
    max_train_bytes: int = 64 << 20
    """Training reads at most so many bytes of text; of more, stretches spaced evenly over the whole corpus."""

    def train(self, texts: Callable[[], Iterable[str]]) -> "SentencePieceTokenizer":
        """The tokenizer for these texts; the same for the same texts, on any number of cores.

        Raises:
          ConfigError: the vocabulary is too small for the special ids, the bytes and the text's characters.
          RunError: there is no text.
        """
        special = special_names(self.num_sentinels)
        least = len(special) + 256
        if self.vocab_size <= least:
            raise ConfigError(
                f"tokenizer.vocab_size: {self.vocab_size} leaves no room for text: special ids and bytes take {least}. "
                f"Use at least {least + 100}."
            )
        if self.model_type not in ("unigram", "bpe"):
            raise ConfigError(f"tokenizer.model_type: {self.model_type!r} is unknown. Allowed: bpe, unigram.")
        sentences = list(_sample(texts, self.max_train_bytes))
        if not sentences:
            raise RunError("tokenizer: there is no text to train on. Check data.sources and tokenizer.max_train_bytes.")
        return SentencePieceTokenizer(_train(sentences, self.vocab_size, self.model_type, special))


class SentencePieceTokenizer:
    """A trained model, given as its serialized bytes; threads do the encoding."""

    def __init__(self, model: bytes):
        self.model = model
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        size = self._processor.get_piece_size()
        self._names: list[str] = [self._processor.id_to_piece(i) for i in range(size)]
        num_sentinels = sum(self._processor.is_control(i) and name.startswith("<extra_id_") for i, name in enumerate(self._names))
        special = special_names(num_sentinels)
        assert tuple(self._names[: len(special)]) == special, "the special ids of this model are not where jaxlm puts them"
        assert not any(self._processor.is_control(i) for i in range(len(special), size)), "this model has special ids of its own"
        self._bytes = [b""] * len(special) + [self._bytes_of(i) for i in range(len(special), size)]
        self._num_bytes_V = np.array([len(piece) for piece in self._bytes])
        self._byte_ids = np.array([self._processor.piece_to_id(byte_name(byte)) for byte in range(256)])
        spacing_V2 = spacing([piece.decode("utf-8", "ignore") for piece in self._bytes])
        digest = sha256(b"sentencepiece 1 " + model).hexdigest()
        self.vocab = make_vocab(size, num_sentinels, digest, spacing_V2[:, 0] != 0, spacing_V2)

    def _bytes_of(self, id: int) -> bytes:
        name = self._names[id]
        return bytes([int(name[3:5], 16)]) if self._processor.is_byte(id) else name.replace(SPACE, " ").encode()

    def __reduce__(self) -> tuple[Any, ...]:
        return SentencePieceTokenizer, (self.model,)

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        parts = [list(_stretches(text)) for text in texts]
        plain = [part for of_text in parts for part in of_text if not BY_BYTES.match(part)]
        threads = max(1, min(os.cpu_count() or 1, len(plain)))
        encoded = iter(self._processor.encode(plain, out_type="numpy", num_threads=threads))
        ids = [[self._escape(part) if BY_BYTES.match(part) else next(encoded) for part in of_text] for of_text in parts]
        dtype = id_dtype(self.vocab.size)
        return [np.concatenate(of_text).astype(dtype) if of_text else np.zeros(0, dtype) for of_text in ids]

    def encode_with_ends(self, texts: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        ids = self.encode_batch(texts)  # lossless: its pieces' bytes, one after another, are the text's
        return [(ids_N, character_ends(text, self._num_bytes_V[ids_N])) for text, ids_N in zip(texts, ids, strict=True)]

    def _escape(self, text: str) -> np.ndarray:
        return self._byte_ids[np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)]

    def decode(self, ids_N: Sequence[int] | np.ndarray) -> str:
        return join_bytes(self._bytes, ids_N)

    def pieces(self, ids_N: Sequence[int] | np.ndarray) -> list[str]:
        return [self._names[i] for i in np.asarray(ids_N).tolist()]

    def save(self, folder: Path) -> None:
        write_whole(folder / MODEL_FILE, self.model)
        write_description(folder, "sentencepiece", self.vocab.digest)

    @classmethod
    def load(cls, folder: Path) -> "SentencePieceTokenizer":
        """The tokenizer that `save` described.

        Raises:
          RunError: the model's file is missing or broken.
        """
        path = folder / MODEL_FILE
        try:
            return cls(read_part(path))
        except (RuntimeError, AssertionError) as error:
            raise RunError(
                f"{path} is no SentencePiece model of jaxlm's ({error}). Restore it from the run that made it."
            ) from error


def _stretches(text: str) -> Iterator[str]:
    """The text in parts that are encoded one by one: stretches, and runs of characters that need bytes."""
    for part in BY_BYTES.split(text):
        if len(part) <= 1000 or BY_BYTES.match(part):
            if part:
                yield part
        else:
            yield from STRETCH.findall(part)


def _sample(texts: Callable[[], Iterable[str]], limit: int) -> Iterator[str]:
    """Stretches of text, of `limit` bytes at most together: a stretch is taken as often as it keeps the share even."""
    total = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts())
    credit = 0
    for text in texts():
        for part in _stretches(text):
            if BY_BYTES.match(part):
                continue
            size = len(part.encode())
            credit += size * limit
            if total <= limit or credit >= size * total:
                credit -= size * total
                yield part


def _train(sentences: list[str], vocab_size: int, model_type: str, special: Sequence[str]) -> bytes:
    pad, unk, bos, eos, *control = special
    written = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=written,
            model_type=model_type,
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            pad_id=0,
            unk_id=1,
            bos_id=2,
            eos_id=3,
            pad_piece=pad,
            unk_piece=unk,
            bos_piece=bos,
            eos_piece=eos,
            control_symbols=control,
            normalization_rule_name="identity",
            byte_fallback=True,
            character_coverage=0.9995,  # the rarest characters are bytes
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,  # indentation
            max_sentence_length=1 << 16,  # bytes, far above a stretch
            num_threads=16,  # the number is stored in the model, so it must not depend on the machine
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ConfigError(
            f"tokenizer.vocab_size: {vocab_size} does not fit this text ({_reason(error)}). Use a larger one."
        ) from error
    return written.getvalue()


def _reason(error: RuntimeError) -> str:
    return " ".join(str(error).split()).removeprefix("Internal: ")
