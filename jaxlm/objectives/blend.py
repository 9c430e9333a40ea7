"""Several objectives in one run: each row is prepared by one of them."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from jaxlm.core import ConfigError, Example, Sums, Vocab, Window
from jaxlm.core.vocab import Gaps
from jaxlm.objectives.base import Array, Objective, Share, names_read

Member = tuple[Objective, float]
NEEDS = (
    "attention",
    "encoder",
    "pair",
    "overlap",
    "num_windows",
    "streams",
    "heads",
    "num_token_types",
    "sentences",
    "prefix",
    "ends",
)
"""What members have alike, and the blend as they, beside their loss and its settings."""


@dataclass(frozen=True, init=False)
class Blend(Objective):
    """`Blend((CausalLM(), 0.5), (FillInMiddle(), 0.5))`: a row's key draws which of them prepares it.

    One loss learns them all, so members have the same `loss`, with the same settings but for those that it does not read
    (`MaskedLM(masking=Spans())` beside `MaskedLM()`), and give the same fields: any mixture of rows is one batch. A member that
    needs less raw text than another leaves the rest out. Rows bear `member`, the number of theirs. A blend within a blend
    stands for its members.
    """

    members: tuple[Member, ...]
    """Objectives, each with its share of the rows, of any scale."""

    def __init__(self, *pairs: Member, members: Sequence[Member] = ()):
        given = (*pairs, *members)
        for member in given:
            if not (isinstance(member, tuple) and len(member) == 2 and isinstance(member[0], Objective)):
                raise ConfigError(f"objective.members: {member!r} is no pair of an objective and its share: (CausalLM(), 0.5)")
        shares = [share for _, share in given]
        if not (all(isinstance(share, int | float) and share > 0 for share in shares) and sum(shares) < math.inf):
            raise ConfigError(f"objective.members: {shares} are no shares; each must be a number above 0, and their sum finite")
        object.__setattr__(self, "members", tuple(part for member in given for part in _parts(*member)))
        first, *others = self._objectives()
        for name in NEEDS:
            object.__setattr__(self, name, getattr(first, name))
        for other in others:
            for name, found in _needs(first).items():
                if found != _needs(other).get(name):
                    raise ConfigError(
                        f"objective.members: {type(first).__name__} and {type(other).__name__} cannot be blended: they differ in "
                        f"{name}. One loss learns all rows; make it the same, or train one of them"
                    )

    def _objectives(self) -> list[Objective]:
        if not self.members:
            raise ConfigError("objective.members: there is none; give pairs of an objective and its share")
        return [member for member, _ in self.members]

    def least_length(self) -> int:
        return max(member.least_length() for member in self._objectives())

    def num_sentinels(self, seq_len: int) -> int:
        return max(member.num_sentinels(seq_len) for member in self._objectives())

    def check(self, vocab: Vocab, seq_len: int) -> None:
        super().check(vocab, seq_len)
        kinds = []
        for member in self._objectives():
            member.check(vocab, seq_len)
            empty = Window.empty(member.raw_length(seq_len), member.streams[1:])
            row = member.prepare((empty,) * member.num_windows, np.random.default_rng(0), vocab, seq_len)
            kinds.append({name: (array.dtype, array.shape) for name, array in row.items()})
        for (member, _), kind in zip(self.members, kinds, strict=True):
            for name in sorted(kind.keys() ^ kinds[0].keys()) or [name for name in kind if kind[name] != kinds[0][name]]:
                raise ConfigError(
                    f"objective.members: {type(self.members[0][0]).__name__} and {type(member).__name__} cannot be blended: their "
                    f"rows differ in the field {name!r}"
                )

    def raw_length(self, seq_len: int) -> int:
        return max(member.raw_length(seq_len) for member in self._objectives())

    def gaps(self, vocab: Vocab) -> Gaps | None:
        """As the first member that fills some; of UL2 with the mode R."""
        return next((gaps for member in self._objectives() if (gaps := member.gaps(vocab)) is not None), None)

    def row_length(self, seq_len: int) -> int:
        return self._objectives()[0].row_length(seq_len)

    def prepare(self, windows: tuple[Window, ...], rng: np.random.Generator, vocab: Vocab, seq_len: int) -> Example:
        number = int(rng.choice(len(self.members), p=self._probabilities()))
        member = self.members[number][0]
        cut = tuple(window.cut(member.raw_length(seq_len)) for window in windows)
        return {**member.prepare(cut, rng, vocab, seq_len), "member": np.array(number, np.int32)}

    def _probabilities(self) -> np.ndarray:
        shares = np.array([share for _, share in self.members])
        return shares / shares.sum()

    def shares(self, windows: tuple[Window, ...], example: Example, vocab: Vocab) -> Iterator[Share]:
        probabilities = self._probabilities().tolist()
        for number, (member, probability) in enumerate(zip(self._objectives(), probabilities, strict=True)):
            hit = int(example["member"]) == number
            yield Share(f"of the rows, member {number}", probability, int(hit), 1)
            if hit:
                seq_len = len(example["encoder_tokens" if self.encoder else "tokens"])
                cut = tuple(window.cut(member.raw_length(seq_len)) for window in windows)
                own: Iterable[Share] = member.shares(cut, example, vocab)
                yield from (share._replace(name=f"{number}: {share.name}") for share in own)

    def weights(self, batch: Mapping[str, Array]) -> dict[str, Array]:
        return self._objectives()[0].weights(batch)

    def loss(self, model: Any, params: Any, batch: Mapping[str, Array], rng: Any) -> Sums:
        return self._objectives()[0].loss(model, params, batch, rng)


def _parts(member: Objective, share: float) -> Iterator[Member]:
    """The member; of a blend its own, which divide the share."""
    if isinstance(member, Blend):
        yield from zip(member._objectives(), (share * member._probabilities()).tolist(), strict=True)
    else:
        yield member, share


def _needs(objective: Objective) -> dict[str, Any]:
    """What members must have alike, by name."""
    read = names_read(type(objective), "loss") | names_read(type(objective), "weights")
    settings: list[str] = [field.name for field in fields(objective) if field.name in read] if is_dataclass(objective) else []
    return {
        "loss": type(objective).loss,
        "weights": type(objective).weights,
        **{name: getattr(objective, name) for name in (*NEEDS, *settings)},
    }
