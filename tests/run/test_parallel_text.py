"""Pairs from files to rows: whole, side by side; what does not fit is named or counted."""

from dataclasses import replace

import numpy as np
import pytest

from jaxlm.core import ConfigError, RunError
from jaxlm.corpus import ParallelLines, TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import transformer_2017
from jaxlm.objectives import CausalLM, Seq2Seq
from jaxlm.optim import AdamW
from jaxlm.run.assemble import Materials, examples
from jaxlm.run.config import RunConfig
from jaxlm.run.program import check_config
from jaxlm.run.text import store_for, text_of, tokenizer_for
from jaxlm.tokenizer import Characters

OBJECTIVE = Seq2Seq(source="de", target="en")
ENGLISH = [f"line {i} says {'yes ' * (i % 4)}" for i in range(150)]
GERMAN = [f"Zeile {i} sagt {'ja ' * (i % 4)}" for i in range(150)]
GERMAN[20] = "x" * 60


@pytest.fixture
def config(tmp_path):
    for name, lines in (("en", ENGLISH), ("de", GERMAN)):
        (tmp_path / f"text.{name}").write_text("\n".join(lines))
    sources = (ParallelLines(tmp_path / "text", ("en", "de")),)
    return RunConfig(
        model=transformer_2017(num_layers=1, embed_dim=16, num_heads=2),
        objective=OBJECTIVE,
        optimizer=AdamW(steps=10),
        tokenizer=Characters(),
        data=DataConfig(sources=sources, seq_len=48, packing="best_fit", validation_fraction=0.2),
    )


def materials_of(config):
    quiet, text = lambda line: None, text_of(config)
    tokenizer = tokenizer_for(config.tokenizer, text, quiet)
    return Materials(tokenizer, store_for(text, tokenizer, quiet))


def test_rows_hold_pairs_whole_and_each_once(config, caplog):
    materials, found = materials_of(config), []
    decode = materials.tokenizer.decode
    for split in ("train", "validation"):
        rows = examples(config, materials, split)
        for position in range(rows.num_rows):
            row = rows.row(position)
            for segment in range(1, row["segments"].max() + 1):
                places, read = row["segments"] == segment, row["encoder_segments"] == segment
                asked, given, source = row["targets"][places], row["tokens"][places], row["encoder_tokens"][read]
                vocab = materials.tokenizer.vocab
                assert given.tolist() == [vocab.bos, *asked[:-1]]
                assert asked[-1] == source[-1] == vocab.eos
                found.append((decode(asked[:-1]), decode(source[1:-1])))
            assert row["encoder_segments"].max() == row["segments"].max()
            np.testing.assert_array_equal(row["weights"] > 0, row["segments"] > 0)
    expected = [pair for pair in zip(ENGLISH, GERMAN, strict=True) if pair[1] != "x" * 60]
    assert sorted(found) == sorted(expected)
    assert "train documents are left out: a stream of theirs has more than data.seq_len=48 tokens" in caplog.text


def test_the_tokenizer_knows_both_sides(config):
    tokenizer = materials_of(config).tokenizer
    assert {"x", "Z", "j"} <= {tokenizer.decode([id]) for id in range(tokenizer.vocab.size)}


def test_a_text_without_the_streams_is_named(config, tmp_path):
    other = replace(config, objective=Seq2Seq())
    with pytest.raises(
        ConfigError, match=r"reads the streams 'target' and 'source', and source 'text' has 'en' and 'de'; name those"
    ):
        examples(other, materials_of(config), "train")
    (tmp_path / "one.txt").write_text("one two three\n" * 50)
    single = replace(config, data=replace(config.data, sources=(TextFiles(tmp_path / "one.txt"),)))
    with pytest.raises(ConfigError, match=r"has 'text'; name those that it has, or give parallel text, such as ParallelLines"):
        examples(single, materials_of(single), "train")


def test_rows_too_short_for_any_pair_are_named(config):
    short = replace(config, data=replace(config.data, seq_len=8))
    with pytest.raises(ConfigError, match=r"data\.seq_len=8: \d+ of \d+ train documents of source 'text' fit no row.*raise it"):
        examples(short, materials_of(short), "train")


def test_windows_would_cut_pairs(config):
    with pytest.raises(ConfigError, match=r"data\.packing='windows' cuts documents, and objective Seq2Seq needs all streams"):
        check_config(replace(config, data=replace(config.data, packing="windows")))


def test_one_stream_twice_is_no_pair():
    with pytest.raises(ConfigError, match=r"objective\.source and objective\.target are both 'en'"):
        Seq2Seq(source="en", target="en")


def test_streams_of_unlike_length_end_before_anything_is_computed(config, tmp_path):
    with open(tmp_path / "text.de", "a") as file:
        file.write("\nnoch eine")
    with pytest.raises(RunError, match=r"as many lines in each file: \S+text\.en has 150, \S+text\.de has 151"):
        materials_of(config)


def test_an_objective_of_one_stream_takes_the_first(config):
    causal = replace(config, objective=CausalLM(), data=replace(config.data, packing="windows"))
    materials = materials_of(causal)
    rows = examples(causal, materials, "train")
    texts = "".join(materials.tokenizer.decode(rows.row(position)["tokens"]) for position in range(rows.num_rows))
    assert "says" in texts
    assert "sagt" not in texts
