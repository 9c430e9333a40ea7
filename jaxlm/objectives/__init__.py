"""Ways to learn from text: what a row is, what it is weighed by, what is summed."""

from jaxlm.core import Inputs
from jaxlm.kernels.cross_entropy import token_nll
from jaxlm.objectives.base import Objective, Share
from jaxlm.objectives.blend import Blend
from jaxlm.objectives.causal import CausalLM
from jaxlm.objectives.denoisers import mixture_of_denoisers
from jaxlm.objectives.infill import FillInMiddle
from jaxlm.objectives.masked import MaskedLM
from jaxlm.objectives.masking import Masking, Spans, Tokens, WholeWords
from jaxlm.objectives.prefix import PrefixLM
from jaxlm.objectives.replaced import ReplacedTokenDetection
from jaxlm.objectives.sentences import NextSentence, SentenceOrder
from jaxlm.objectives.seq2seq import Seq2Seq
from jaxlm.objectives.span import SpanCorruption

__all__ = [
    "Blend",
    "CausalLM",
    "FillInMiddle",
    "Inputs",
    "MaskedLM",
    "Masking",
    "NextSentence",
    "Objective",
    "PrefixLM",
    "ReplacedTokenDetection",
    "SentenceOrder",
    "Seq2Seq",
    "Share",
    "SpanCorruption",
    "Spans",
    "Tokens",
    "WholeWords",
    "mixture_of_denoisers",
    "token_nll",
]

OBJECTIVES = (
    CausalLM,
    FillInMiddle,
    MaskedLM,
    NextSentence,
    PrefixLM,
    ReplacedTokenDetection,
    SentenceOrder,
    Seq2Seq,
    SpanCorruption,
)
"""Those that the shared laws are tested on."""
