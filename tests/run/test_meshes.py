"""The comparison of meshes itself: which there are, and that it finds a difference."""

import numpy as np
import pytest
import tiny

from jaxlm.cli.main import main
from jaxlm.run import meshes
from jaxlm.run.meshes import mixtures

RECIPE = """
from pathlib import Path
from jaxlm.corpus import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import gpt2
from jaxlm.objectives import CausalLM
from jaxlm.optim import AdamW
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import Bytes

def config():
    return RunConfig(
        model=gpt2(num_layers=1, embed_dim=32, num_heads=4, context=32),
        objective=CausalLM(),
        optimizer=AdamW(),
        tokenizer=Bytes(),
        data=DataConfig(sources=(TextFiles(Path("text.txt")),), seq_len=32),
    )
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    (tmp_path / "text.txt").write_text("\n".join(" ".join(rng.choice(["one", "two", "three"], 12)) for _ in range(400)))
    (tmp_path / "tiny_recipe.py").write_text(RECIPE)
    return "tiny_recipe.py"


def test_all_mixtures_of_axes_are_there():
    plain = list(mixtures(tiny.model("gpt2")))
    assert len({(mesh.data, mesh.fsdp, mesh.tensor) for mesh in plain if mesh.dcn_data == mesh.dcn_fsdp == 1}) == 10
    assert [mesh.dcn_data * mesh.dcn_fsdp for mesh in plain[10:]] == [2, 2]
    assert len(list(mixtures(tiny.model("mixtral")))) == 10 + 6 + 2, "experts over two devices too"


def test_a_mesh_with_other_losses_is_found(recipe, monkeypatch, capsys):
    def losses(config, materials, mesh):
        return np.array([2.0, 1.0 + (1e-4 if mesh.tensor == 8 else 0.0)])

    monkeypatch.setattr(meshes, "losses", losses)
    assert main(["selftest", recipe, "--meshes"]) == 1
    said = capsys.readouterr()
    assert "1 of 24 laws are broken: tensor 8: the losses of 50 steps" in said.err
    assert "1.0e-04  (bound 1e-05)" in said.out


@pytest.mark.slow
def test_losses_agree_on_every_mesh(recipe):
    assert main(["selftest", recipe, "--meshes"]) == 0
