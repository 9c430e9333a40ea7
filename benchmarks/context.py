"""What a run's loss owes to the context: beside the entropy of its targets, and with the context shuffled.

    python benchmarks/context.py RUN [--rows 512] [--trust]

Over the first held-out rows: the metrics of the run's objective; the same where the ordinary tokens that the model is given
have changed places within their document (of models with an encoder its tokens; of masked rows those that are not asked
for); of sentence pairs the same with the first token of both texts hidden, whose space in front tells where a paragraph begins;
and the entropy of what is asked for, which who knows nothing but how often each token is asked for pays. The last line
is one JSON object.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxlm.core import Vocab
from jaxlm.core.noise import device_key
from jaxlm.data import Batches, iterate
from jaxlm.run.assemble import examples
from jaxlm.run.inspect import run_materials
from jaxlm.run.loaded import restored_params, run_folder
from jaxlm.run.program import model_of
from jaxlm.run.saved import read_config

Batch = dict[str, np.ndarray]


def shuffled(batch: Batch, vocab: Vocab, rng: np.random.Generator) -> Batch:
    """The batch with its context in another order; special tokens and, where both sides are seen, what is asked for stay."""
    side = "encoder_" if "encoder_tokens" in batch else ""
    tokens_BL, segments_BL = batch[side + "tokens"].copy(), batch[side + "segments"]
    given_BL = (segments_BL > 0) & ~vocab.special_V[tokens_BL]
    if "masked_index" in batch:
        given_BL &= batch["weights"] == 0
    for tokens_L, segments_L, given_L in zip(tokens_BL, segments_BL, given_BL, strict=True):
        for segment in range(1, segments_L.max() + 1):
            places = np.flatnonzero(given_L & (segments_L == segment))
            tokens_L[places] = tokens_L[rng.permutation(places)]
    return {**batch, side + "tokens": tokens_BL}


def without_openings(batch: Batch, vocab: Vocab) -> Batch:
    """The batch of sentence pairs with the first token of both texts hidden."""
    assert vocab.mask is not None, "sentence objectives refuse tokenizers without a mask"
    tokens_BL = batch["tokens"].copy()
    rows_B = np.flatnonzero(batch["pair_weights"])
    tokens_BL[rows_B, 1] = vocab.mask  # behind [CLS]
    tokens_BL[rows_B, batch["token_types"][rows_B].argmax(1)] = vocab.mask
    return {**batch, "tokens": tokens_BL}


def entropy(counts: np.ndarray) -> float:
    """In nats."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def coin(pairs: float) -> float:
    """The share of pairs that a coin tells rightly at most, with 99 % confidence."""
    return 0.5 + 2.326 * 0.5 / math.sqrt(pairs)


def measure(where: str, num_rows: int, trust: bool) -> Mapping[str, Any]:
    folder = run_folder(where)
    config = read_config(folder.config, trust=trust)
    materials = run_materials(config, folder)
    model, vocab = model_of(config, materials.tokenizer.vocab), materials.tokenizer.vocab
    params = restored_params(folder, model)
    loss = jax.jit(lambda params, batch: config.objective.loss(model.eval(), params, batch, device_key(0, "evaluation")))
    rows = examples(config, materials, "validation")
    size = config.train.batch_size
    counts_V = np.zeros(vocab.size)
    sums: dict[str, list[Any]] = {}
    rng = np.random.default_rng(0)
    with iterate(Batches(rows, batch_size=size, start_position=0, num_rows_total=min(num_rows, rows.num_rows))) as batches:
        for batch in batches:
            counts_V += np.bincount(batch["targets"][batch["weights"] > 0], minlength=vocab.size)
            readings = {"as it is": batch, "shuffled": shuffled(batch, vocab, rng)}
            if "pair_weights" in batch:
                readings["first tokens hidden"] = without_openings(batch, vocab)
            for name, given in readings.items():
                sums.setdefault(name, []).append(jax.device_get(loss(params, given)))
    found: dict[str, Any] = {"entropy of targets": entropy(counts_V)}
    for name, parts in sums.items():
        total = jax.tree.map(lambda *leaves: math.fsum(map(float, leaves)), *parts)
        if (pairs := total.weights.get("pairs")) is not None:
            found |= {"pairs": int(pairs), "pairs told by a coin": coin(pairs)}
        if (replaced := total.metrics.get("replaced")) is not None:
            found["entropy of replaced"] = entropy(np.array([replaced[0], replaced[1] - replaced[0]]))
        terms = {term: total.terms[term] / (total.weights[term] or 1) for term in total.terms}
        found[name] = {**terms, **{metric: value / (weight or 1) for metric, (value, weight) in total.metrics.items()}}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--rows", type=int, default=512, help="held-out rows, at most")
    parser.add_argument("--trust", action="store_true", help="run the recipe's own code")
    args = parser.parse_args()
    found = measure(args.run, args.rows, args.trust)
    for name, value in found.items():
        print(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}", file=sys.stderr)
    print(json.dumps({"run": args.run, **found}))


if __name__ == "__main__":
    main()
