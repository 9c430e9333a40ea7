"""The files in which tokenizers are published, read as one definition in the format of tokenizer.json."""

import json
import re
from pathlib import Path
from typing import Any

from jaxlm.core import ConfigError

SPECIALS = {
    "pad": ("<pad>", "[PAD]"),
    "bos": ("<s>", "<bos>", "<|begin_of_text|>", "[CLS]", "<|endoftext|>"),
    "eos": ("</s>", "<eos>", "<|end_of_text|>", "[SEP]", "<|endoftext|>"),
    "unk": ("<unk>", "[UNK]"),
    "mask": ("<mask>", "[MASK]"),
    "cls": ("[CLS]",),
    "sep": ("[SEP]",),
}
"""Names under which tokenizers keep their special tokens; the first that exists is taken."""
SENTINEL = re.compile(r"<extra_id_(\d+)>")
WANTED = "Wanted: a tokenizer.json, or a folder with tokenizer.json, with vocab.json and merges.txt, or with vocab.txt."


def read_definition(path: Path) -> dict[str, Any]:
    """What decides the ids of text, and no more: nothing is added around a text, cut off, padded, or drawn at random.

    Raises:
      ConfigError: the path is missing or holds no tokenizer.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise ConfigError(f"tokenizer.path: {path} does not exist. {WANTED}")
    try:
        definition = _definition(path)
        definition |= {"truncation": None, "padding": None, "post_processor": None}
        definition["model"]["dropout"] = None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"tokenizer.path: {path} holds no tokenizer that can be read ({error!r}). {WANTED}") from error
    return definition


def _definition(path: Path) -> dict[str, Any]:
    if path.is_file():
        return json.loads(path.read_bytes())
    if (path / "tokenizer.json").exists():
        return json.loads((path / "tokenizer.json").read_bytes())
    if (path / "vocab.json").exists() and (path / "merges.txt").exists():
        return _byte_level_bpe(path)
    if (path / "vocab.txt").exists():
        return _word_piece(path)
    raise ConfigError(f"tokenizer.path: {path} holds none of the files. {WANTED}")


def _byte_level_bpe(folder: Path) -> dict[str, Any]:
    """GPT-2 and RoBERTa. One merge a line, but for a first line that gives the version."""
    lines = (folder / "merges.txt").read_text("utf-8").split("\n")
    merges = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    model = {
        "type": "BPE",
        "unk_token": None,
        "continuing_subword_prefix": "",
        "end_of_word_suffix": "",
        "fuse_unk": False,
        "byte_fallback": False,
        "vocab": json.loads((folder / "vocab.json").read_bytes()),
        "merges": merges,
    }
    bytes_as_characters = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return _assemble(model, bytes_as_characters, bytes_as_characters, normalizer=None)


def _word_piece(folder: Path) -> dict[str, Any]:
    """BERT. One piece a line; lower-cased text if no piece has a capital, unless tokenizer_config.json says otherwise."""
    pieces = (folder / "vocab.txt").read_text("utf-8").rstrip("\n").split("\n")
    settings = folder / "tokenizer_config.json"
    lower = all(piece == piece.lower() or _is_special(piece) for piece in pieces)
    if settings.exists():
        lower = json.loads(settings.read_bytes()).get("do_lower_case", lower)
    model = {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {piece.rstrip("\r"): id for id, piece in enumerate(pieces)},
    }
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": lower,
    }
    decoder = {"type": "WordPiece", "prefix": "##", "cleanup": False}
    return _assemble(model, {"type": "BertPreTokenizer"}, decoder, normalizer)


def _assemble(model: Any, pre_tokenizer: Any, decoder: Any, normalizer: Any) -> dict[str, Any]:
    return {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "decoder": decoder,
        "model": model,
    }


def _is_special(name: str) -> bool:
    """Whether a token of this name stands for no text."""
    return any(name in names for names in SPECIALS.values()) or SENTINEL.fullmatch(name) is not None
