"""What programs send is what the closed form says, and what it does not know of is named."""

from dataclasses import dataclass, replace

import jax
import pytest
import tiny
from plan_programs import program

from jaxlm.core import Inputs, Sums
from jaxlm.core.sharding import constrain
from jaxlm.models import electra, gpt2, llama, t5
from jaxlm.objectives import CausalLM, ReplacedTokenDetection, SpanCorruption
from jaxlm.parallel.config import MeshConfig
from jaxlm.plan.closed_form import closed_form
from jaxlm.plan.hlo import collectives
from jaxlm.plan.traffic import traffic

BIG = llama(num_layers=3, embed_dim=256, num_heads=8, num_kv_heads=8, mlp_dim=1024, vocab_size=512, dtype="bfloat16")
PARAMETERS = 2 * BIG.num_params()
"""Bytes in bfloat16."""


def lines(made):
    text = made.compiled().as_text()
    return {(line.kind, line.axis): line for line in traffic(made, collectives(text, 8))}


@pytest.mark.parametrize("remat", ["none", "full"])
def test_two_gathers_and_one_reduction_of_the_parameters(remat):
    found = lines(program(replace(BIG, remat=remat), MeshConfig(data=1, fsdp=8)))
    assert set(found) == {("gather", "fsdp"), ("reduce", "fsdp")}
    once = 2 * 512 * 256  # the table is looked up in the forward pass alone
    assert found["gather", "fsdp"].closed_form == 2 * PARAMETERS - once
    assert found["reduce", "fsdp"].closed_form == PARAMETERS
    for line in found.values():
        assert line.expected
        assert line.compiled == pytest.approx(line.closed_form, rel=0.02)


def test_each_microbatch_gathers_and_reduces():
    found = lines(program(replace(BIG, remat="full"), MeshConfig(data=1, fsdp=8), num_microbatches=2))
    assert found["reduce", "fsdp"].closed_form == 2 * PARAMETERS
    for line in found.values():
        assert line.compiled == pytest.approx(line.closed_form, rel=0.1)


def test_a_table_that_also_scores_is_gathered_thrice_and_summed_twice():
    tied = gpt2(num_layers=3, embed_dim=256, num_heads=8, context=16, vocab_size=512, bias=False, dropout=0.0, dtype="bfloat16")
    found = lines(program(tied, MeshConfig(data=1, fsdp=8)))
    parameters, table, positions = 2 * tied.num_params(), 2 * 512 * 256, 2 * 16 * 256
    assert found["gather", "fsdp"].closed_form == 2 * parameters + table - positions
    assert found["reduce", "fsdp"].closed_form == parameters + table
    for line in found.values():
        assert line.compiled == pytest.approx(line.closed_form, rel=0.02)


def test_copies_of_the_model_sum_what_is_left_after_its_parts_have_summed():
    found = lines(program(BIG, MeshConfig(data=2, fsdp=4)))
    assert found["reduce", "data"].closed_form == PARAMETERS / 4
    for line in found.values():
        assert line.compiled == pytest.approx(line.closed_form, rel=0.1)


def test_where_the_optimizer_s_state_alone_is_cut_parameters_are_gathered_once_they_are_updated():
    zero_1 = MeshConfig(data=1, fsdp=8, rules=(("embed", ()),), optimizer_rules=(("embed", ("fsdp",)),))
    found = lines(program(BIG, zero_1))
    assert found["gather", "fsdp"].closed_form == pytest.approx(2 * PARAMETERS)  # once, in float32
    assert found["reduce", "fsdp"].closed_form == PARAMETERS
    assert found["reduce", "fsdp"].compiled == pytest.approx(PARAMETERS, rel=0.1)
    assert found["gather", "fsdp"].compiled == pytest.approx(PARAMETERS, rel=0.1), "on a CPU float32 counts as bfloat16"


def test_an_encoder_s_look_ups_are_summed_too_and_cross_attention_reads_its_states():
    small = t5("small", num_layers=2, embed_dim=64, num_heads=4, mlp_dim=128, vocab_size=512)
    made = program(small, MeshConfig(data=4, tensor=2), objective=SpanCorruption())
    form = closed_form(made)
    decoder, encoder = made.lengths
    places = 2 * (2 * encoder + 2 * encoder) + 2 * (3 * 2 * decoder + encoder)  # layers of both sides
    places += encoder + decoder + decoder * small.heads[0][1].tied  # look-ups, and the gradient of what is scored
    assert form["reduce", "tensor"].most == 4 * 4 * 64 * places, "4 rows a device, 4 bytes a number"
    found = lines(made)
    assert found["reduce", "data"].compiled == pytest.approx(form["reduce", "data"].most, rel=0.01)


def test_a_pair_s_halves_have_widths_of_their_own():
    small = electra(num_layers=1, embed_dim=128, num_heads=8, context=32, vocab_size=512)
    form = closed_form(program(small, MeshConfig(data=4, tensor=2), objective=ReplacedTokenDetection()))
    rows = 4 * 4 * tiny.SEQ_LEN
    generator, discriminator, embed = small.generator.dim(), small.discriminator.dim(), small.embed.embed_dim
    assert generator != discriminator
    scores = embed if dict(small.generator.heads)["lm"].tied else generator
    assert form["reduce", "tensor"].most == rows * (4 * generator + 4 * discriminator + 2 * embed + scores)


def test_what_a_program_is_said_not_to_send_at_all_is_told():
    made = program(BIG, MeshConfig(data=1, fsdp=8))
    assert [line.less for line in traffic(made, [])] == [True, True]
    assert not any(line.less for line in lines(made).values())


def test_layers_cut_along_tensor_sum_activations():
    made = program(replace(BIG, remat="none"), MeshConfig(data=4, tensor=2))
    expected = closed_form(made)
    tokens = 16 // 4 * 16
    sums = 3 * 4 + 2  # two sublayers of three layers, both ways; both tables
    assert expected["reduce", "tensor"].most == 2 * tokens * 256 * sums
    assert ("gather", "tensor") not in expected


@dataclass(frozen=True)
class Whole(CausalLM):
    """A loss that asks for all logits on each device."""

    def loss(self, model, params, batch, rng):
        out = model(params, Inputs.of(batch), rng=rng)
        logits_BLV = constrain(out.heads["lm"].logits(), None, None, None)
        nll_BL = -jax.nn.log_softmax(logits_BLV)[..., 0]
        return Sums.of(out, tokens=(nll_BL, batch["weights"]))


def test_a_gather_of_logits_is_named():
    found = lines(program(BIG, MeshConfig(data=4, tensor=2), objective=Whole()))
    odd = [line for line in found.values() if not line.expected]
    assert ("gather", "tensor") in {(line.kind, line.axis) for line in odd}
    assert any("bld,vd->blv" in source or "sharding_constraint" in source for line in odd for source, _ in line.sources)
