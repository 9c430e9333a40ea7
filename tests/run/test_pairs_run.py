"""An encoder-decoder from pairs of lines to answers: one short run, looked at from all sides."""

import json
import os
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO

import pytest

import jaxlm
from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.cli.main import main
from jaxlm.core import ConfigError
from jaxlm.corpus import ParallelLines
from jaxlm.data.config import DataConfig
from jaxlm.generate import generate_texts
from jaxlm.models import gpt2, transformer_2017
from jaxlm.objectives import Seq2Seq
from jaxlm.optim import AdamW
from jaxlm.parallel.config import MeshConfig
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import Characters
from jaxlm.train.config import LogConfig, TrainConfig


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(the run, what its start and end printed)"""
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "text.en").write_text("".join(f"{'abcdefg'[i % 7 :]} {i}\n" for i in range(120)))
    (folder / "text.up").write_text("".join(f"{'ABCDEFG'[i % 7 :]} {i}\n" for i in range(120)))
    config = RunConfig(
        model=transformer_2017(num_layers=1, embed_dim=16, num_heads=2),
        objective=Seq2Seq(source="en", target="up", label_smoothing=0.1),
        optimizer=AdamW(),
        tokenizer=Characters(),
        data=DataConfig(sources=(ParallelLines(folder / "text", ("en", "up")),), packing="best_fit", seq_len=32),
        train=TrainConfig(steps=2, batch_size=8),
        mesh=MeshConfig(data=8),
        checkpoint=CheckpointConfig(every=None),
        log=LogConfig(tensorboard=False, progress=False, samples=2),
    )
    with redirect_stdout(StringIO()) as said:
        run = jaxlm.fit(config, run_dir=folder / "run")
    return run, said.getvalue()


def test_the_end_tells_what_a_byte_costs_and_shows_held_out_pairs(made):
    run, said = made
    assert 3 < run.summary["eval/bits_per_target_byte"] < 12
    assert "bits per byte of the target" in said
    assert said.count("the model says: ") == 2
    assert "it was: " in said
    assert f"jaxlm generate {run.dir} --prompt" in said
    assert "--num-beams 4" in said


def test_a_row_is_shown_from_both_sides_and_is_the_same_on_any_devices(made, capsys):
    run, _ = made
    shown = []
    for devices in (1, 2):
        env = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
        command = [sys.executable, "-m", "jaxlm", "data", "show", run.dir, "--step", "2", "--row", "5"]
        shown.append(subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout)
    assert main(["data", "show", str(run.dir), "--step", "2", "--row", "5"]) == 0
    here = capsys.readouterr().out  # on eight
    assert shown == [here, here]
    encoder, decoder = (here.split(f"\n{side}: ")[1].splitlines() for side in ("encoder", "decoder"))
    assert encoder[0].replace("</s>", "") == decoder[0].lower()  # which tells no end, since it is not given one
    assert encoder[2].split() == ["place", "segment", "position", "id", "token"]
    assert decoder[2].split() == ["place", "segment", "position", "id", "token", "target", "weight"]
    read, written = (lines[3].split()[:3] for lines in (encoder, decoder))
    assert read == written == ["0", "1", "0"]
    assert len([line for line in decoder if line.endswith(" 1")]) > 20


def test_the_prompt_is_what_the_encoder_reads(made, capsys):
    run, _ = made
    best = run.generate(["abc 1", "defg 22"], num_beams=3, length_penalty=0.6, max_tokens=9)
    assert best == [run.generate(prompt, num_beams=3, max_tokens=9)[0] for prompt in ("abc 1", "defg 22")]
    assert not any(text.startswith("abc") for text in best)
    assert run.generate("abc 1", temperature=0, max_tokens=9) == run.generate("abc 1", num_beams=1, max_tokens=9)
    drawn = run.generate("abc 1", num_samples=3, max_tokens=9)
    assert drawn == run.generate("abc 1", num_samples=3, max_tokens=9)
    assert len(set(drawn)) == 3
    capsys.readouterr()
    assert main(["generate", str(run.dir), "--prompt", "abc 1", "--num-beams", "3", "--max-tokens", "9", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out.splitlines()[-1])["completions"] == best[:1]
    assert "abc 1" not in told.err  # the answer alone: the prompt is no part of it


def test_a_search_and_a_draw_do_not_mix(made):
    run, _ = made
    with pytest.raises(ConfigError, match="--num-beams: a search for the likeliest text draws nothing"):
        run.generate("abc", num_beams=2, temperature=0.5)


def test_an_encoder_s_positions_bound_its_prompt(made):
    run, _ = made

    class Short:
        """The model, if it could tell eight positions apart."""

        max_length = 8

        def __getattr__(self, name):
            return getattr(run.model, name)

    with pytest.raises(ConfigError, match=r"--prompt: its 12 tokens are more than the 8 that the model's encoder can tell apart"):
        generate_texts(Short(), run.params, run.tokenizer, ["abcdefg 11"])


def test_pairs_need_an_encoder(made, tmp_path):
    run, _ = made
    config = jaxlm.recipe(run.dir / "config.json")
    with pytest.raises(ConfigError, match="objective Seq2Seq needs an encoder-decoder and the model has no encoder"):
        jaxlm.fit(replace(config, model=gpt2(num_layers=1, embed_dim=16, num_heads=2, context=32)), run_dir=tmp_path / "other")
