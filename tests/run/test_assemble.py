"""From a config to a run: what does not fit is named, and every mesh reads the same batches."""

from dataclasses import dataclass, replace

import jax
import numpy as np
import pytest

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.checkpoint.store import CheckpointStore
from jaxlm.core import ConfigError, Sums
from jaxlm.corpus import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import bert, electra, gpt2, transformer_2017
from jaxlm.models.layers import LearnedPositions
from jaxlm.objectives import CausalLM, FillInMiddle, MaskedLM, NextSentence, ReplacedTokenDetection, SentenceOrder, SpanCorruption
from jaxlm.optim import AdamW
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.rules import Partitioner
from jaxlm.run.assemble import Materials, assemble, examples
from jaxlm.run.config import RunConfig, with_schedule_length
from jaxlm.run.program import model_of, padded_rows
from jaxlm.run.text import store_for, text_of, tokenizer_for
from jaxlm.tokenizer import Bytes
from jaxlm.train.config import LogConfig, TrainConfig

SIZES = {"num_layers": 1, "embed_dim": 16, "num_heads": 2, "context": 16}


def with_learned_positions(model, length):
    return replace(model, embed=replace(model.embed, positions=LearnedPositions(length)))


@dataclass(frozen=True)
class OwnLoss(CausalLM):
    def loss(self, model, params, batch, rng):
        return Sums.of(tokens=self.nll(model, params, batch))


@dataclass(frozen=True)
class BySuper(CausalLM):
    def loss(self, model, params, batch, rng):
        return super().loss(model, params, batch, rng)


@dataclass(frozen=True)
class ByClass(CausalLM):
    def loss(self, model, params, batch, rng):
        return CausalLM.loss(self, model, params, batch, rng)


@dataclass(frozen=True)
class ByHelper(CausalLM):
    def loss(self, model, params, batch, rng):
        parts = [self.regularised(nll) for nll in (1.0, 2.0)]
        return Sums.of(tokens=parts[0])

    def regularised(self, nll):
        return nll * (1 + self.z_loss + self.label_smoothing)


@dataclass(frozen=True)
class Reading(CausalLM):
    """Its encoder reads every second token."""

    encoder = True

    def prepare(self, windows, rng, vocab, seq_len):
        row = super().prepare(windows, rng, vocab, seq_len)
        return {**row, **{f"encoder_{name}": row[name][::2] for name in ("tokens", "positions", "segments")}}


@dataclass(frozen=True)
class Made:
    config: RunConfig
    materials: Materials


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    text = tmp_path_factory.mktemp("assemble") / "text.txt"
    text.write_text("".join(f"line {i} of {i * i} says {i % 7}\n" for i in range(300)))
    config = RunConfig(
        model=gpt2(**SIZES),
        objective=CausalLM(),
        optimizer=AdamW(steps=10),
        tokenizer=Bytes(),
        data=DataConfig(sources=(TextFiles(text),), seq_len=16),
        train=TrainConfig(steps=10, batch_size=16),
        mesh=MeshConfig(data=1),
        log=LogConfig(tensorboard=False, progress=False),
    )
    quiet = lambda line: None
    text_value = text_of(config)
    tokenizer = tokenizer_for(config.tokenizer, text_value, quiet)
    return Made(config, Materials(tokenizer, store_for(text_value, tokenizer, quiet)))


def assembled(made, folder, mesh, **train):
    config = replace(made.config, mesh=mesh, train=replace(made.config.train, **train))
    devices = jax.devices()[: mesh.data * mesh.fsdp * mesh.tensor]
    return assemble(config, made.materials, folder, devices=devices)


def first_batches(run, position=0, number=3):
    iterator = run.batches(position)
    try:
        return [next(iterator) for _ in range(number)]
    finally:
        iterator.close()


@pytest.mark.parametrize("objective", [CausalLM(), MaskedLM()], ids=["causal", "masked"])
def test_batches_are_the_same_to_the_bit_on_every_mesh(made, tmp_path, objective):
    model = gpt2(**SIZES) if isinstance(objective, CausalLM) else bert(**SIZES)
    mine = replace(made, config=replace(made.config, objective=objective, model=model))
    expected = first_batches(assembled(mine, tmp_path, MeshConfig(1, 1, 1)))
    assert (expected[0]["tokens"] != expected[1]["tokens"]).any()
    for sizes, microbatches, padded in [((2, 1, 1), 1, 16), ((1, 3, 1), 1, 18), ((2, 2, 2), 4, 16), ((3, 1, 1), 4, 24)]:
        run = assembled(mine, tmp_path, MeshConfig(*sizes), num_microbatches=microbatches)
        assert run.padded_size == padded
        for got, batch in zip(first_batches(run), expected, strict=True):
            assert got["row"][16:].tolist() == [-1] * (padded - 16)
            assert not got["weights"][16:].any()
            for name in batch:
                np.testing.assert_array_equal(got[name][:16], batch[name], err_msg=name)


def test_a_run_that_goes_on_reads_on_from_its_position(made, tmp_path):
    run = assembled(made, tmp_path, MeshConfig(1, 1, 1))
    whole, later = first_batches(run), first_batches(run, position=32, number=1)
    np.testing.assert_array_equal(later[0]["tokens"], whole[2]["tokens"])
    assert later[0]["row"].tolist() == list(range(32, 48))


def test_training_is_shuffled_and_validation_comes_once_in_order(made):
    training, validation = (examples(made.config, made.materials, split) for split in ("train", "validation"))
    rows = [validation.row(position)["tokens"] for position in range(validation.num_rows)]
    text = made.materials.tokenizer.decode(np.concatenate(rows))
    assert text.startswith("line 27")
    assert text.count("line 299 of") == 1
    first = [made.materials.tokenizer.decode(training.row(position)["tokens"]) for position in range(3)]
    assert not first[0].startswith("line 0 of")
    assert len({tuple(training.row(position)["tokens"]) for position in range(20)}) == 20


def test_a_run_begins_anew_or_where_its_checkpoint_is(made, tmp_path):
    run = assembled(made, tmp_path, MeshConfig(2, 1, 1))
    store = CheckpointStore(tmp_path / "checkpoints", CheckpointConfig())
    state, history, resumed_from = run.start(store)
    assert (int(state.step), history, resumed_from) == (0, [[0, 0, 16]], 0)
    moved = state._replace(step=state.step + 3, position=state.position + 48)
    store.save(3, moved, {"history": [[0, 0, 16]]})
    state, history, resumed_from = run.start(store)
    assert (int(state.step), int(state.position), history, resumed_from) == (3, 48, [[0, 0, 16]], 3)
    store.close()


def test_given_weights_are_those_that_a_new_run_begins_with(made, tmp_path):
    given = lambda abstract: jax.tree.map(lambda leaf: jax.device_put(np.full(leaf.shape, 7, np.float32), leaf.sharding), abstract)
    mine = replace(made, materials=replace(made.materials, initial_params=given))
    store = CheckpointStore(tmp_path / "checkpoints", CheckpointConfig())
    state, _, _ = assembled(mine, tmp_path, MeshConfig(1, 2, 1)).start(store)
    store.close()
    assert all((np.asarray(leaf) == 7).all() for leaf in jax.tree.leaves(state.params))
    assert int(state.step) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda c: replace(c, objective=MaskedLM()),
            "objective MaskedLM needs a bidirectional model and model's attention is causal; use bert, or another objective",
        ),
        (
            lambda c: replace(c, model=bert(**SIZES)),
            "objective CausalLM needs a causal model and model's attention is bidirectional; use gpt2 or llama, or another objective",
        ),
        (
            lambda c: replace(c, objective=OwnLoss(label_smoothing=0.1)),
            "objective.label_smoothing=0.1 would do nothing: OwnLoss's own loss does not read it; leave it at 0.0, or read "
            "self.label_smoothing there",
        ),
        (
            lambda c: replace(c, objective=FillInMiddle(), tokenizer=Bytes(num_sentinels=2)),
            "objective FillInMiddle needs 3 sentinels and the tokenizer has 2; give one that has them: "
            "tokenizer.num_sentinels=3 where it is made here",
        ),
        (
            lambda c: replace(c, objective=FillInMiddle(), data=replace(c.data, seq_len=4)),
            "data.seq_len=4 is too short: objective FillInMiddle needs at least 5",
        ),
        (
            lambda c: replace(c, objective=Reading()),
            "objective Reading needs an encoder-decoder and the model has no encoder; use transformer_2017, t5 or "
            "modern(encoder_layers=...), or another objective",
        ),
        (
            lambda c: replace(c, model=transformer_2017(num_layers=1, embed_dim=16, num_heads=2)),
            "objective CausalLM gives the model's encoder nothing to read; use a model without one, such as gpt2, or an objective "
            "for an encoder-decoder",
        ),
        (
            lambda c: replace(c, objective=ReplacedTokenDetection()),
            "objective ReplacedTokenDetection needs a pair of generator and discriminator and the model is one transformer; use "
            "electra, or another objective",
        ),
        (
            lambda c: replace(c, objective=MaskedLM(), model=electra(**SIZES)),
            "objective MaskedLM needs one transformer and the model is a pair of generator and discriminator; use bert, or "
            "objective ReplacedTokenDetection",
        ),
        (
            lambda c: replace(c, objective=ReplacedTokenDetection(), model=electra(**SIZES), data=replace(c.data, seq_len=17)),
            "data.seq_len=17 is more than the model's 16 positions; shorten it, or set model.generator.embed.positions.length and "
            "model.discriminator.embed.positions.length to 17",
        ),
        (
            lambda c: replace(c, objective=ReplacedTokenDetection(), model=electra(**SIZES, vocab_size=9)),
            "model.generator.embed.vocab_size and model.discriminator.embed.vocab_size=9 is less than the tokenizer's {size} ids; "
            "leave it out, or give at least {size}",
        ),
        (
            lambda c: replace(c, data=replace(c.data, seq_len=17)),
            "data.seq_len=17 is more than the model's 16 positions; shorten it, or set model.embed.positions.length to 17",
        ),
        (
            lambda c: replace(
                c,
                tokenizer=Bytes(num_sentinels=1),
                objective=SpanCorruption(target_length=20),
                model=with_learned_positions(transformer_2017(num_layers=1, embed_dim=16, num_heads=2), 16),
            ),
            "data.seq_len=16 makes rows of 20 tokens to be written, which is more than the model's 16 positions; shorten it, or set "
            "model.embed.positions.length to 20",
        ),
        (
            lambda c: replace(c, model=replace(c.model, decoder=(replace(c.model.decoder[0], repeats=0),))),
            "model.decoder.0.repeats=0 must be at least 1",
        ),
        (
            lambda c: replace(c, model=gpt2(**SIZES, vocab_size=9)),
            "model.embed.vocab_size=9 is less than the tokenizer's {size} ids; leave it out, or give at least {size}",
        ),
    ],
)
def test_what_does_not_fit_is_named(made, change, words):
    with pytest.raises(ConfigError) as error:
        model_of(change(made.config), made.materials.tokenizer.vocab)
    assert str(error.value) == words.format(size=made.materials.tokenizer.vocab.size)


def test_a_larger_vocabulary_of_the_models_own_is_kept(made):
    wide = model_of(replace(made.config, model=gpt2(**SIZES, vocab_size=999)), made.materials.tokenizer.vocab)
    assert wide.embed.vocab_size == 999
    assert model_of(made.config, made.materials.tokenizer.vocab).embed.vocab_size == made.materials.tokenizer.vocab.size


def test_places_of_a_row_are_those_of_both_its_texts(made, tmp_path):
    model = transformer_2017(num_layers=1, embed_dim=16, num_heads=2)
    mine = replace(made, config=replace(made.config, objective=Reading(), model=model))
    assert assembled(mine, tmp_path, MeshConfig(1, 1, 1)).lengths == (16, 8)
    assert assembled(made, tmp_path, MeshConfig(1, 1, 1)).lengths == (16,)


def test_rows_fill_microbatches_and_devices(made):
    def padded(batch_size, microbatches, *sizes):
        partitioner = Partitioner.of(MeshConfig(*sizes), jax.devices()[: int(np.prod(sizes))])
        train = replace(made.config.train, batch_size=batch_size, num_microbatches=microbatches)
        return padded_rows(replace(made.config, train=train), partitioner)

    assert padded(16, 1, 3, 1, 1) == 18
    assert padded(16, 4, 3, 1, 1) == 24
    assert padded(16, 4, 2, 2, 2) == 16
    assert padded(1, 1, 1, 1, 8) == 1  # tensor devices share their rows


def test_a_schedules_length_is_that_of_the_beginning(made):
    config = replace(made.config, optimizer=AdamW())
    assert with_schedule_length(config).optimizer.steps == 10
    assert with_schedule_length(config, {"optimizer": {"steps": 6}}).optimizer.steps == 6
    assert with_schedule_length(made.config, {"optimizer": {"steps": 6}}).optimizer.steps == 10


def stored(tmp_path, texts, objective, **settings):
    """A config of pairs over files of these texts, with its materials."""
    folder = tmp_path / "text"
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text)
    config = RunConfig(
        model=bert(**{**SIZES, "context": 48}, pairs=True),
        objective=objective,
        optimizer=AdamW(steps=10),
        tokenizer=Bytes(),
        data=DataConfig(sources=(TextFiles(folder),), seq_len=48, packing="documents", split="hash", validation_fraction=0.3),
        train=TrainConfig(steps=10, batch_size=16),
        log=LogConfig(tensorboard=False, progress=False),
    )
    text = text_of(config)
    tokenizer = tokenizer_for(config.tokenizer, text, lambda line: None)
    return Made(config, Materials(tokenizer, store_for(text, tokenizer, lambda line: None)))


FILES = {f"{name}.txt": "".join(f"{word} {i} is it. " for i in range(9)) for name, word in enumerate("abcdefgh")}


@pytest.mark.parametrize("objective", [NextSentence(), SentenceOrder()], ids=lambda o: type(o).__name__)
def test_pairs_are_the_same_to_the_bit_on_every_mesh(tmp_path, objective):
    made = stored(tmp_path, FILES, objective)
    expected = first_batches(assembled(made, tmp_path, MeshConfig(1, 1, 1)))
    assert sum(batch["pair_weights"].sum() for batch in expected) > 10
    for sizes in [(2, 1, 1), (8, 1, 1)]:
        for got, batch in zip(first_batches(assembled(made, tmp_path, MeshConfig(*sizes))), expected, strict=True):
            for name in batch:
                np.testing.assert_array_equal(got[name], batch[name], err_msg=name)


def test_a_second_text_is_never_of_the_same_document(tmp_path):
    made = stored(tmp_path, FILES, NextSentence())
    rows = examples(made.config, made.materials, "train")
    for position in range(200):
        first, second = (set("abcdefgh") & set(made.materials.tokenizer.decode(w.ids_N)) for w in rows.windows(position))
        assert not first & second


def test_sentences_move_the_store_and_nothing_else(made, tmp_path):
    kept = stored(tmp_path, FILES, SentenceOrder())
    plain = replace(kept.config, objective=MaskedLM())
    quiet = lambda line: None
    tokenizer = tokenizer_for(plain.tokenizer, text_of(plain), quiet)
    assert tokenizer.vocab.digest == kept.materials.tokenizer.vocab.digest
    assert store_for(text_of(plain), tokenizer, quiet).path != kept.materials.store.path
    german = replace(kept.config, objective=SentenceOrder(sentences="de"))
    assert store_for(text_of(german), tokenizer, quiet).path != kept.materials.store.path
    other = replace(kept.config, objective=NextSentence())
    assert store_for(text_of(other), tokenizer, quiet).path == kept.materials.store.path


@pytest.mark.parametrize(
    ("texts", "objective", "words"),
    [
        (
            {f"{i}.txt": f"no end {i}\n" for i in range(8)},
            SentenceOrder(),
            "objective SentenceOrder needs texts of several sentences, and the train text of source 'text' has none: 5 documents, "
            "5 sentences by the rules of objective.sentences='en'. Give text with sentences, and its language",
        ),
        (
            {"0.txt": FILES["0.txt"], "2.txt": FILES["2.txt"]},
            NextSentence(),
            "objective NextSentence pairs text with that of another document, and the train text of source 'text' is one document; "
            "give a file or a record for each document, or add Sections() to data.steps",
        ),
    ],
)
def test_text_without_pairs(tmp_path, texts, objective, words):
    made = stored(tmp_path, texts, objective)
    with pytest.raises(ConfigError) as error:
        examples(made.config, made.materials, "train")
    assert str(error.value) == words


def test_a_model_without_what_pairs_need(made):
    config = replace(made.config, objective=SentenceOrder(), model=bert(**SIZES))
    with pytest.raises(ConfigError) as error:
        model_of(config, made.materials.tokenizer.vocab)
    assert str(error.value) == (
        "objective SentenceOrder reads the head 'pairs' and model.heads are ['lm']; use bert(..., pairs=True), or another objective"
    )
    config = replace(config, model=bert(**SIZES, pairs=True, num_token_types=0))
    with pytest.raises(ConfigError) as error:
        model_of(config, made.materials.tokenizer.vocab)
    assert str(error.value) == (
        "model.embed.num_token_types=0 and objective SentenceOrder tells 2 kinds of tokens apart; set it to 2"
    )


@pytest.mark.parametrize("own", [BySuper, ByClass, ByHelper])
def test_settings_that_an_own_loss_reads_by_any_way_are_allowed(made, own):
    model_of(replace(made.config, objective=own(z_loss=1e-4, label_smoothing=0.1)), made.materials.tokenizer.vocab)
