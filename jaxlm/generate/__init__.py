"""Text from trained models: continuations from those that look back, fillings for gaps from those that look both ways."""

from jaxlm.generate.beam import Beams, Found, search
from jaxlm.generate.candidates import Candidate
from jaxlm.generate.continuation import SETTINGS, Completion, Continuation, Piece, collect, complete, generate_texts, stream_pieces
from jaxlm.generate.decode import Step, stream
from jaxlm.generate.gaps import Filled, fill_mask
from jaxlm.generate.sampling import Sampling, sample
from jaxlm.generate.spans import Answer, fill_spans
from jaxlm.generate.streaming import TextStream
from jaxlm.generate.words import word_model

__all__ = [
    "SETTINGS",
    "Answer",
    "Beams",
    "Candidate",
    "Completion",
    "Continuation",
    "Filled",
    "Found",
    "Piece",
    "Sampling",
    "Step",
    "TextStream",
    "collect",
    "complete",
    "fill_mask",
    "fill_spans",
    "generate_texts",
    "sample",
    "search",
    "stream",
    "stream_pieces",
    "word_model",
]
