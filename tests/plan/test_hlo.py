"""Collectives are read off a program's text as often and as large as they are."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from jaxlm.plan.groups import mesh_axes
from jaxlm.plan.hlo import collectives

TPU = """\
HloModule jit_step, is_scheduled=true

%start_body (param_0: bf16[16,64]) -> (bf16[16,64], bf16[64,64]) {
  ROOT %all-gather.1 = bf16[64,64]{1,0} all-gather(%param_0), channel_id=7, replica_groups=[1,4]<=[4], dimensions={0}, metadata={op_name="jit(step)/up"}
}

%carry_body (param_1: bf16[16,64]) -> bf16[64,64] {
  ROOT %all-gather.2 = bf16[64,64]{1,0} all-gather(%param_1), channel_id=7, replica_groups=[1,4]<=[4], dimensions={0}
}

%inner (p: (s32[], bf16[16,64])) -> (s32[], bf16[16,64]) {
  %p = (s32[], bf16[16,64]) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %one = s32[] constant(2)
  %next = s32[] add(%i, %one)
  %x = bf16[16,64] get-tuple-element(%p), index=1
  %fusion.3 = bf16[64,64]{1,0} fusion(%x), kind=kCustom, calls=%carry_body
  %sum = (f32[8,8], f32[8]) all-reduce(%x, %x), channel_id=9, replica_groups=[1,4]<=[4], to_apply=%add
  ROOT %out = (s32[], bf16[16,64]) tuple(%next, %x)
}

%condition (p: (s32[], bf16[16,64])) -> pred[] {
  %p = (s32[], bf16[16,64]) parameter(0)
  %bound = s32[] constant(6)
  %i = s32[] get-tuple-element(%p), index=0
  ROOT %less = pred[] compare(%i, %bound), direction=LT
}

ENTRY %main (x: bf16[16,64]) -> bf16[16,64] {
  %x = bf16[16,64] parameter(0)
  %async-collective-start.4 = (bf16[16,64], bf16[64,64]) fusion(%x), kind=kCustom, calls=%start_body
  %loop = (s32[], bf16[16,64]) while(%x), condition=%condition, body=%inner
  %async-collective-done.4 = bf16[64,64] fusion(%x), kind=kCustom, calls=%carry_body
  %permute = (bf16[16,64], bf16[16,64], u32[], u32[]) collective-permute-start(%x), channel_id=11, source_target_pairs={{0,1},{1,0},{2,3},{3,2}}
  ROOT %scattered = bf16[4,64] reduce-scatter(%x), channel_id=12, replica_groups=[1,4]<=[4], dimensions={0}, to_apply=%add
}
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("%scattered = ", "(%scattered) = "),  # no instruction as they are known
        ("while(%x), condition=%condition, body=%inner", "custom-loop(%x), runs=%inner"),  # what is in it is come by unknown times
    ],
)
def test_what_is_written_otherwise_is_not_passed_over(old, new):
    assert old in TPU
    with pytest.raises(AssertionError, match="collective is"):
        collectives(TPU.replace(old, new), 4)


def test_a_started_collective_without_a_number_does_not_stand_for_all():
    bare = TPU.replace("channel_id=7, ", "").replace("channel_id=9, ", "")
    assert "all-reduce" in {one.kind for one in collectives(bare, 4)}


def found(text: str, num_devices: int) -> list[tuple]:
    return sorted((one.kind, one.arrays, one.times) for one in collectives(text, num_devices))


def test_what_runs_beside_computation_is_counted_where_it_starts_and_loops_by_their_rounds():
    assert found(TPU, 4) == [
        ("all-gather", (("bf16", 64 * 64),), 1),
        ("all-reduce", (("f32", 64), ("f32", 8)), 3),  # 6 by steps of 2
        ("collective-permute", (("bf16", 16 * 64),), 1),
        ("reduce-scatter", (("bf16", 16 * 64),), 1),  # of what is added up, not of what each device keeps
    ]
    assert [one.source for one in collectives(TPU, 4) if one.kind == "all-gather"] == ["jit(step)/up"]


def test_a_loop_that_turns_as_often_as_the_data_says_is_counted_once_and_said_to_be():
    odd = collectives(TPU.replace("add(%i, %one)", "multiply(%i, %one)"), 4)
    assert {one.kind: (one.times, one.known) for one in odd} == {
        "all-gather": (1, True),
        "all-reduce": (1, False),
        "collective-permute": (1, True),
        "reduce-scatter": (1, True),
    }


def test_number_formats_of_eight_bits_count():
    assert ("all-gather", (("f8e4m3fn", 64 * 64),), 1) in found(TPU.replace("bf16", "f8e4m3fn"), 4)


def test_those_of_a_real_program():
    """One gather, a reduction and a scattered one in five rounds of a loop, over axes that are known."""
    mesh = jax.make_mesh((2, 4), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2)

    @partial(jax.shard_map, mesh=mesh, in_specs=P("data", "fsdp"), out_specs=P("data", "fsdp"), check_vma=False)
    def program(x):
        def once(_, x):
            whole = jax.lax.all_gather(x, "fsdp", axis=1, tiled=True)
            added = jax.lax.psum(whole * whole, "data")
            return x + jax.lax.psum_scatter(jnp.sin(added), "fsdp", scatter_dimension=1, tiled=True)

        return jax.lax.fori_loop(0, 5, once, x)

    text = jax.jit(program).lower(jnp.ones((8, 16))).compile().as_text()
    sizes = {"data": 2, "fsdp": 4}
    assert sorted((one.kind, one.arrays[0][1], mesh_axes(one.devices, sizes), one.times) for one in collectives(text, 8)) == [
        ("all-gather", 4 * 16, ("fsdp",), 5),
        ("all-reduce", 4 * 16, ("data",), 5),
        ("reduce-scatter", 4 * 16, ("fsdp",), 5),
    ]
