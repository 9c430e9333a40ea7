"""Ways to learn from text: what a row is, what it is weighed by, what is summed."""

from jaxlm.core import Inputs
from jaxlm.kernels.cross_entropy import token_nll
from jaxlm.objectives.base import Objective, Share
from jaxlm.objectives.causal import CausalLM
from jaxlm.objectives.masked import MaskedLM
from jaxlm.objectives.masking import Masking, Spans, Tokens, WholeWords

__all__ = ["CausalLM", "Inputs", "MaskedLM", "Masking", "Objective", "Share", "Spans", "Tokens", "WholeWords", "token_nll"]

OBJECTIVES = (CausalLM, MaskedLM)
"""Those that the shared laws are tested on."""
