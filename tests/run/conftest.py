"""A small recipe with a class of its own and three dials."""

import pytest

RECIPE = '''"""A recipe for tests."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jaxlm.corpus.sources.text import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models.families.gpt2 import gpt2
from jaxlm.objectives.causal import CausalLM
from jaxlm.optim.adamw import AdamW
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer.characters import Characters


@dataclass(frozen=True)
class Focal(CausalLM):
    """A loss of the recipe's own."""

    gamma: float = 2.0
    parts: tuple[float, ...] = ()


def config(*, text: Path | None = None, size: Literal["small", "medium"] = "small", own: bool = False, width: int = 8) -> RunConfig:
    """A nano GPT.

    Args:
      text: A file of your own.
      size: How much it learns.
      own: Learn by the recipe's own loss.
    """
    return RunConfig(
        model=gpt2(num_layers=2 if size == "small" else 3, embed_dim=width, num_heads=2, context=16),
        objective=Focal() if own else CausalLM(),
        optimizer=AdamW(learning_rate=1),
        tokenizer=Characters(),
        data=DataConfig(sources=(TextFiles(text or Path("shakespeare.txt")),), seq_len=16),
    )
'''


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """The path of the recipe; the current folder is a new one."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.py"
    path.write_text(RECIPE)
    return path
