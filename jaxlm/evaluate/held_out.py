"""Loss over held-out text: sums over all of it, divided once."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax

from jaxlm.core import Example, Sums
from jaxlm.core.noise import device_key
from jaxlm.core.sharding import constraints
from jaxlm.data import Part
from jaxlm.parallel.compiled import compiled_together
from jaxlm.parallel.peers import Peers
from jaxlm.parallel.placement import Ahead, place
from jaxlm.parallel.rules import Partitioner
from jaxlm.train.step import eval_step, total_loss


def held_out_loss(
    model: Any,
    objective: Any,
    partitioner: Partitioner,
    param_shardings: Any,
    batches: Callable[[], Iterator[Example]],
    padded_size: int,
    parts: Sequence[Part],
    peers: Peers | None = None,
    meeting_seconds: float = 0,
) -> Callable[[Any], dict[str, float]]:
    """A function from parameters to `eval/loss` and the objective's other metrics, over one pass of `batches()`.

    Where the objective names a metric in bits, `eval/<bits_name>` is
    nats per target / ln 2 * targets of the text / its bytes: for a causal pass over everything, total bits / bytes.

    Args:
      parts: the held-out text, for its bytes and tokens.
    """

    def step(params: Any, batch: Any) -> Any:
        with constraints(partitioner):
            sums, *others = eval_step(params, batch, model=model, objective=objective, rng=device_key(0, "evaluation"))
            if objective.bits_name and "nll" not in sums.metrics:
                watched = Sums.of(metrics={"nll": objective.nll(model.eval(), params, batch)}).metrics
                sums = sums._replace(metrics={**sums.metrics, **watched})
            return sums, *others

    jitted = jax.jit(step, in_shardings=(param_shardings, partitioner.rows((padded_size,))))
    evaluated = compiled_together(jitted, peers or Peers(), "the first evaluation", meeting_seconds)
    learnt = [(part, (objective.streams or part.streams)[0]) for part in parts]
    num_targets = sum(objective.num_targets(part.stream_tokens[stream], part.num_documents) for part, stream in learnt)
    num_bytes = sum(part.stream_bytes[stream] for part, stream in learnt)

    def evaluate(params: Any) -> dict[str, float]:
        ahead = Ahead(batches(), partial(place, partitioner=partitioner, num_rows=padded_size))
        try:
            results = [evaluated(params, batch) for batch in ahead]
        finally:
            ahead.close()
        sums, weights, rows = jax.tree.map(lambda *leaves: math.fsum(map(float, leaves)), *jax.device_get(results))
        weights = {name: weight or 1.0 for name, weight in weights.items()}
        metrics = {f"eval/{name}": total / (weight or 1.0) for name, (total, weight) in sums.metrics.items()}
        metrics |= {f"eval/{name}": total / (rows or 1.0) for name, total in sums.aux.items()}
        metrics["eval/loss"] = float(total_loss(sums, weights, rows or 1.0))
        nats = metrics.pop("eval/nll", None)
        if nats is not None and objective.bits_name:
            metrics[f"eval/{objective.bits_name}"] = nats / math.log(2) * num_targets / num_bytes
        return metrics

    return evaluate
