"""Next-token prediction."""

import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from jaxlm.core import ConfigError, Outputs, Readout
from jaxlm.core.noise import host_generator
from jaxlm.objectives import CausalLM

L = tiny.SEQ_LEN


def test_each_token_of_a_text_is_a_target_once():
    objective = CausalLM()
    text = tiny.window(3 * L + 1, 0, documents=3)
    targets = []
    for start in range(0, 3 * L, objective.raw_length(L) - objective.overlap):
        part = type(text)(*(array[start : start + objective.raw_length(L)] for array in text[:3]))
        example = objective.prepare((part,), host_generator(0, "prepare", start), tiny.vocab(), L)
        targets += example["targets"][example["weights"] > 0].tolist()
    expected = text.ids_N[text.positions_N > 0]  # all but each document's bos
    assert targets == expected.tolist()
    assert objective.num_targets(text.ids_N.size, 3) == len(targets)
    assert np.isin(tiny.vocab().eos, targets)


@pytest.mark.parametrize(("z_loss", "label_smoothing"), [(0.0, 0.0), (0.01, 0.0), (0.0, 0.1), (0.01, 0.1)])
def test_regularised_losses_are_those_of_numpy_and_nll_stays_plain(z_loss, label_smoothing):
    rng = np.random.default_rng(0)
    B, D, V = 3, 8, tiny.VOCAB_SIZE
    hidden, table = rng.normal(size=(B, L, D)).astype(np.float32), rng.normal(size=(V, D)).astype(np.float32)
    batch = {name: jnp.asarray(array) for name, array in tiny.batch(CausalLM(), B).items()}
    readout = Readout(jnp.asarray(hidden), jnp.asarray(table), None, V)
    objective = CausalLM(z_loss=z_loss, label_smoothing=label_smoothing)
    sums = objective.loss(lambda *_, **__: Outputs(readout.hidden, {"lm": readout}, {}, None), None, batch, None)

    logits = hidden.astype(np.float64) @ table.T
    total = np.log(np.exp(logits).sum(-1, keepdims=True))
    one_hot = np.eye(V)[np.asarray(batch["targets"])]
    wanted = (1 - label_smoothing) * one_hot + label_smoothing / V
    loss = -(wanted * (logits - total)).sum(-1) + z_loss * total[..., 0] ** 2
    np.testing.assert_allclose(sums.terms["tokens"], (loss * batch["weights"]).sum(), rtol=1e-5)
    nll = -(one_hot * (logits - total)).sum(-1)
    np.testing.assert_allclose(sums.metrics["nll"][0], (nll * batch["weights"]).sum(), rtol=1e-5)


@pytest.mark.parametrize(
    "settings", [{"z_loss": -1.0}, {"z_loss": float("nan")}, {"label_smoothing": 1.0}, {"label_smoothing": -0.1}]
)
def test_bad_settings_are_refused(settings):
    [(name, value)] = settings.items()
    with pytest.raises(ConfigError, match=f"objective.{name}={value}"):
        CausalLM(**settings)
