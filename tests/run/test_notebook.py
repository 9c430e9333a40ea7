"""From Python as a notebook does it: inside a running event loop, twice in one process, with hooks."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

import jaxlm


@pytest.fixture
def config(recipe):
    (recipe.parent / "text.txt").write_text("".join(f"line {i} of {i * i} says {i % 7}\n" for i in range(300)))
    config = jaxlm.recipe(recipe, text="text.txt")
    return replace(config, train=replace(config.train, steps=2, batch_size=2), log=replace(config.log, progress=False, every=1))


def test_two_runs_in_one_event_loop(config, tmp_path):
    seen = []

    async def cell(name, steps):
        longer = replace(config, train=replace(config.train, steps=steps))
        return jaxlm.fit(
            longer, tmp_path / name, hooks=[lambda step, state, metrics: seen.append((name, step, metrics["train/loss"]))]
        )

    async def notebook():
        return await cell("one", 2), await cell("two", 3), await cell("one", 4)  # the last goes on

    one, two, more = asyncio.run(notebook())
    assert [(name, step) for name, step, _ in seen] == [
        ("one", 1),
        ("one", 2),
        ("two", 1),
        ("two", 2),
        ("two", 3),
        ("one", 3),
        ("one", 4),
    ]
    assert all(np.isfinite(loss) for *_, loss in seen)
    assert (one.step, two.step, more.step) == (2, 3, 4)
    assert more.summary["train/resumed_from"] == 2
    assert more.generate("line", max_tokens=3) == more.generate(["line"], max_tokens=3)
    assert more.embed(["line 1", "li"], pooling=None).shape[0] == 2
