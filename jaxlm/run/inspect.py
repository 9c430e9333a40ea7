"""Looking into a run: what a step trained on, and what the model is worth now."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxlm.core import ConfigError
from jaxlm.core.paths import require_readable, to_path
from jaxlm.data.store import HEADER
from jaxlm.parallel.config import MeshConfig
from jaxlm.run.assemble import Materials, assemble, examples
from jaxlm.run.check import as_path
from jaxlm.run.config import RunConfig
from jaxlm.run.files import RunFolder
from jaxlm.run.loaded import newest_step, restored_params, run_folder, run_tokenizer
from jaxlm.run.saved import read_config, read_json
from jaxlm.run.source import source_of
from jaxlm.run.text import store_for, text_of
from jaxlm.tokenizer import marked_text


def trained_row(where: str | Path, step: int, row: int, *, trust: bool = False) -> dict[str, Any]:
    """Exactly what row `row` of step `step` (the first is 1) trained on, and where it came from.

    Returns:
      `position source documents` (each with id and the tokens [start, stop) of it that its window shows), `partners`, the same of
      each further window of an objective that pairs several, and one entry a place in
      `tokens pieces segments positions targets target_pieces weights`; `text`, with special ids by name; of an encoder
      `encoder_tokens`, `encoder_pieces` and so on, and `encoder_text`; other fields of the objective as they are.

    Raises:
      ConfigError: the step or the row does not exist, or the objective is the recipe's own and `trust` is not given.
    """
    folder = run_folder(where)
    config = read_config(folder.config, trust=trust)
    batch_size = config.train.batch_size
    if not 0 <= row < batch_size:
        raise ConfigError(f"--row {row} is outside the batch: train.batch_size={batch_size}, so rows are 0 to {batch_size - 1}")
    last = config.train.steps
    if not 1 <= step <= last:
        raise ConfigError(f"--step {step} is outside the run: train.steps={last}, so steps are 1 to {last}")
    materials = run_materials(config, folder)
    rows = examples(config, materials, "train")
    position = (step - 1) * batch_size + row
    (source,), _, (epoch,) = rows.locate(np.array([position]))
    example, reader = rows.row(position), rows.readers[source]
    first, *others = rows.window_numbers(position)
    documents, *partners = ([span._asdict() for span in reader.documents(number)] for number in (first, *others))
    pieces = materials.tokenizer.pieces
    shown = {name: np.asarray(values).tolist() for name, values in example.items()}
    texts: dict[str, Any] = {}
    for side in ("", "encoder_") if "encoder_tokens" in example else ("",):
        tokens, real = example[f"{side}tokens"], example[f"{side}segments"] > 0
        texts |= {f"{side}text": marked_text(materials.tokenizer, tokens[real]), f"{side}pieces": pieces(tokens)}
    return {
        "step": step,
        "row": row,
        "position": position,
        "epoch": int(epoch),
        "source": reader.part.source,
        "documents": documents,
        "partners": partners,
        **texts,
        "target_pieces": pieces(example["targets"]),
        **{name: values for name, values in shown.items() if name != "row"},
    }


def evaluated(where: str | Path, *, trust: bool = False) -> Mapping[str, Any]:
    """`eval/...` of the newest checkpoint over the run's held-out text, on the devices that there are."""
    folder = run_folder(where)
    newest_step(folder)
    config = read_config(folder.config, trust=trust)
    config = replace(config, mesh=MeshConfig(), train=replace(config.train, num_microbatches=1, eval_batches=None))
    run = assemble(config, run_materials(config, folder), folder.path)
    params = restored_params(folder, run.model, run.layout.abstract.params)
    return {"step": folder.last_step(), **run.evaluate(params)}


def store_path(where: str | Path) -> Path:
    """The token store that STORE means: its own folder, or that of a run which reads it.

    Raises:
      ConfigError: it is neither.
    """
    path = as_path(where, "STORE")
    require_readable(path, "STORE")
    if (path / HEADER).is_file():
        return path
    data = RunFolder(path).data
    if data.is_file() and isinstance(named := read_json(data).get("store"), str):
        return to_path(named, str(data))
    what = f"is no token store (it has no {HEADER}) and no run that reads one (it has no data.json)"
    raise ConfigError(
        f"STORE: {where} {what if path.exists() else 'does not exist'}. Give the folder that `jaxlm data build` names, or a "
        "run folder, such as runs/quickstart"
    )


def run_materials(config: RunConfig, folder: RunFolder) -> Materials:
    """The tokenizer that a run's folder has, and the store of its text."""
    own = source_of(config)
    text = text_of(config, own.module.__name__ if own else None)
    tokenizer = run_tokenizer(folder)
    return Materials(tokenizer, store_for(text, tokenizer, say=lambda line: None))
