"""Slow: each objective with each family that can learn it, on one of the meshes in turn; and each nano recipe held to all laws."""

from itertools import cycle
from pathlib import Path

import jax
import pytest
import tiny

from jaxlm.cli.main import main
from jaxlm.laws.execution import GRADIENT, LOSS, loss_and_gradient
from jaxlm.laws.subject import spread
from jaxlm.models.families import FAMILIES
from jaxlm.objectives import OBJECTIVES, Blend, CausalLM, FillInMiddle
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.rules import Partitioner

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MESHES = cycle([MeshConfig(8), MeshConfig(2, 2, 2), MeshConfig(1, 4, 2), MeshConfig(1, 8), MeshConfig(4, 1, 2)])


def learns(objective, family) -> bool:
    model = tiny.model(family)
    fits = objective.attention in ("any", model.attention) and not (objective.heads and family not in ("albert", "bert"))
    return fits and objective.encoder == bool(model.encoder) and objective.pair == (family == "electra")


PAIRS = [
    pytest.param(objective, family, mesh, id=f"{type(objective).__name__}-{family}-{mesh.data}x{mesh.fsdp}x{mesh.tensor}")
    for objective, family, mesh in (
        (objective, family, next(MESHES))
        for objective in [*(cls() for cls in OBJECTIVES), Blend((CausalLM(), 1), (FillInMiddle(), 1))]
        for family in FAMILIES
        if learns(objective, family)
    )
]


@pytest.mark.parametrize(("objective", "family", "mesh"), PAIRS)
def test_a_step_is_the_same_on_a_mesh(subject_of, objective, family, mesh):
    subject = subject_of(objective, family, **dict.fromkeys(objective.heads, True))
    loss, gradient = loss_and_gradient(subject)
    divided = loss_and_gradient(subject, partitioner=Partitioner.of(mesh, jax.devices()), num_microbatches=2)
    assert divided[0] == pytest.approx(loss, rel=LOSS)
    assert spread(gradient, divided[1]) <= GRADIENT


@pytest.mark.parametrize("recipe", sorted(path.stem for path in (ROOT / "configs/nano").glob("*.py")))
def test_a_nano_recipe_keeps_the_laws(recipe, capsys):
    code = main(["selftest", f"nano/{recipe}"])
    assert code == 0, capsys.readouterr().out
