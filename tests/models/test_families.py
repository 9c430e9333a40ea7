from dataclasses import replace

import jax
import pytest

from jaxlm.core import ConfigError
from jaxlm.core.lookup import load
from jaxlm.models import bert, electra, gpt2, gpt3, llama, mixtral, modern, transformer_2017
from jaxlm.models.families import FAMILIES
from jaxlm.models.layers import Pooler, Stack, in_turn

PUBLISHED = [  # family, size, vocabulary, parameters of the released weights
    ("gpt2", "small", 50_257, 124_439_808),
    ("gpt2", "medium", 50_257, 354_823_168),
    ("gpt2", "large", 50_257, 774_030_080),
    ("gpt2", "xl", 50_257, 1_557_611_200),
    ("llama", "7b", 32_000, 6_738_415_616),
    ("llama", "13b", 32_000, 13_015_864_320),
    ("llama", "70b", 32_000, 68_976_648_192),
    # arXiv:2407.21783, table 3; layers x (2 D^2 + 2 D 8 x 128 + 3 D F + 2 D) + D and two tables
    ("llama3", "8b", 128_256, 8_030_261_248),
    ("llama3", "70b", 128_256, 70_553_706_496),
    ("llama3", "405b", 128_256, 405_853_388_800),
    # the configs of the releases (huggingface.co/Qwen), heads of 128, one table up to 4b
    ("qwen3", "0.6b", 151_936, 596_049_920),
    ("qwen3", "1.7b", 151_936, 1_720_574_976),
    ("qwen3", "4b", 151_936, 4_022_468_096),
    ("qwen3", "8b", 151_936, 8_190_735_360),
    ("qwen3", "14b", 151_936, 14_768_307_200),
    ("qwen3", "32b", 151_936, 32_762_123_264),
    # arXiv:2408.00118, table 2: embedding and other parameters, at its 256,128 words
    ("gemma", "2b", 256_128, 590_118_912 + 2_024_517_888),
    ("gemma", "9b", 256_128, 917_962_752 + 8_324_201_984),
    ("gemma", "27b", 256_128, 1_180_237_824 + 26_047_480_320),
    # layers x (attention 2 D^2 + 2 D 8 x 128, E experts of 3 D F, the router D E, 2 D) + D and two tables (arXiv:2401.04088,
    # table 1: 47 billion), and huggingface.co/mistralai/Mixtral-8x22B-v0.1
    ("mixtral", "8x7b", 32_000, 46_702_792_704),
    ("mixtral", "8x22b", 32_000, 140_620_634_112),
    ("bert", "base", 30_522, 109_482_240),
    ("bert", "large", 30_522, 335_141_888),
    # the encoders with their poolers, as `google/albert-*-v2` have them: (30,000 words + 512 positions + 2 types + norm) x 128,
    # 128 D + D, one layer (12 D^2 + 13 D), the pooler (D^2 + D); table 1 of arXiv:1909.11942 has 12, 18, 60 and 235 million
    ("albert", "base", 30_000, 11_683_584),
    ("albert", "large", 30_000, 17_683_968),
    ("albert", "xlarge", 30_000, 58_724_864),
    ("albert", "xxlarge", 30_000, 222_595_584),
    # 12 or 24 layers of 4 D^2 and 8 D^2 with their biases and norms (12 D^2 + 13 D), 50,265 words, 512 of the release's 514
    # positions (see `roberta`), the norm of their sum, and the masked-word head with its dense layer, norm and bias;
    # with all 514 it is 124,696,665 and 355,411,033
    ("roberta", "base", 50_265, 12 * (12 * 768**2 + 13 * 768) + (50_265 + 512 + 2) * 768 + 768**2 + 3 * 768 + 50_265),
    ("roberta", "large", 50_265, 24 * (12 * 1024**2 + 13 * 1024) + (50_265 + 512 + 2) * 1024 + 1024**2 + 3 * 1024 + 50_265),
    # arXiv:1910.10683 and the release's notes on 1.1: tables of 32,128 words (one; two in 1.1), three attentions of 4 D H K for two
    # layers, two or three D x F a feed-forward, a scale D a sublayer and a side, 32 numbers a head and side
    ("t5", "small", 32_128, 60_506_624),
    ("t5", "base", 32_128, 222_903_552),
    ("t5", "large", 32_128, 737_668_096),
    ("t5", "3b", 32_128, 2_851_598_336),
    ("t5", "11b", 32_128, 11_307_321_344),
    ("t5_v1_1", "small", 32_128, 76_961_152),
    ("t5_v1_1", "base", 32_128, 247_577_856),
    ("t5_v1_1", "large", 32_128, 783_150_080),
    ("t5_v1_1", "xl", 32_128, 2 * 32_128 * 2048 + 24 * (12 * 2048**2 + 6 * 2048 * 5120 + 5 * 2048) + 2 * (2048 + 32 * 32)),
    ("t5_v1_1", "xxl", 32_128, 2 * 32_128 * 4096 + 24 * (12 * 4096**2 + 6 * 4096 * 10_240 + 5 * 4096) + 2 * (4096 + 32 * 64)),
]
SEQ2SEQ = {  # arXiv:1706.03762, table 3, of 37,000 words: each side's layers hold D x D matrices, 4 and 8, and D x F, 2, with
    # biases of the latter and a norm a sublayer. The paper rounds to 65 and 213 million; its base sizes with other widths and
    # depths all fit a table of 41,000 words (65.1), those of big one of 36,000 (213.1), so neither is met at 37,000 exactly
    "base": 37_000 * 512 + 6 * (12 * 512**2 + 4 * 512 * 2048 + 2 * (2048 + 512) + 5 * 2 * 512),
    "big": 37_000 * 1024 + 6 * (12 * 1024**2 + 4 * 1024 * 4096 + 2 * (4096 + 1024) + 5 * 2 * 1024),
}
ELECTRA = [  # arXiv:2003.10555, table 6, and google-research/electra, model/modeling.py and run_pretraining.py, at 30,522 words
    # discriminator: 512 positions, 2 types and a norm, as wide as the embedding; in "small" a dense layer to the blocks; blocks of
    # 12 D^2 + 13 D; a head of D^2 + D and D + 1. The release's README rounds to 14M, 110M and 335M
    ("small", (30_522 + 512 + 4) * 128 + 129 * 256 + 12 * (12 * 256**2 + 13 * 256) + 256**2 + 2 * 256 + 1, 14e6),
    ("base", (30_522 + 512 + 4) * 768 + 12 * (12 * 768**2 + 13 * 768) + 768**2 + 2 * 768 + 1, 110e6),
    ("large", (30_522 + 512 + 4) * 1024 + 24 * (12 * 1024**2 + 13 * 1024) + 1024**2 + 2 * 1024 + 1, 335e6),
]
STATED = [  # size, and parameters as table 2.1 of arXiv:2005.14165 rounds them
    ("small", 125e6),
    ("medium", 350e6),
    ("large", 760e6),
    ("xl", 1.3e9),
    ("2.7b", 2.7e9),
    ("6.7b", 6.7e9),
    ("13b", 13e9),
    ("175b", 175e9),
]


@pytest.mark.parametrize(("family", "size", "vocab_size", "expected"), PUBLISHED)
def test_published_sizes_have_the_published_parameters(family, size, vocab_size, expected):
    model = load(FAMILIES[family])(size, vocab_size=vocab_size)
    if family in ("albert", "bert"):  # the encoder with its pooler, without the masked-word head
        model = replace(model, heads=(("pooler", Pooler()),))
    assert model.num_params() == expected


@pytest.mark.parametrize(("size", "exact", "stated"), ELECTRA)
def test_electra_has_the_parameters_of_its_release(size, exact, stated):
    pair = electra(size, vocab_size=30_522)
    assert pair.discriminator.num_params() == exact == pytest.approx(stated, rel=0.035)
    (block,) = pair.generator.decoder[0].pattern
    assert (pair.generator.dim(), block.attention.num_heads, block.mlp.mlp_dim) == {
        "small": (64, 1, 256),
        "base": (256, 4, 1024),
        "large": (256, 4, 1024),
    }[size]
    assert pair.generator.decoder[0].repeats == pair.discriminator.decoder[0].repeats


@pytest.mark.parametrize(("size", "stated"), STATED)
def test_gpt3_has_the_parameters_that_its_paper_states(size, stated):
    model = gpt3(size, vocab_size=50_257)
    assert model.num_params() == pytest.approx(stated, rel=0.02)
    assert [block.attention.window for stack in model.decoder for block in stack.pattern] == [None, 256]


@pytest.mark.parametrize(("size", "vocab_size", "stated"), [("base", 41_000, 65e6), ("big", 37_000, 213e6)])
def test_the_2017_transformer_has_the_parameters_that_its_paper_states(size, vocab_size, stated):
    assert transformer_2017(size, vocab_size=37_000).num_params() == SEQ2SEQ[size]
    assert transformer_2017(size, vocab_size=vocab_size).num_params() == pytest.approx(stated, rel=0.02)


def test_a_token_takes_two_of_eight_experts():
    """12.9 and 39 billion parameters (arXiv:2401.04088, section 1; the announcement of 8x22B)."""
    for size, active, of_experts in [("8x7b", 12_879_925_248, 32 * 3 * 4096 * 14_336), ("8x22b", 39_152_031_744, None)]:
        model = mixtral(size, vocab_size=32_000)
        assert model.num_active_params() == active
        assert model.flops_per_token(0) == 6 * (active - model.embed.table_rows() * model.embed.embed_dim)
        if of_experts is not None:
            assert model.num_params() - active == 6 * of_experts


def test_modern_reads_an_encoder_where_it_has_one():
    model = modern(num_layers=3, encoder_layers=2, embed_dim=128, vocab_size=100)
    model.check()
    attentions, feed_forward, smear = 5 + 3, 2 * 4, 3 * 2
    assert model.num_params() == (4 * attentions + 5 * feed_forward) * 128**2 + smear + 2 * 100 * 128
    assert replace(model, encoder=(), decoder=modern(num_layers=3, embed_dim=128).decoder) == modern(
        num_layers=3, embed_dim=128, vocab_size=100
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pairs": True}, "modern: pairs=True needs causal=False and encoder_layers=0, here True and 0"),
        ({"pairs": True, "causal": False, "encoder_layers": 1}, "encoder_layers=0, here False and 1"),
    ],
)
def test_modern_has_pairs_where_something_reads_them(settings, message):
    with pytest.raises(ConfigError, match=message):
        modern(num_layers=1, embed_dim=64, **settings)


def test_blocks_take_turns_to_the_last_layer():
    dense, banded = gpt3("small").decoder[0].pattern
    assert in_turn((dense, banded), 5) == (Stack((dense, banded), 2), Stack((dense,), 1))
    assert in_turn((dense, banded), 1) == (Stack((dense,), 1),)


def test_flops_count_what_multiplies():
    model = gpt2("small", vocab_size=50_257)
    weights = 124_439_808 - 1024 * 768  # tied: the table is counted where it scores; positions are looked up
    assert model.flops_per_token(1024) == 6 * weights + 12 * 12 * 768 * 1024
    untied = llama("7b", vocab_size=32_000)
    assert untied.flops_per_token(0) == 6 * (6_738_415_616 - 32_000 * 4096)


def test_a_size_that_is_not_published_is_refused():
    with pytest.raises(ConfigError, match="there is no such size; choose one of small, medium, large, xl, or give its dimensions"):
        gpt2("huge")
    with pytest.raises(
        ConfigError, match=r"electra\(generator_size=0.01\): of a width of 32 that is nothing; the paper has 1/4 and 1/3"
    ):
        electra(num_layers=1, embed_dim=32, num_heads=4, generator_size=0.01)
    with pytest.raises(ConfigError, match=r"bert\(\) needs a size .* or num_layers, embed_dim and num_heads"):
        bert(num_layers=2)


def test_numbers_replace_those_of_a_size():
    assert gpt2("small", num_layers=2).decoder[0].repeats == 2
    assert llama("7b", num_kv_heads=8).decoder[0].pattern[0].attention.num_kv_heads == 8


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match="num_heads=5 does not divide embed_dim=32"):
        gpt2(num_layers=1, embed_dim=32, num_heads=5).check()
    with pytest.raises(ConfigError, match="num_kv_heads=3 does not divide num_heads=4"):
        llama(num_layers=1, embed_dim=32, num_heads=4, num_kv_heads=3, mlp_dim=64).check()
    with pytest.raises(ConfigError, match="rotary positions need an even head size, not 3"):
        llama(num_layers=1, embed_dim=12, num_heads=4, mlp_dim=64).check()


def test_abstract_shapes_compute_nothing():
    assert all(
        isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(llama("70b", vocab_size=32_000).abstract_params())
    )
