"""What each objective makes of a text, by hand: the pieces that the model is given, those that it is asked for, and where."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lesson import ID, NAMES, SPECIALS, VOCAB, Dice, names, sentences, window

from jaxlm.core import Outputs, Readout
from jaxlm.objectives import (
    CausalLM,
    FillInMiddle,
    MaskedLM,
    NextSentence,
    PrefixLM,
    ReplacedTokenDetection,
    SentenceOrder,
    Seq2Seq,
    SpanCorruption,
    Spans,
    Tokens,
    WholeWords,
    mixture_of_denoisers,
)


def lines(example):
    """(given, asked where it weighs something, else "-")"""
    asked = [name if weight else "-" for name, weight in zip(names(example["targets"]).split(), example["weights"], strict=True)]
    return names(example["tokens"]), " ".join(asked)


@pytest.mark.parametrize(
    ("documents", "given", "asked"),
    [
        (  # one document, from its beginning to its end
            ["<s> _the _cat _sat </s>"],
            "<s> _the _cat _sat </s> <pad> <pad>",
            "_the _cat _sat </s> - - -",
        ),
        (  # nothing is asked across two: the end of the first does not foretell the second
            ["<s> _the _cat </s>", "<s> _a _dog _ran"],
            "<s> _the _cat </s> <s> _a _dog",
            "_the _cat </s> - _a _dog _ran",
        ),
        (  # the window begins within a document: its first piece was the last target of the window before
            ["_sat _on </s>", "<s> _the _dog"],
            "_sat _on </s> <s> _the _dog <pad>",
            "_on </s> - _the _dog - -",
        ),
    ],
)
def test_causal(documents, given, asked):
    example = CausalLM().prepare((window(*documents, length=8),), Dice(), VOCAB, seq_len=7)
    assert lines(example) == (given, asked)


CAT = "<s> _the _cat _sat _on _a _ma t s </s>"


@pytest.mark.parametrize(
    ("masking", "dice", "given", "asked"),
    [
        (  # of 8 pieces that stand for text 3 are drawn; the dice say [MASK], [MASK], itself
            Tokens(),
            Dice(permutation=[[5, 2, 8, 1, 3, 4, 6, 7]], random=[[0.3, 0.7, 0.95]], integers=[[0, 0, 0]]),
            "<s> _the [MASK] _sat _on [MASK] _ma t s </s>",
            "- - _cat - - _a - - s -",
        ),
        (  # the sixth word has 3 pieces, and is drawn whole; the dice say [MASK], a random piece, [MASK]
            WholeWords(),
            Dice(permutation=[[5, 0, 1, 2, 3, 4]], random=[[0.1, 0.85, 0.2]], integers=[[0, ID["_dog"] - len(SPECIALS), 0]]),
            "<s> _the _cat _sat _on _a [MASK] _dog [MASK] </s>",
            "- - - - - - _ma t s -",
        ),
        (  # a span of two words from the second, one of one word from the fifth: each becomes as a whole what its die says
            Spans(),
            Dice(
                permutation=[[1, 4, 0, 2, 3, 5]],
                choice=[[1, 0, 0, 0, 0, 0]],
                random=[[0.85, 0.5]],
                integers=[[0, ID["."] - len(SPECIALS), 0]],
            ),
            "<s> _the _the . _on [MASK] _ma t s </s>",
            "- - _cat _sat - _a - - - -",
        ),
        (  # the first span would have four words: after three pieces the row has its share
            Spans(),
            Dice(permutation=[[0, 4, 1, 2, 3, 5]], choice=[[3, 0, 0, 0, 0, 0]], random=[[0.5]], integers=[[0, 0, 0]]),
            "<s> [MASK] [MASK] [MASK] _on _a _ma t s </s>",
            "- _the _cat _sat - - - - - -",
        ),
    ],
)
def test_masked(masking, dice, given, asked):
    objective = MaskedLM(mask_rate=3 / 8, masking=masking)
    example = objective.prepare((window(CAT, length=10),), dice, VOCAB, seq_len=10)
    assert lines(example) == (given, asked)
    assert example["masked_index"].tolist() == [i for i, piece in enumerate(asked.split()) if piece != "-"] + [-1]


@pytest.mark.parametrize(
    ("documents", "dice", "given", "asked"),
    [
        (  # PSM, cut after the second and the fourth word: the middle is written last, and the end of the document after it
            ["<s> _the _cat _sat _on _a </s>"],
            Dice(random=[0.1, 0.9], integers=[[5, 3]]),
            "<s> <0> _the _cat <1> _a <2> _sat _on",
            "<0> _the _cat <1> _a <2> _sat _on </s>",
        ),
        (  # SPM, the same cuts: the beginning is learnt together with the middle, after the end
            ["<s> _the _cat _sat _on _a </s>"],
            Dice(random=[0.1, 0.1], integers=[[3, 5]]),
            "<s> <0> <1> _a <2> _the _cat _sat _on",
            "<0> <1> _a <2> _the _cat _sat _on </s>",
        ),
        (  # the first document stays; the second, which goes on beyond the window, is turned, with nothing before its middle
            ["<s> _the </s>", "<s> _a _dog"],
            Dice(random=[0.6, 0.2, 0.7], integers=[[1, 2]]),
            "<s> _the </s> <s> <0> <1> _dog <2> _a",
            "_the </s> - <0> <1> _dog <2> _a -",
        ),
        (  # both are turned: there is room for the marks of one, so the row's end is cut
            ["<s> _the </s>", "<s> _a _dog _ran"],
            Dice(random=[0.2, 0.7, 0.2, 0.7], integers=[[1, 2], [1, 2]]),
            "<s> <0> <1> <2> _the </s> <s> <0> <1>",
            "<0> <1> <2> _the </s> - <0> <1> _dog",
        ),
    ],
)
def test_fill_in_middle(documents, dice, given, asked):
    objective = FillInMiddle()
    example = objective.prepare((window(*documents, length=objective.raw_length(9)),), dice, VOCAB, seq_len=9)
    assert lines(example) == (given, asked)


@pytest.mark.parametrize(
    ("documents", "cuts", "prefix", "given", "asked"),
    [
        (  # three of five pieces are the prefix: what follows them is asked for, from the prefix's last piece on
            ["<s> _the _cat _sat _on </s>"],
            [3],
            "<s> _the _cat - - - -",
            "<s> _the _cat _sat _on </s> <pad>",
            "- - _sat _on </s> - -",
        ),
        (  # each document has its own
            ["<s> _the _cat </s>", "<s> _a _dog _ran"],
            [1, 2],
            "<s> - - - <s> _a -",
            "<s> _the _cat </s> <s> _a _dog",
            "_the _cat </s> - - _dog _ran",
        ),
        (  # a document of one piece in the row is its prefix, and nothing of it is asked
            ["_sat _on </s>", "<s>"],
            [2, 1],
            "_sat _on - <s> - - -",
            "_sat _on </s> <s> <pad> <pad> <pad>",
            "- </s> - - - - -",
        ),
    ],
)
def test_prefix(documents, cuts, prefix, given, asked):
    example = PrefixLM().prepare((window(*documents, length=8),), Dice(integers=[cuts]), VOCAB, seq_len=7)
    assert lines(example) == (given, asked)
    assert [name if seen else "-" for name, seen in zip(given.split(), example["prefix"], strict=True)] == prefix.split()


def read(example):
    """What the encoder is given."""
    return names(example["encoder_tokens"])


@pytest.mark.parametrize(
    ("objective", "documents", "dice", "encoder", "given", "asked"),
    [
        (  # 4 of 8 tokens in 2 spans: kept ones are cut after the first, hidden ones after the third; begin and end are left out
            SpanCorruption(corrupt_rate=0.5, mean_span=2.0),
            ["<s> _the _cat _sat _on _a _ma t s </s>"],
            Dice(choice=[[0], [2]]),
            "_the <0> _a _ma t <1> </s>",
            "<s> <0> _cat _sat _on <1> s",
            "<0> _cat _sat _on <1> s </s>",
        ),
        (  # two documents, one span each; each writes from a beginning of its own to an end of its own
            SpanCorruption(corrupt_rate=0.3, mean_span=3.0, target_length=6),
            ["<s> _the _cat _sat </s>", "<s> _a _dog _ran </s>"],
            Dice(),
            "_the _cat <0> </s> _a _dog <0> </s>",
            "<s> <0> _sat <s> <0> _ran",
            "<0> _sat </s> <0> _ran </s>",
        ),
        (  # the end is hidden, 2 tokens of at most 4, and the encoder is told which way it is
            SpanCorruption(corrupt_rate=0.4, mean_span=None, mode="S", target_length=6),
            ["_the _cat _sat _on _a"],
            Dice(integers=[2]),
            "<S> _the _cat _sat <0> </s> <pad> <pad>",
            "<s> <0> _on _a <pad> <pad>",
            "<0> _on _a </s> - -",
        ),
        (  # of the second document only what still has room
            SpanCorruption(corrupt_rate=0.5, mean_span=2.0, target_length=9),
            ["_the _cat _sat _on", "_a _dog _ran ."],
            Dice(),
            "_the _cat <0> </s> _a <0> </s>",
            "<s> <0> _sat _on <s> <0> _dog _ran <pad>",
            "<0> _sat _on </s> <0> _dog _ran </s> -",
        ),
    ],
)
def test_span_corruption(objective, documents, dice, encoder, given, asked):
    seq_len = len(encoder.split())
    example = objective.prepare((window(*documents, length=10),), dice, VOCAB, seq_len)
    assert read(example) == encoder
    assert lines(example) == (given, asked)


@pytest.mark.parametrize(
    ("target_length", "document", "dice", "member", "encoder", "given", "asked"),
    [
        (  # R: 15 % of five tokens is one; the last three sentinels say which denoiser it is
            6,
            "_the _cat _sat _on _a",
            Dice(choice=[0]),
            0,
            "<R> _the _cat _sat _on <0> </s> <pad>",
            "<s> <0> _a <pad> <pad> <pad>",
            "<0> _a </s> - - -",
        ),
        (  # S: the end, 2 tokens of at most 2
            6,
            "_the _cat _sat _on _a",
            Dice(choice=[2], integers=[2]),
            2,
            "<S> _the _cat _sat <0> </s> <pad> <pad>",
            "<s> <0> _on _a <pad> <pad>",
            "<0> _on _a </s> - -",
        ),
        (  # X: half of ten tokens, in two spans
            8,
            "_the _cat _sat _on _a _ma t s . _dog",
            Dice(choice=[3, [1], [2]]),
            3,
            "<X> _the _cat <0> _ma t s <1> </s>",
            "<s> <0> _sat _on _a <1> . _dog",
            "<0> _sat _on _a <1> . _dog </s>",
        ),
    ],
)
def test_mixture_of_denoisers(target_length, document, dice, member, encoder, given, asked):
    objective = mixture_of_denoisers(target_length)
    example = objective.prepare((window(document, length=10),), dice, VOCAB, len(encoder.split()))
    assert example["member"] == member
    assert read(example) == encoder
    assert lines(example) == (given, asked)


@pytest.mark.parametrize(
    ("pairs", "read", "given", "asked"),
    [
        (  # the decoder begins with <s>, and its last answer is </s>; the encoder has both, before anything is written
            [("<s> _a _cat _ran </s>", "<s> _the _dog </s>")],
            "<s> _a _cat _ran </s> <pad> <pad>",
            "<s> _the _dog <pad> <pad> <pad> <pad>",
            "_the _dog </s> - - - -",
        ),
        (  # two pairs: segments go together, however long they are
            [("<s> _cat </s>", "<s> _the _cat </s>"), ("<s> _dog _sat </s>", "<s> _ran </s>")],
            "<s> _cat </s> <s> _dog _sat </s>",
            "<s> _the _cat <s> _ran <pad> <pad>",
            "_the _cat </s> _ran </s> - -",
        ),
        (  # an empty target: </s> is foretold from the source alone
            [("<s> _on </s>", "<s> </s>"), ("<s> </s>", "<s> _ma t s </s>")],
            "<s> _on </s> <s> </s> <pad> <pad>",
            "<s> <s> _ma t s <pad> <pad>",
            "</s> _ma t s </s> - -",
        ),
    ],
)
def test_seq2seq(pairs, read, given, asked):
    sources, targets = zip(*pairs, strict=True)
    pair = window(*targets, length=7)._replace(others={"source": window(*sources, length=7)})
    example = Seq2Seq().prepare((pair,), Dice(), VOCAB, seq_len=7)
    assert names(example["encoder_tokens"]) == read
    assert lines(example) == (given, asked)
    for side, texts, whole in (("encoder_", sources, 0), ("", targets, 1)):
        lengths = [len(text.split()) - whole for text in texts]
        segments = [k for k, length in enumerate(lengths, 1) for _ in range(length)]
        positions = [place for length in lengths for place in range(length)]
        assert example[f"{side}segments"].tolist() == (segments + [0] * 7)[:7]
        assert example[f"{side}positions"].tolist() == (positions + [0] * 7)[:7]


class Told:
    """A generator that writes these pieces in the gaps, in turn, and a discriminator that judges as told."""

    def __init__(self, gaps, writes, replaced):
        self.words = np.zeros(len(replaced.split()), np.int32)
        self.words[gaps] = [ID[piece] for piece in writes.split()]
        self.score = jnp.array([[20.0 if mark == "x" else -20.0 for mark in replaced.split()]])

    def generate(self, params, inputs, *, rng=None):
        certain = 100.0 * jax.nn.one_hot(self.words, len(NAMES))[None]
        return Outputs(certain, {"lm": Readout(certain, jnp.eye(len(NAMES)), None, len(NAMES))}, {})

    def __call__(self, params, inputs, *, rng=None):
        self.given = names(np.asarray(inputs.tokens_BL[0]))
        return Outputs(None, {"replaced": self.score}, {})


@pytest.mark.parametrize(
    ("objective", "documents", "dice", "given", "writes", "judged", "replaced"),
    [
        (  # of 8 pieces 3 are hidden; the generator finds the second, which so is no replacement
            ReplacedTokenDetection(mask_rate=3 / 8),
            [CAT],
            Dice(permutation=[[5, 2, 8, 1, 3, 4, 6, 7]], random=[[0.3, 0.7, 0.95]], integers=[[0, 0, 0]]),
            "<s> _the [MASK] _sat _on [MASK] _ma t [MASK] </s>",
            "_dog _a t",
            "<s> _the _dog _sat _on _a _ma t t </s>",
            "- - x - - - - - x -",
        ),
        (  # two documents: of their 5 pieces 2 are hidden; the place left over for a third gap, and padding, tell nothing
            ReplacedTokenDetection(mask_rate=3 / 8),
            ["<s> _the _cat </s>", "<s> _a _dog _ran"],
            Dice(permutation=[[6, 2, 1, 5, 7]], random=[[0.0, 0.0]], integers=[[0, 0]]),
            "<s> _the [MASK] </s> <s> _a [MASK] _ran <pad> <pad>",
            "_ran _dog",
            "<s> _the _ran </s> <s> _a _dog _ran <pad> <pad>",
            "- - x - - - - - - -",
        ),
        (  # as in the release: the second of three is left to be seen, and replaced nevertheless
            ReplacedTokenDetection(mask_rate=3 / 8, replace_with_mask=0.85),
            [CAT],
            Dice(permutation=[[5, 2, 8, 1, 3, 4, 6, 7]], random=[[0.3, 0.9, 0.5]], integers=[[0, 0, 0]]),
            "<s> _the [MASK] _sat _on _a _ma t [MASK] </s>",
            "_cat _the s",
            "<s> _the _cat _sat _on _the _ma t s </s>",
            "- - - - - x - - - -",
        ),
    ],
)
def test_replaced_tokens(objective, documents, dice, given, writes, judged, replaced):
    example = objective.prepare((window(*documents, length=10),), dice, VOCAB, seq_len=10)
    assert names(example["tokens"]) == given
    gaps = [place for place in example["masked_index"].tolist() if place >= 0]
    model = Told(gaps, writes, replaced)
    batch = {**{name: array[None] for name, array in example.items()}, "row": np.zeros(1, np.int32)}
    sums = objective.loss(model, None, batch, jax.random.key(0))
    assert model.given == judged
    weights, real = objective.weights(batch), sum(piece != "<pad>" for piece in judged.split())
    assert {name: float(weight) for name, weight in weights.items()} == {"generator": len(gaps), "discriminator": real}
    assert float(sums.metrics["discriminator_accuracy"][0]) == real  # it judged as told, which is as it was
    assert float(sums.metrics["replaced"][0]) == replaced.count("x")


CAT_AND_DOG = "<s> /_the _cat _sat . /_a _dog _ran . </s>"


def pairs(objective, windows, hidden, draw, integers):
    """The row of a pair whose first two hidden pieces become [MASK], while a third stays; (given, asked, types, label)."""
    dice = Dice(permutation=[hidden], random=[draw, [0.3, 0.7, 0.95]], integers=[*integers, [0] * len(hidden)])
    example = objective(mask_rate=3 / 8).prepare(windows, dice, VOCAB, seq_len=13)
    assert example["pair_weights"] == 1
    return *lines(example), "".join(map(str, example["token_types"])), int(example["pair"])


@pytest.mark.parametrize(
    ("other", "length", "hidden", "draw", "given", "asked", "types", "label"),
    [
        (  # cut at the second sentence; the die says that it stays, and how long it is: not to its end
            "_sat . /_on _a _ma t s .",
            3,
            [2, 7, 8],
            0.5,
            "[CLS] _the [MASK] _sat . [SEP] _a [MASK] _ran [SEP] <pad> <pad> <pad>",
            "- - _cat - - - - _dog _ran - - - -",
            "0000001111000",
            0,
        ),
        (  # another document takes its place, from a sentence on, as long as what stood there
            "_sat . /_on _a _ma t s .",
            3,
            [2, 7, 8],
            0.4,
            "[CLS] _the [MASK] _sat . [SEP] _on [MASK] _ma [SEP] <pad> <pad> <pad>",
            "- - _cat - - - - _a _ma - - - -",
            "0000001111000",
            1,
        ),
        (  # the other's only sentence has three pieces in its window, so the text that stays has no more than two
            "_sat _on _the _ma t s . /_a _cat _ran",
            2,
            [2, 7],
            0.9,
            "[CLS] _the [MASK] _sat . [SEP] _a [MASK] [SEP] <pad> <pad> <pad> <pad>",
            "- - _cat - - - - _dog - - - - -",
            "0000001110000",
            0,
        ),
    ],
)
def test_next_sentence(other, length, hidden, draw, given, asked, types, label):
    windows = sentences(CAT_AND_DOG, 10), sentences(other, 10)
    assert pairs(NextSentence, windows, hidden, draw, [0, 0, length]) == (given, asked, types, label)


@pytest.mark.parametrize(
    ("document", "hidden", "draw", "given", "asked", "types", "label"),
    [
        (  # the die says that they stay as they are
            CAT_AND_DOG,
            [2, 7, 9],
            0.5,
            "[CLS] _the [MASK] _sat . [SEP] _a [MASK] _ran . [SEP] <pad> <pad>",
            "- - _cat - - - - _dog - . - - -",
            "0000001111100",
            0,
        ),
        (  # they change places
            CAT_AND_DOG,
            [2, 7, 9],
            0.4,
            "[CLS] _a [MASK] _ran . [SEP] _the [MASK] _sat . [SEP] <pad> <pad>",
            "- - _dog - - - - _cat - . - - -",
            "0000001111100",
            1,
        ),
        (  # the window begins within a sentence and ends within another: neither is in the pair
            "_ma . /_the _cat . /_a _dog _ran . /_on",
            [2, 7, 8],
            0.1,
            "[CLS] _a [MASK] _ran . [SEP] _the [MASK] . [SEP] <pad> <pad> <pad>",
            "- - _dog - - - - _cat . - - - -",
            "0000001111000",
            1,
        ),
    ],
)
def test_sentence_order(document, hidden, draw, given, asked, types, label):
    windows = (sentences(document, 10),)
    assert pairs(SentenceOrder, windows, hidden, draw, [0]) == (given, asked, types, label)
