"""Replaced-token detection in words: its loss is a sum of two things that are no more alike than nats can be."""

import math
from collections.abc import Mapping


def judged(metrics: Mapping[str, float]) -> str | None:
    """What discriminator and generator reach on the held-out text; None: these are another objective's metrics."""
    if "eval/discriminator_nll" not in metrics:
        return None
    share = metrics["eval/replaced"]
    return (
        f"discriminator: {metrics['eval/discriminator_nll']:.4f} nats a token for whether it was replaced "
        f"({base_rate_nats(share):.4f} for who knows only that {share:.1%} were), "
        f"{metrics['eval/discriminator_accuracy']:.1%} right; "
        f"generator: {metrics['eval/generator_nll']:.3f} nats for a hidden token, {metrics['eval/generator_accuracy']:.0%} right"
    )


def base_rate_nats(share: float) -> float:
    """Entropy of yes with this probability, in nats: what is paid by who knows no more."""
    return -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)
