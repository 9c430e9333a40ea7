"""UL2's mixture of denoisers (arXiv:2205.05131, section 3.1): one blend of seven ways to hide parts of a text."""

from jaxlm.objectives.blend import Blend
from jaxlm.objectives.span import SpanCorruption


def mixture_of_denoisers(target_length: int) -> Blend:
    """The paper's table 1, in equal parts: R, short spans of few tokens; S, the end of a text; X, long spans or many tokens.

    Args:
      target_length: tokens of the decoder's rows; the paper has as many as the encoder's.
    """

    def spans(mode, mean_span, corrupt_rate):  # type: ignore[no-untyped-def]
        return SpanCorruption(corrupt_rate=corrupt_rate, mean_span=mean_span, mode=mode, target_length=target_length)

    regular = [spans("R", 3.0, 0.15), spans("R", 8.0, 0.15)]
    sequential = [spans("S", None, 0.25)]
    extreme = [spans("X", 3.0, 0.5), spans("X", 8.0, 0.5), spans("X", 64.0, 0.15), spans("X", 64.0, 0.5)]
    return Blend(*((member, 1.0) for member in (*regular, *sequential, *extreme)))
