"""A small recipe, in a folder of its own."""

import pytest

RECIPE = '''"""Learns nothing in particular."""

from pathlib import Path

from jaxlm.corpus.sources.text import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models.families.gpt2 import gpt2
from jaxlm.objectives.causal import CausalLM
from jaxlm.optim.adamw import AdamW
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer.characters import Characters


def config(*, text: Path = Path("shakespeare.txt"), layers: int = 2) -> RunConfig:
    """A nano GPT.

    Args:
      text: A file of your own.
      layers: How many blocks it has.
    """
    return RunConfig(
        model=gpt2(num_layers=layers, embed_dim=8, num_heads=2, context=16),
        objective=CausalLM(),
        optimizer=AdamW(),
        tokenizer=Characters(),
        data=DataConfig(sources=(TextFiles(text),), seq_len=16),
    )
'''


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """The name of the recipe's file; the current folder is its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.py").write_text(RECIPE)
    return "tiny.py"
