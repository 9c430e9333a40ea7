import sys

import pytest
from tiny import model, params

from jaxlm.core import ConfigError
from jaxlm.evaluate import bleu, translate, translation
from jaxlm.generate import generate_texts
from jaxlm.tokenizer import Characters

TOKENIZER = Characters().train(lambda: ["abcdefghijklmnopqrstuvwxyz .,"])


def test_texts_come_back_in_their_order_whatever_is_translated_together(monkeypatch):
    monkeypatch.setattr(translation, "AT_ONCE", 2)
    m = model("transformer_2017", num_layers=1, embed_dim=16)
    p, texts = params(m, seed=3), ["a longer text", "b", "cd e", "fghijk."]
    limited = lambda *given, **settings: generate_texts(*given, **settings, max_tokens=5)
    monkeypatch.setattr(translation, "generate_texts", limited)
    found = translate(m, p, TOKENIZER, texts, num_beams=2)
    assert found == [limited(m, p, TOKENIZER, [text], num_beams=2, length_penalty=0.6)[0] for text in texts]
    assert len(set(found)) > 1
    with pytest.raises(ConfigError, match="the model has no encoder"):
        translate(model("gpt2"), {}, TOKENIZER, texts)


def test_bleu_is_sacrebleu_s():
    pytest.importorskip("sacrebleu", reason="needs the package sacrebleu")
    same = ["The cat sat on the mat.", "A dog ran."]
    assert bleu(same, same).score == pytest.approx(100)
    assert "tok:13a" in bleu(same, same).signature
    assert "case:mixed" in bleu(same, same).signature
    expected = 100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25  # the shares of the 1- to 4-grams that are right
    assert bleu(["the cat sat on a mat"], ["the cat sat on the mat"]).score == pytest.approx(expected)
    with pytest.raises(ConfigError, match="1 texts and 2 references"):
        bleu(["a"], ["a", "b"])


def test_without_sacrebleu_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(ConfigError, match=r"BLEU needs the package sacrebleu.*pip install 'jaxlm\[bleu\]'"):
        bleu(["a"], ["a"])
