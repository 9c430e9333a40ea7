"""Slow: each nano recipe, trained to its end, comes to what its docstring says."""

import re
from pathlib import Path

import pytest

import jaxlm
from jaxlm.run.recipe import find_recipe

RECIPES = sorted(path.stem for path in (Path(__file__).parents[2] / "configs/nano").glob("*.py"))
STATED = re.compile(r"Expect an (eval/\w+) of\s+about (\d+\.\d+)")


def stated(recipe: str) -> tuple[str, float]:
    """(metric, value) of its docstring."""
    found = STATED.search(find_recipe(f"nano/{recipe}")[0].read_text())
    assert found, f"nano/{recipe} says of no metric what to expect"
    return found[1], float(found[2])


@pytest.mark.parametrize("recipe", RECIPES)
def test_it_says_what_to_expect(recipe):
    assert stated(recipe)[1] > 0


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_it_comes_to_what_it_says(recipe, tmp_path, record_property):
    metric, value = stated(recipe)
    found = jaxlm.fit(jaxlm.recipe(f"nano/{recipe}"), tmp_path / "run").summary[metric]
    record_property(metric, round(found, 4))
    assert found == pytest.approx(value, rel=0.02)  # one more or less in its last digit, and other processors' rounding
