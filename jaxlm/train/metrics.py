"""Every metric that a run writes, with its unit: names that scripts and plots rely on."""

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """What a key of `metrics.jsonl` or `summary.json` means."""

    unit: str
    meaning: str
    where: Literal["both", "summary"] = "both"


METRICS = {
    "step": Metric("steps", "updates made so far; the first is step 1"),
    "train/loss": Metric("nats", "what is minimised, of this step's batch: the objective's terms, each divided by its own weight"),
    "train/nll": Metric("nats a target", "-ln of the probability of what was to be predicted, of this step's batch"),
    "train/accuracy": Metric("share", "targets of this step's batch that the model holds likeliest (masked objectives)"),
    "train/pair_nll": Metric(
        "nats a pair",
        "-ln of the probability of the truth about a row's two texts (sentence objectives); absent where the batch holds none",
    ),
    "train/pair_accuracy": Metric("share", "pairs of this step's batch that the model tells rightly"),
    "train/generator_nll": Metric("nats a hidden token", "-ln of the probability of what was hidden (replaced-token detection)"),
    "train/generator_accuracy": Metric("share", "hidden tokens that the generator holds likeliest"),
    "train/discriminator_nll": Metric(
        "nats a token", "-ln of the probability of the truth, replaced or not; without its weight in the loss"
    ),
    "train/discriminator_accuracy": Metric("share", "tokens that the discriminator holds rightly for replaced or not"),
    "train/replaced": Metric("share", "of all tokens, those that the generator replaced by another"),
    "train/router_balance": Metric(
        "nats a row", "the part of train/loss that evens out how often experts are taken, over all layers (models with experts)"
    ),
    "train/router_z": Metric(
        "nats a row", "the part of train/loss that keeps the routers' logits near 0, over all layers (models with experts)"
    ),
    "train/grad_norm": Metric("", "length of the whole gradient, before it is clipped"),
    "train/learning_rate": Metric("", "the rate of this step, as the schedule has it"),
    "eval/loss": Metric("nats", "the loss over the held-out text, without dropout: sums over all of it, divided once"),
    "eval/bits_per_byte": Metric(
        "bits a byte", "what one byte of the held-out text costs, whatever the tokenizer (causal objectives)"
    ),
    "eval/bits_per_masked_byte": Metric(
        "bits a byte", "what one byte of hidden held-out text costs, all around it known (masked objectives)"
    ),
    "eval/bits_per_target_byte": Metric("bits a byte", "what one byte of held-out targets costs, its source known (Seq2Seq)"),
    "eval/accuracy": Metric("share", "hidden tokens of the held-out text that the model holds likeliest (masked objectives)"),
    "eval/pair_nll": Metric("nats a pair", "as train/pair_nll, over the held-out text; likewise those that follow"),
    "eval/pair_accuracy": Metric("share", "as above"),
    "eval/generator_nll": Metric("nats a hidden token", "as above"),
    "eval/generator_accuracy": Metric("share", "as above"),
    "eval/discriminator_nll": Metric("nats a token", "as above"),
    "eval/discriminator_accuracy": Metric("share", "as above"),
    "eval/replaced": Metric("share", "as above"),
    "eval/router_balance": Metric("nats a row", "as train/router_balance, over the held-out text"),
    "eval/router_z": Metric("nats a row", "as train/router_z, over the held-out text"),
    "data/position": Metric("rows", "rows of training text seen so far: the number of the next"),
    "perf/tokens_per_s": Metric(
        "tokens a second", "places of rows, padding among them, since the start; without compiling, evaluation, saving"
    ),
    "perf/mfu": Metric("share", "of the devices' peak FLOP/s that the model's own FLOPs need; absent where no peak is known"),
    "state": Metric("", "finished or stopped", "summary"),
    "train/seconds": Metric("seconds", "since the loop of this start began, compiling and evaluation among them", "summary"),
    "train/resumed_from": Metric(
        "steps", "step of the checkpoint that this start of the run went on from; 0: it began anew", "summary"
    ),
}
"""By key. An objective of one's own adds `train/NAME` and `eval/NAME` for each metric that its loss sums up."""
