"""Prompts to texts: bounds of the context, samples, what ends a text, what was likely."""

from functools import cache

import numpy as np
import pytest
from tiny import model, params

from jaxlm.core import ConfigError
from jaxlm.generate import Continuation, complete, decode, generate_texts, stream_pieces
from jaxlm.tokenizer import Bytes, Characters

TOKENIZER = Characters().train(lambda: ["abcdefghijklmnopqrstuvwxyz .,"])


@cache
def tiny(family="gpt2", **settings):
    """A model that has ids beyond its tokenizer's."""
    m = model(family, num_layers=1, embed_dim=16, **settings)
    return m, params(m)


def texts(prompts, family="gpt2", **settings):
    return generate_texts(*tiny(family), TOKENIZER, prompts, **settings)


def test_the_begin_token_stands_first(monkeypatch):
    seen = []
    plain = decode.stream
    monkeypatch.setattr(
        "jaxlm.generate.continuation.stream", lambda m, p, prompts, **kw: seen.extend(prompts) or plain(m, p, prompts, **kw)
    )
    texts(["ab", ""], max_tokens=1)
    bos = TOKENIZER.vocab.bos
    assert [ids_N.tolist() for ids_N in seen] == [[bos, *TOKENIZER.encode_batch(["ab"])[0].tolist()], [bos]]


def test_other_prompts_beside_it_change_no_text():
    settings = {"max_tokens": 12, "num_samples": 2, "temperature": 1.3, "top_k": 20}
    together = texts(["a cat", "b", "the end."], **settings)
    assert together[2:4] == texts(["b"], **settings)
    assert len(set(together)) == 6, "prompts and samples have noise of their own"
    assert together == texts(["a cat", "b", "the end."], **settings)
    assert together[2:4] != texts(["b"], **settings, seed=1)


def test_greedy_needs_no_luck():
    assert texts(["a cat"], max_tokens=8, temperature=0) == texts(["a cat"], max_tokens=8, temperature=0, seed=5)
    assert texts(["a cat"], max_tokens=8, temperature=0) == texts(["a cat"], max_tokens=8, top_k=1, seed=5)


def test_pieces_join_to_the_text_and_carry_what_was_likely():
    m, p = tiny()
    settings = Continuation.of(max_tokens=10, top=4, num_samples=2)
    pieces = list(stream_pieces(m, p, TOKENIZER, ["ab"], settings))
    completions = complete(m, p, TOKENIZER, ["ab"], settings)
    for row, completion in enumerate(completions):
        own = [piece for piece in pieces if piece.row == row]
        assert "".join(piece.text for piece in own) == completion.text
        assert completion.text == TOKENIZER.decode([c.id for c in completion.chosen])
        assert [piece.last for piece in own] == [False] * (len(own) - 1) + [True]
        for chosen, likeliest in zip(completion.chosen, completion.likeliest, strict=True):
            assert len(likeliest) == 4
            assert sorted(likeliest, key=lambda c: -c.probability) == list(likeliest)
            assert chosen.token == TOKENIZER.pieces([chosen.id])[0]
            assert chosen.probability <= likeliest[0].probability
            assert 2**-chosen.bits == pytest.approx(chosen.probability)


def test_what_was_likely_is_told_before_temperature_and_top_k():
    m, p = tiny()
    plain, cold = (
        complete(m, p, TOKENIZER, ["ab"], Continuation.of(max_tokens=1, top=5, **settings))[0]
        for settings in ({}, {"temperature": 0.1, "top_k": 2, "top_p": 0.5})
    )
    assert plain.likeliest == cold.likeliest


@pytest.mark.parametrize("own", [False, True])
def test_a_text_ends_at_its_end_token(own, monkeypatch):
    """The tokenizer's end token adds no text, nor does a stop id of one's own."""
    m, p = tiny()
    whole = complete(m, p, TOKENIZER, ["ab"], Continuation.of(max_tokens=20))[0]
    stop = whole.chosen[5].id
    first = [c.id for c in whole.chosen].index(stop)
    if own:
        found = complete(m, p, TOKENIZER, ["ab"], Continuation.of(max_tokens=20, stop_ids=(stop,)))[0]
    else:
        object.__setattr__(TOKENIZER.vocab, "eos", stop)
        try:
            found = complete(m, p, TOKENIZER, ["ab"], Continuation.of(max_tokens=20))[0]
        finally:
            object.__setattr__(TOKENIZER.vocab, "eos", 3)
    assert found.chosen == whole.chosen[: first + 1]
    assert found.text == TOKENIZER.decode([c.id for c in whole.chosen[:first]])


def test_the_context_bounds_what_is_written():
    eos_never = {"temperature": 0}
    prompt = "a" * 20  # 21 tokens of 32
    assert len(complete(*tiny(), TOKENIZER, [prompt], Continuation.of(**eos_never))[0].chosen) <= 11
    texts([prompt], max_tokens=11)
    texts(["a" * 30], max_tokens=1)
    with pytest.raises(
        ConfigError,
        match=r"^--max-tokens: 12 after a prompt of 21 tokens is more than the model's context of 32\. Give at most 11, or a",
    ):
        texts(["a", prompt], max_tokens=12)
    with pytest.raises(
        ConfigError, match=r"^--prompt: its 32 tokens leave no room in the model's context of 32\. Shorten it to at most 31 tokens"
    ):
        texts(["a" * 31])


def test_errors_come_before_the_model_runs():
    m, _ = tiny()
    with pytest.raises(ConfigError):
        stream_pieces(m, None, TOKENIZER, ["a" * 40])


def test_rotary_positions_have_no_bound():
    found = complete(*tiny("llama"), TOKENIZER, ["a" * 40], Continuation.of(max_tokens=2))[0]
    assert 1 <= len(found.chosen) <= 2
    assert len(complete(*tiny("llama"), TOKENIZER, ["a"], Continuation.of(temperature=0))[0].chosen) <= 100


def test_each_row_has_its_own_room():
    lengths = [len(c.chosen) for c in complete(*tiny(), TOKENIZER, ["a" * 28, "a"], Continuation.of(stop_ids=(), temperature=0))]
    assert lengths[0] <= 3


def test_characters_of_several_tokens():
    tokenizer = Bytes().train(list)
    m = model("gpt2", num_layers=1, embed_dim=16, vocab_size=tokenizer.vocab.size)
    (piece, *_) = stream_pieces(m, params(m), tokenizer, ["é"], Continuation.of(max_tokens=1, temperature=0))
    assert piece.last
    assert piece.text == tokenizer.decode([piece.chosen.id])


def test_no_prompts():
    assert texts([]) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_tokens": 0}, r"^--max-tokens: 0 is not at least 1"),
        ({"num_samples": 0}, r"^--num-samples: 0 is not at least 1"),
        ({"num_samples": 2, "temperature": 0}, r"^--num-samples: 2 at temperature 0 .* Give a --temperature above 0"),
        ({"temperature": -1.0}, r"^--temperature: -1.0"),
    ],
)
def test_settings_out_of_bounds(settings, message):
    with pytest.raises(ConfigError, match=message):
        Continuation.of(**settings)


def test_more_candidates_than_tokens():
    with pytest.raises(ConfigError, match=rf"^--top: 999 is not within 0 and {TOKENIZER.vocab.size}, the"):
        stream_pieces(*tiny(), TOKENIZER, ["a"], Continuation(top=999))


def test_a_model_that_looks_both_ways_writes_nothing():
    with pytest.raises(ConfigError, match=r"^generate: the model's attention is bidirectional.*use `jaxlm fill-mask`"):
        texts(["a"], "bert")


def test_noise_differs_for_prompts_that_end_alike():
    m, p = tiny()
    first = [
        c.chosen[0].id
        for c in complete(m, p, TOKENIZER, [f"{x}a" for x in "bcdefghijk"], Continuation.of(temperature=50.0, max_tokens=1))
    ]
    assert len(set(np.array(first).tolist())) > 3
