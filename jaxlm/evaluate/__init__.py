"""What a model is worth: loss over held-out text."""

from jaxlm.evaluate.held_out import held_out_loss

__all__ = ["held_out_loss"]
