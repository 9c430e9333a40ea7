"""What a model is worth: loss over held-out text, the cost and the vectors of single texts."""

from jaxlm.evaluate.held_out import held_out_loss
from jaxlm.evaluate.texts import Score, embed, score

__all__ = ["Score", "embed", "held_out_loss", "score"]
