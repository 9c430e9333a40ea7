"""`jaxlm generate` and `jaxlm fill-mask`, with a loaded run that was never trained."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny import model, params

from jaxlm.cli.main import main
from jaxlm.core.vocab import Gaps
from jaxlm.run.loaded import Loaded
from jaxlm.tokenizer import Characters


@pytest.fixture
def loading(monkeypatch):
    """The family that `load` gives, and what it was asked for."""
    state = SimpleNamespace(family="gpt2", asked=[])
    tokenizer = Characters(num_sentinels=3).train(lambda: ["abcdefghijklmnopqrstuvwxyz ."])

    def load(where, *, trust=False):
        state.asked.append((where, trust))
        m = model(state.family, num_layers=1, embed_dim=16, vocab_size=tokenizer.vocab.size)
        about = {
            "prefix": False,
            "ends": ("bos", "eos"),
            "gaps": Gaps((), tokenizer.vocab.sentinels) if state.family == "t5" else None,
            "summary": {},
        }
        return Loaded(Path(where), m, params(m), tokenizer, 0, 16, **about)

    monkeypatch.setattr("jaxlm.run.api.load", load)
    return state


def run(capsys, *words):
    code = main(words)
    out, err = capsys.readouterr()
    return code, out, err


def test_one_text_is_printed_after_its_prompt(capsys, loading):
    words = ("generate", "runs/x", "--prompt", "the cat", "--max-tokens", "6", "--seed", "3")
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert out.startswith("the cat")
    code, only, err = run(capsys, *words, "--json")
    result = json.loads(only)
    assert result == {"prompts": ["the cat"], "completions": [out.removesuffix("\n").removeprefix("the cat")]}
    assert err == out, "the same text goes to stderr"
    assert loading.asked == [("runs/x", False)] * 2


def test_a_prompt_beyond_what_was_trained_on_has_a_note(capsys, loading):
    long = ("generate", "runs/x", "--prompt", "abcdefgh " * 2, "--max-tokens", "1")
    assert "note:" not in run(capsys, *long)[2]  # the table of positions bounds it
    loading.family = "llama"
    assert run(capsys, *long)[2] == "note: a prompt has 18 tokens, and the model was trained on rows of 16\n"
    assert "note:" not in run(capsys, *long[:3], "abc")[2]


def test_several_texts_with_what_was_likely(capsys, loading):
    words = [
        "generate",
        "runs/x",
        "--prompt",
        "a",
        "--prompt",
        "b",
        "--num-samples",
        "2",
        "--max-tokens",
        "3",
        "--top",
        "4",
        "--trust",
    ]
    code, out, err = run(capsys, *words, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["prompts"] == ["a", "b"]
    assert len(result["completions"]) == len(result["candidates"]) == len(result["chosen"]) == 4
    for places, chosen in zip(result["candidates"], result["chosen"], strict=True):
        assert len(places) == len(chosen) <= 3
        for place in places:
            assert [sorted(c) for c in place] == [["bits", "id", "probability", "token"]] * 4
            assert place[0]["bits"] == pytest.approx(-math.log2(place[0]["probability"]))
    assert [line for line in err.splitlines() if line.startswith("---")] == [
        f"--- prompt {prompt}, sample {sample}" for prompt in (1, 2) for sample in (1, 2)
    ]
    assert err.count(" bits ") == sum(map(len, result["chosen"]))
    assert loading.asked == [("runs/x", True)]


def test_flags_reach_the_draw(capsys, loading):
    def text(*words):
        return json.loads(run(capsys, "generate", "x", "--prompt", "a", "--max-tokens", "12", "--json", *words)[1])["completions"]

    greedy = text("--temperature", "0")
    assert text("--top-k", "1") == text("--top-p", "0.000001") == greedy
    assert text("--temperature", "3") != greedy
    assert text("--temperature", "3", "--seed", "1") != text("--temperature", "3", "--seed", "2")


def test_wrong_settings_stop_before_the_run_is_read(capsys, loading):
    for words, message in (
        (("--temperature", "-1"), "--temperature: -1.0 is not at least 0"),
        (("--max-tokens", "0"), "--max-tokens: 0 is not at least 1"),
        (("--top-p", "2"), "--top-p: 2.0 is not above 0"),
    ):
        code, _, err = run(capsys, "generate", "x", "--prompt", "a", *words)
        assert code == 2
        assert err.startswith(message)
    assert run(capsys, "generate", "x")[2].startswith("jaxlm generate: --prompt is missing")
    assert loading.asked == []
    code, _, err = run(capsys, "generate", "x", "--prompt", "a", "--max-tokens", "40")
    assert code == 2
    assert err.startswith("--max-tokens: 40 after a prompt of 2 tokens is more than the model's context of 32. Give at most 30")


def test_fill_mask(capsys, loading):
    loading.family = "bert"
    words = ("fill-mask", "x", "--prompt", "the [MASK] and [MASK].", "--prompt", "[MASK]", "--top", "3")
    code, out, err = run(capsys, *words, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["prompts"] == ["the [MASK] and [MASK].", "[MASK]"]
    assert [[sorted(c) for c in gap] for gap in result["masks"]] == [[["id", "probability", "token"]] * 3] * 3
    first, second, third = (gap[0]["token"] for gap in result["masks"])
    assert result["filled"] == [f"the {first} and {second}.", third]
    assert f"\n  [MASK] 2: {second!r} 0." in err
    assert f"\n  the {first} and {second}.\n" in err
    assert len(json.loads(run(capsys, *words[:4], "--json")[1])["masks"][0]) == 5


def test_fill_mask_of_an_encoder_decoder(capsys, loading):
    loading.family = "t5"
    words = ("fill-mask", "x", "--prompt", "the [MASK] and [MASK].", "--prompt", "[MASK]", "--top", "2")
    code, out, err = run(capsys, *words, "--json")
    result = json.loads(out)
    assert code == 0
    firsts, seconds = result["answers"]
    assert 1 <= len(firsts) <= 2
    assert result["filled"] == [firsts[0]["text"], seconds[0]["text"]]
    for answer in firsts:
        first, second = answer["spans"]
        assert answer["text"] == f"the {first} and {second}."
        assert f"\n  {math.exp(answer['log_prob']):.3f}  {first!r}  {second!r}\n" in err
    assert f"\n  {firsts[0]['text']}\n[MASK]\n" in err


def test_the_other_kind_of_model(capsys, loading):
    assert run(capsys, "fill-mask", "x", "--prompt", "[MASK]")[2].startswith("fill-mask: the model's attention is causal")
    loading.family = "transformer_2017"
    refused = run(capsys, "fill-mask", "x", "--prompt", "[MASK]")[2]
    assert refused.startswith("fill-mask: the run is an encoder-decoder that did not learn to write what stands in gaps, as Span")
    loading.family = "bert"
    assert run(capsys, "generate", "x", "--prompt", "a")[2].startswith("generate: the model's attention is bidirectional")
