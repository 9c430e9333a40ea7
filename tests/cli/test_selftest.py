"""`jaxlm selftest`: a table, a number a law, exit code 1 where one is broken."""

import json

from jaxlm.cli.main import main

RECIPE = """
from dataclasses import dataclass, replace
import jaxlm
from jaxlm.objectives import CausalLM

@dataclass(frozen=True)
class Copy(CausalLM):
    def prepare(self, windows, rng, vocab, seq_len):
        example = super().prepare(windows, rng, vocab, seq_len)
        return {**example, "targets": example["tokens"]}

def config(*, text: str):
    from pathlib import Path
    from jaxlm.data.config import DataConfig
    from jaxlm.corpus import TextFiles
    from jaxlm.models import gpt2
    from jaxlm.tokenizer import Bytes
    base = jaxlm.recipe("nano/gpt2")
    return replace(
        base,
        model=gpt2(num_layers=1, embed_dim=32, num_heads=2, context=32),
        objective=Copy(),
        tokenizer=Bytes(),
        data=DataConfig(sources=(TextFiles(Path(text)),), seq_len=32, split="tail"),
    )
"""


def test_a_broken_law_is_told_with_what_was_found(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JAXLM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "copy_lm.py").write_text(RECIPE)
    (tmp_path / "text.txt").write_text("The quick brown fox jumps over the lazy dog. " * 200)
    code = main(["selftest", str(tmp_path / "copy_lm.py"), "--text", str(tmp_path / "text.txt"), "--json"])
    out, err = capsys.readouterr()
    result = json.loads(out.splitlines()[-1])
    assert code == result["exit_code"] == 1
    broken = [entry for entry in result["laws"] if entry["holds"] is False]
    law = "no target is among the tokens that its place sees"
    assert law in [entry["law"] for entry in broken]
    assert f"laws are broken: {law}" in result["error"]
    assert "\N{BALLOT X} no target is among" in err
    assert "\N{CHECK MARK} no place sees one after it" in err


def test_a_large_model_is_refused_with_what_makes_it_smaller(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JAXLM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "copy_lm.py").write_text(RECIPE.replace("embed_dim=32", "embed_dim=2048"))
    (tmp_path / "text.txt").write_text("The quick brown fox jumps over the lazy dog. " * 200)
    assert main(["selftest", str(tmp_path / "copy_lm.py"), "--text", str(tmp_path / "text.txt")]) == 2
    message = capsys.readouterr().err
    assert "parameters are too many to try; at most 20,000,000 are" in message
    assert "--model.decoder.0.repeats" in message
