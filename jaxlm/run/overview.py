"""What a run is, before it begins: parameters and where they lie, bytes, tokens, FLOPs."""

from typing import Any

import jax

from jaxlm.core.table import aligned
from jaxlm.core.trees import leaf_names
from jaxlm.data import Examples, Store
from jaxlm.parallel.mesh import COMMON
from jaxlm.parallel.shardings import device_bytes
from jaxlm.plan.findings import findings
from jaxlm.run.prepared import Prepared, prepared
from jaxlm.train.program import Program
from jaxlm.train.run import Run

TOLD = 0.02
"""Share of the text left out from which on it is told; a row's first token, which nothing asks for, is less."""


def overview(run: Run, store: Store, rows_of: Examples) -> str:
    """A table of parameters and a few lines of totals, ready to print; `rows_of` are those of training."""
    text = sum(part.num_tokens for part in store.parts if part.split == "train")
    about = (*_rows(rows_of), *_prepared(prepared(rows_of)), *_short_text(run, rows_of))
    return "\n".join([*parameter_table(run), *totals(run, text), *findings(run), *about])


def parameter_table(program: Program) -> list[str]:
    """A line a parameter: its name, its shape, where it lies, and what each device holds of it."""
    rows = [
        (name, "x".join(map(str, leaf.shape)), _spec(leaf), f"{device_bytes(leaf):,}")
        for name, leaf in leaf_names(program.layout.abstract.params)
    ]
    return aligned([("parameter", "shape", "sharding", "bytes a device"), *rows])


def totals(run: Program, text: int | None = None) -> list[str]:
    """Parameters, mesh, tokens and FLOPs of a run; `text`: the tokens of its training text, where that has been read."""
    abstract, mesh = run.layout.abstract, run.partitioner.mesh
    axes = ", ".join(f"{name} {size}" for name, size in mesh.shape.items() if name in COMMON or size > 1)
    num_params = sum(leaf.size for leaf in jax.tree.leaves(abstract.params))
    state_bytes = sum(device_bytes(leaf) for leaf in jax.tree.leaves((abstract.params, abstract.opt_state)))
    batch_tokens = run.train.batch_size * sum(run.lengths)
    tokens = batch_tokens * run.train.steps
    flops = run.model.flops_per_token(*run.lengths)
    places = " + ".join(map(str, run.lengths))
    times = "" if text is None else f", {tokens / max(text, 1):.1f} times the training text"
    return [
        f"{num_params:,} parameters; {state_bytes / 2**20:,.1f} MiB a device with optimizer state",
        f"mesh: {axes} on {mesh.size} {mesh.devices.flat[0].device_kind} device{'s' if mesh.size > 1 else ''}",
        f"{run.train.steps:,} steps of {run.train.batch_size} rows of {places} tokens: {tokens:,} tokens{times}; "
        f"{flops:.2e} FLOPs a token, {flops * tokens:.2e} in all",
        *_short_schedule(run),
    ]


def _short_schedule(run: Program) -> list[str]:
    warmup, steps = run.optimizer.warmup_steps, run.train.steps
    if warmup < steps:
        return []
    return [f"the rate never reaches its peak: optimizer.warmup_steps={warmup} are not over within {steps} steps"]


def _rows(examples: Examples) -> list[str]:
    """How many rows each source makes, and what share of the training rows it gives."""
    return [
        f"rows of {reader.part.source}: {len(reader):,}"
        + (f"; {_share(first, last)} of the training rows" if len(examples.readers) > 1 else "")
        for reader, first, last in zip(examples.readers, *examples.mixture.realised, strict=True)
    ]


def _prepared(rows: Prepared) -> list[str]:
    """How full rows are as they are trained on, and what of the text is in none of them."""
    sides = ("the decoder's", "the encoder's") if len(rows.empty) > 1 else ("their",)
    told = [f"{empty:.1%} of {side} places are empty" for empty, side in zip(rows.empty, sides, strict=True)]
    if rows.left_out is not None and rows.left_out > TOLD:
        told.append(f"{rows.left_out:.0%} of their text is left out")
    if rows.pairs is not None:
        told.append(f"{rows.pairs:.0%} hold a pair")
    return [f"of the first {rows.num_rows} rows {', '.join(told)}"]


def _short_text(run: Run, examples: Examples) -> list[str]:
    """Text is repeated as often as it takes; a step that repeats it is hardly meant."""
    if examples.num_rows >= run.train.batch_size:
        return []
    return [
        f"the training text makes {examples.num_rows} row{'s' if examples.num_rows > 1 else ''}, fewer than "
        f"train.batch_size={run.train.batch_size}: each step sees some more than once. Give more text, or lower "
        f"train.batch_size or data.seq_len={examples.seq_len}"
    ]


def _share(first: float, last: float) -> str:
    return f"{first:.2%}" if first == last else f"{first:.2%} at first, {last:.2%} at last,"


def _spec(leaf: Any) -> str:
    parts = [part for part in leaf.sharding.spec if part is not None]
    return str(tuple(leaf.sharding.spec)) if parts else "copied"
