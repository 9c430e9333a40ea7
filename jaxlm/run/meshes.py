"""A recipe's losses on every mesh that eight devices allow, by the very step that trains."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxlm.core import ConfigError
from jaxlm.laws import Verdict
from jaxlm.optim import AdamW
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.mesh import asked_sizes
from jaxlm.parallel.placement import Ahead, place
from jaxlm.parallel.shardings import axis_names
from jaxlm.run.assemble import Materials, assemble
from jaxlm.run.config import RunConfig
from jaxlm.run.program import model_of
from jaxlm.run.recipe import Recipe
from jaxlm.run.selftest import LENGTH, require_small
from jaxlm.run.text import Say, store_for, text_of, tokenizer_for
from jaxlm.train.config import TrainConfig
from jaxlm.train.loop import jitted_step
from jaxlm.train.state import init_state

STEPS, BATCH, DEVICES = 50, 16, 8
RATE = 1e-3
BOUNDS = {"float32": 1e-5, "bfloat16": 1e-2}
"""Relative, of each step's loss. At higher rates Adam soon makes much of what rounding made little of."""


def same_on_meshes(recipe: Recipe, say: Say = print) -> Iterator[tuple[str, Verdict]]:
    """(number format, verdict) for each mesh, as they are found: how far the losses of 50 steps are from those of one device.

    Rows are cut to 64 tokens, batches to 16 rows, and AdamW trains at a rate of 1e-3, whatever the recipe's optimizer.

    Raises:
      ConfigError: the model is too large to try, something of the config does not fit, or there are fewer than 8 devices.
    """
    config = recipe.config
    if len(jax.devices()) < DEVICES:
        raise ConfigError(f"--meshes needs {DEVICES} devices and there are {len(jax.devices())}; on a CPU they are simulated")
    config = replace(
        config,
        data=replace(config.data, seq_len=min(LENGTH, config.data.seq_len), num_workers=0),
        optimizer=AdamW(learning_rate=RATE, warmup_steps=0, steps=STEPS),
        train=TrainConfig(steps=STEPS, batch_size=BATCH, seed=config.train.seed),
    )
    text = text_of(config, recipe.module)
    tokenizer = tokenizer_for(config.tokenizer, text, say)
    require_small(model_of(config, tokenizer.vocab))
    return _compare(config, Materials(tokenizer, store_for(text, tokenizer, say)))


def _compare(config: RunConfig, materials: Materials) -> Iterator[tuple[str, Verdict]]:
    for dtype, bound in BOUNDS.items():
        computed = replace(config, model=config.model.computed(dtype=dtype))
        alone = losses(computed, materials, MeshConfig(data=1))
        for mesh in mixtures(model_of(config, materials.tokenizer.vocab)):
            axes = ", ".join(f"{name} {size}" for name, size in asked_sizes(mesh).items() if size > 1)
            found = losses(computed, materials, mesh)
            worst = float(np.max(np.abs(found - alone) / np.abs(alone)))
            yield dtype, Verdict.within(f"{axes}: the losses of {STEPS} steps", worst, bound)


def mixtures(model: Any) -> Iterator[MeshConfig]:
    """All meshes of data, fsdp, tensor and, for a model with experts, expert; and two over slower networks."""
    names = jax.tree.leaves(axis_names(model.abstract_params()), is_leaf=lambda x: isinstance(x, tuple))
    has_experts = any("experts" in each for each in names)
    sizes = [1, 2, 4, 8]
    for data, fsdp, tensor, expert in product(sizes, sizes, sizes, [1, 2] if has_experts else [1]):
        if data * fsdp * tensor * expert == DEVICES:
            yield MeshConfig(data=data, fsdp=fsdp, tensor=tensor, expert=expert)
    yield MeshConfig(dcn_data=2, data=1, fsdp=2, tensor=2)
    yield MeshConfig(dcn_fsdp=2, data=2, fsdp=2)


def losses(config: RunConfig, materials: Materials, mesh: MeshConfig) -> np.ndarray:
    """Of each step, [STEPS]."""
    devices = jax.devices()[: prod(asked_sizes(mesh).values())]
    run = assemble(replace(config, mesh=mesh), materials, Path(), devices=devices)
    state, update = init_state(run.model, run.layout, run.train.seed, run.partitioner), jitted_step(run)
    batches = Ahead(run.batches(0), partial(place, partitioner=run.partitioner, num_rows=run.padded_size))
    found = []
    try:
        for _ in range(STEPS):
            state, sums = update(state, next(batches))
            found.append(float(sums.metrics["loss"][0]))  # one step at a time: steps in flight starve simulated devices of threads
        return np.array(found)
    finally:
        batches.close()
