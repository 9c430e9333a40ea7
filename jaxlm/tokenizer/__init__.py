"""Text to ids and back; special ids; digests. No jax."""

from jaxlm.tokenizer.base import Tokenizer, TokenizerConfig, marked_text
from jaxlm.tokenizer.byte_level import Bytes, ByteTokenizer
from jaxlm.tokenizer.characters import Characters, CharacterTokenizer
from jaxlm.tokenizer.folder import load_tokenizer
from jaxlm.tokenizer.hugging_face import HuggingFaceTokenizer, TokenizersFile
from jaxlm.tokenizer.sentencepiece import SentencePiece, SentencePieceTokenizer

__all__ = [
    "ByteTokenizer",
    "Bytes",
    "CharacterTokenizer",
    "Characters",
    "HuggingFaceTokenizer",
    "SentencePiece",
    "SentencePieceTokenizer",
    "Tokenizer",
    "TokenizerConfig",
    "TokenizersFile",
    "load_tokenizer",
    "marked_text",
]
