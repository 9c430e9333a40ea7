"""What a model is worth: loss over held-out text, the cost and the vectors of single texts."""

from jaxlm.evaluate.held_out import held_out_loss
from jaxlm.evaluate.texts import Score, embed, score
from jaxlm.evaluate.translation import Bleu, bleu, translate

__all__ = ["Bleu", "Score", "bleu", "embed", "held_out_loss", "score", "translate"]
