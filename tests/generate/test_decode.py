"""With and without the cache, alone and in a batch, padded or not: the same text."""

import jax
import numpy as np
import pytest
from tiny import ALIKE, VOCAB_SIZE, call, model, params

from jaxlm.core import Inputs
from jaxlm.generate import Sampling, decode, stream
from jaxlm.generate.prompts import bucket, padded
from jaxlm.models.families import FAMILIES

CACHED_AS = (*ALIKE, "llama", "transformer_2017")  # gemma's keys, and t5's, are kept as theirs
CAUSAL = [
    pytest.param(family, marks=[pytest.mark.slow] if family in CACHED_AS else [])
    for family in FAMILIES
    if model(family).attention == "causal"
]
GREEDY = Sampling(temperature=0)
ENCODER_TEXTS = [np.array(ids, np.int32) for ids in ([50, 51], [30, 2, 9, 40, 41], [12], [44, 45, 46])]
PROMPTS = [np.array(ids, np.int32) for ids in ([2, 9, 40], [2], [2, 11, 12, 13, 14, 15, 16], [2, *range(20, 38)])]


def keys(number):
    return jax.random.split(jax.random.key(7), number)


def continuations(model, params, prompts, limits, **settings):
    """ids_N of each row."""
    given = {"keys_B": keys(len(prompts)), "sampling": GREEDY, "vocab_size": VOCAB_SIZE, **settings}
    steps = list(stream(model, params, prompts, limits=limits, **given))
    return [[int(step.ids_B[b]) for step in steps if step.running_B[b]] for b in range(len(prompts))], steps


def without_cache(model, params, prompt, number, encoder_text):
    """The greedy ids and the log probabilities before each, each from the whole text anew."""
    ids, log_probs = list(prompt), []
    encoder = padded([encoder_text], "right") if model.encoder else None
    for _ in range(number):
        longest = np.zeros(32, np.int32)  # one shape for all; what stands after them is not seen
        longest[: len(ids)] = ids
        inputs = Inputs(longest[None], np.arange(32)[None], np.ones((1, 32), np.int32), encoder=encoder)
        logits_LV = call(model.eval(), params, inputs).heads["lm"].logits()[0]
        log_probs.append(jax.nn.log_softmax(logits_LV[len(ids) - 1]))
        ids.append(int(log_probs[-1].argmax()))
    return ids[len(prompt) :], np.array(log_probs)


@pytest.mark.parametrize("family", CAUSAL)
def test_cache_batch_and_padding_change_nothing(family):
    m = model(family, dropout=0.5) if family == "gpt2" else model(family)
    p = params(m)
    limits = [8, 10, 3, 9]
    texts = ENCODER_TEXTS if m.encoder else []
    found, steps = continuations(m, p, PROMPTS, limits, top=VOCAB_SIZE, encoder_texts=texts)
    for b, (prompt, limit) in enumerate(zip(PROMPTS, limits, strict=True)):
        expected, log_probs_NV = without_cache(m, p, prompt, limit, ENCODER_TEXTS[b])
        assert found[b] == expected
        for number in range(limit):
            step = steps[number]
            found_V = np.zeros(VOCAB_SIZE)
            found_V[step.top_ids_BT[b]] = step.top_log_probs_BT[b]
            np.testing.assert_allclose(found_V, log_probs_NV[number], atol=2e-5)
            assert step.log_probs_B[b] == step.top_log_probs_BT[b, 0]
        assert continuations(m, p, [prompt], [limit], encoder_texts=texts[b : b + 1])[0] == [expected]
    assert len({tuple(ids[:3]) for ids in found}) > 1, "the test sees nothing where all prompts go on alike"


def test_padding_of_any_content_changes_no_score():
    m = model("gpt2")
    p = params(m)
    plain = padded(PROMPTS[:1], "left")
    full = plain._replace(tokens_BL=np.where(plain.segments_BL > 0, plain.tokens_BL, 33))
    logits = [decode._prefill(p, inputs, model=m, length=32)[0] for inputs in (plain, full)]
    np.testing.assert_array_equal(*logits)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padded(side):
    tokens_BL, positions_BL, segments_BL, *_ = padded([np.array([5, 6, 7]), np.array([8])], side)
    assert tokens_BL.shape == (2, 16)
    assert tokens_BL[segments_BL > 0].tolist() == [5, 6, 7, 8]
    assert positions_BL[segments_BL > 0].tolist() == [0, 1, 2, 0]
    end = slice(-1, None) if side == "left" else slice(0, 1)
    assert tokens_BL[:, end].tolist() == ([[7], [8]] if side == "left" else [[5], [8]])


def test_a_row_ends_at_its_stop_id_and_the_others_go_on():
    m = model("llama")
    p = params(m)
    (first, second), _ = continuations(m, p, PROMPTS[:2], [12, 12])
    stop = first[4]
    (stopped, other), steps = continuations(m, p, PROMPTS[:2], [12, 12], stop_ids={stop})
    assert stopped == first[: first.index(stop) + 1]
    assert other == (second[: second.index(stop) + 1] if stop in second else second)
    assert steps[len(stopped) - 1].finished_B[0]
    assert not any(step.finished_B[0] for step in steps[: len(stopped) - 1])
    assert steps[-1].finished_B.all()


def test_sampled_text_of_a_row_is_its_keys():
    m = model("llama")
    p = params(m)
    sampling = Sampling(temperature=1.5, top_k=40, top_p=0.95)
    together, _ = continuations(m, p, PROMPTS[:3], [9, 9, 9], sampling=sampling)
    alone, _ = continuations(m, p, PROMPTS[1:2], [9], sampling=sampling, keys_B=keys(3)[1:2])
    assert together[1] == alone[0]
    assert len(set(together[1])) > 2, "each token must have noise of its own"
    others, _ = continuations(m, p, PROMPTS[1:2], [9], sampling=sampling, keys_B=keys(3)[:1])
    assert others != alone


def test_ids_that_the_tokenizer_lacks_are_never_drawn():
    m = model("gpt2")
    found, steps = continuations(m, params(m), PROMPTS, [8] * 4, vocab_size=10, top=10, sampling=Sampling(temperature=5.0))
    assert max(map(max, found)) < 10
    np.testing.assert_allclose(np.exp(steps[0].top_log_probs_BT).sum(-1), 1, rtol=1e-5)


def test_few_shapes_are_compiled():
    m = model("gpt2", embed_dim=24, num_layers=1)
    p = params(m)
    before = [f._cache_size() for f in (decode._prefill, decode.advance)]
    for length in (1, 2, 7, 15, 16):
        continuations(m, p, [np.full(length, 9, np.int32)], [length])
    assert [f._cache_size() for f in (decode._prefill, decode.advance)] == [n + 1 for n in before]
    assert [bucket(n) for n in (1, 16, 17, 100, 128, 129)] == [16, 16, 32, 128, 128, 256]


def test_the_model_is_not_compiled_anew_for_other_sampling():
    m = model("gpt2", embed_dim=16, num_layers=1)
    p = params(m)
    continuations(m, p, PROMPTS[:1], [4])
    before = decode.advance._cache_size()
    continuations(m, p, PROMPTS[:1], [4], sampling=Sampling(top_k=3), top=2)
    assert decode.advance._cache_size() == before


@pytest.mark.parametrize("prefix", [False, True])
def test_a_prompt_that_is_a_prefix_is_read_both_ways(prefix):
    m = model("llama")
    p = params(m)
    ids, steps = continuations(m, p, PROMPTS, [4] * 4, prefix=prefix)
    for row, prompt in enumerate(PROMPTS):
        whole_L = np.concatenate([prompt, ids[row]])
        inputs = Inputs(*(x_L[None] for x_L in (whole_L, np.arange(len(whole_L)), np.ones(len(whole_L), np.int32))))
        of_prompt_BL = np.arange(len(whole_L))[None] < len(prompt)
        logits_LV = call(m, p, inputs._replace(prefix_BL=of_prompt_BL) if prefix else inputs).heads["lm"].logits()[0]
        expected = jax.nn.log_softmax(logits_LV)[np.arange(len(prompt) - 1, len(whole_L) - 1), ids[row]]
        np.testing.assert_allclose([step.log_probs_B[row] for step in steps], expected, atol=1e-5)
