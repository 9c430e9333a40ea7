"""What is amiss before anything is compiled, in words."""

from dataclasses import replace

import jax
import pytest
from plan_programs import program

from jaxlm.models import gpt2, llama
from jaxlm.parallel.config import MeshConfig
from jaxlm.plan.findings import findings

LLAMA = llama(num_layers=2, embed_dim=64, num_heads=8, num_kv_heads=2, mlp_dim=96, vocab_size=64)


@pytest.mark.parametrize("mesh", [MeshConfig(data=1, fsdp=8), MeshConfig(data=4, tensor=2), MeshConfig(data=8)])
def test_nothing_is_amiss(mesh):
    assert findings(program(LLAMA, mesh)) == []


def test_too_few_heads_for_tensor():
    assert findings(program(LLAMA, MeshConfig(data=2, tensor=4))) == [
        "mesh.tensor=4 does not divide kv_heads=2: 2 parameters (decoder_0/block_0/attention/key, ...) are not cut along it, "
        "16.0 KiB a device; each device computes all of them. Choose a divisor of 2"
    ]


def test_a_vocabulary_that_does_not_divide():
    odd = replace(LLAMA, embed=replace(LLAMA.embed, vocab_size=61))
    assert findings(program(odd, MeshConfig(data=4, tensor=2))) == [
        "mesh.tensor=2 does not divide vocab=61: 2 parameters (embed/table, ...) are not cut along it, 30.5 KiB a device. "
        "Set model.embed.table_multiple=2"
    ]


def test_an_axis_that_cuts_nothing():
    assert findings(program(LLAMA, MeshConfig(data=1, expert=8))) == [
        "mesh.expert=8 cuts no parameter: its devices share rows out, as mesh.data's do. Set it to 1 and mesh.data to 8 times as many"
    ]


def test_an_axis_that_a_rule_left_without_work():
    mesh = MeshConfig(data=4, tensor=2, rules=tuple((name, ()) for name in ("vocab", "heads", "kv_heads", "mlp")))
    assert findings(program(LLAMA, mesh)) == [
        "mesh.tensor=2 cuts no parameter: its devices do the same work. Set it to 1 and mesh.data to 2 times as many"
    ]


def test_copies_that_share_no_rows_out_do_the_same_work():
    assert findings(program(LLAMA, MeshConfig(data=8, rules=(("batch", ()),)))) == [
        "mesh.data=8 cuts nothing: its devices do the same work. Name data in the rule of 'batch' in mesh.rules"
    ]


def test_an_axis_that_cuts_another_dim_of_the_array_is_not_asked_of_this_one():
    mesh = MeshConfig(data=1, fsdp=4, tensor=2, rules=(("kv_heads", ("fsdp", "tensor")),))
    assert findings(program(LLAMA, mesh)) == [], "2 heads do not divide by 8, but fsdp cuts embed, which stands before them"


def test_large_arrays_that_are_whole_on_each_device():
    wide = gpt2(num_layers=1, embed_dim=256, num_heads=4, context=32, vocab_size=80_000, dropout=0.0)
    (found,) = findings(program(wide, MeshConfig(data=8)))
    assert found == (
        "3 arrays of more than 64 MiB are whole on each of 8 devices, 234.4 MiB together, the largest parameter embed/table with "
        "78.1 MiB: mesh.fsdp cuts them"
    )
    assert findings(program(wide, MeshConfig(data=1, fsdp=8))) == []


def test_the_optimizer_s_state_alone_may_be_cut():
    wide = gpt2(num_layers=1, embed_dim=256, num_heads=4, context=32, vocab_size=80_000, dropout=0.0)
    zero_1 = MeshConfig(data=1, fsdp=8, rules=(("embed", ()),), optimizer_rules=(("embed", ("fsdp",)),))
    assert findings(program(wide, zero_1)) == [], "the recipe says so itself"


def test_a_batch_that_microbatches_do_not_divide_is_told_on_one_device_too():
    (found,) = findings(program(LLAMA, MeshConfig(data=1), batch_size=10, num_microbatches=4, devices=jax.devices()[:1]))
    assert found.startswith("train.batch_size=10 is filled up to 12 rows, 17% of the work for nothing: choose a multiple of 4, ")


def test_a_batch_that_does_not_fill_the_devices():
    assert findings(program(LLAMA, MeshConfig(data=8), batch_size=10)) == [
        "train.batch_size=10 is filled up to 16 rows, 38% of the work for nothing: choose a multiple of 8, the parts that devices "
        "and microbatches cut it into"
    ]
