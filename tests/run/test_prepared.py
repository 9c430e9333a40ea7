"""What a run says of its rows before it trains on them."""

import json

import numpy as np
import pytest

from jaxlm.core import ConfigError
from jaxlm.corpus import JsonLines, LeadingSpace
from jaxlm.data.config import DataConfig
from jaxlm.models import bert, gpt2
from jaxlm.objectives import CausalLM, FillInMiddle, MaskedLM, NextSentence, PrefixLM, SentenceOrder, SpanCorruption, WholeWords
from jaxlm.optim import AdamW
from jaxlm.run.assemble import Materials, examples
from jaxlm.run.config import RunConfig
from jaxlm.run.prepared import prepared
from jaxlm.run.text import store_for, text_of, tokenizer_for
from jaxlm.tokenizer import Bytes, SentencePiece
from jaxlm.train.config import TrainConfig

BYTES = Bytes(num_sentinels=40)
QUIET = lambda line: None


@pytest.fixture
def rows(tmp_path):
    """Training rows of an objective, of documents."""

    def make(objective, documents, tokenizer=BYTES, **data):
        path = tmp_path / "text.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
        small = {"num_layers": 1, "embed_dim": 16, "num_heads": 2, "context": 64}
        config = RunConfig(
            model=bert(**small) if isinstance(objective, MaskedLM) else gpt2(**small),
            objective=objective,
            optimizer=AdamW(steps=10),
            tokenizer=tokenizer,
            data=DataConfig(sources=(JsonLines(path),), **{"seq_len": 64, "packing": "best_fit", **data}),
            train=TrainConfig(steps=10, batch_size=4),
        )
        text = text_of(config)
        trained = tokenizer_for(tokenizer, text, QUIET)
        return examples(config, Materials(trained, store_for(text, trained, QUIET)), "train")

    return make


LONG = [f"{i} {'abcdefg hijk. ' * 40}{i}" for i in range(60)]
SHORT = [f"short {i}" for i in range(400)]


@pytest.mark.parametrize(
    "objective", [CausalLM(), PrefixLM(), MaskedLM(), FillInMiddle(), SpanCorruption()], ids=lambda o: type(o).__name__
)
def test_long_texts_are_shown_whole(rows, objective):
    found = prepared(rows(objective, LONG, packing="windows"))
    assert found.num_rows == 64
    assert found.left_out < 0.02
    assert max(found.empty) < 0.05


def test_short_documents_that_a_writer_has_no_room_for_are_told(rows):
    made = rows(SpanCorruption(), SHORT)
    found = prepared(made)
    batch = made.batch(np.arange(found.num_rows))
    letters = sum(int((batch[name] >= 47).sum()) for name in ("targets", "encoder_tokens"))
    whole = sum(int((window.ids_N >= 47).sum()) for p in range(found.num_rows) for window in made.windows(p))
    assert found.left_out == pytest.approx(1 - letters / whole)
    assert found.left_out > 0.3
    assert found.empty == ((batch["segments"] == 0).mean(), (batch["encoder_segments"] == 0).mean())
    assert prepared(rows(SpanCorruption(target_length=64), SHORT)).left_out == 0


def test_rows_that_hold_a_pair_are_counted(rows):
    texts = [f"{i} says one thing. Then it says another. {i} ends." for i in range(200)]
    found = prepared(rows(SentenceOrder(), texts, packing="documents", steps=(LeadingSpace(),)))
    assert 0 < found.pairs <= 1
    assert prepared(rows(MaskedLM(), texts)).pairs is None
    assert prepared(rows(NextSentence(), texts)).left_out is None, "half of its rows show another document's text"


def test_rows_that_ask_for_nothing_are_refused(rows):
    """Without white space all of a text is one word, longer than what is to be hidden of it."""
    words = SentencePiece(vocab_size=300, model_type="bpe")
    with pytest.raises(
        ConfigError,
        match=r"objective MaskedLM: none of the first 64 training rows asks for anything, so nothing would be learnt; give other "
        r"text, other settings of the objective, or another data\.seq_len than 64",
    ):
        prepared(rows(MaskedLM(masking=WholeWords()), [f"{i}{'abcdefgh' * 20_000}" for i in range(12)], words, packing="windows"))
