"""`jaxlm runs`: what runs left behind, as a table and as JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxlm.cli.main import main
from jaxlm.run.files import RunFolder
from jaxlm.run.lock import lock_folder

ATTENTION = {"type": "jaxlm.models.layers.attention:Attention", "causal": True}
LINE = {"train/loss": 2.5, "train/grad_norm": 1.0, "data/position": 32, "perf/tokens_per_s": 12345.6}


def config(objective="jaxlm.objectives.causal:CausalLM", *, causal=True, **train):
    pattern = [{"type": "jaxlm.models.layers.block:Block", "attention": {**ATTENTION, "causal": causal}}]
    decoder = [{"type": "jaxlm.models.layers.stack:Stack", "pattern": pattern, "repeats": 4}]
    embed = {"type": "jaxlm.models.layers.embed:Embed", "embed_dim": 128}
    return {
        "format": 1,
        "type": "jaxlm.run.config:RunConfig",
        "model": {"type": "jaxlm.models.transformer:Transformer", "embed": embed, "decoder": decoder},
        "objective": {"type": objective},
        "train": {"type": "jaxlm.train.config:TrainConfig", "steps": 20, "seed": 0, **train},
    }


def make(name, node=None, *, loss=None, bits="bits_per_byte", finished=True, text="a"):
    """A run folder with lines of step 10 and 20; evaluated at 10 where it has not come to its end."""
    folder = RunFolder(Path(name))
    folder.write_config(node or config(), None)
    evaluation = {} if loss is None else {"eval/loss": loss, f"eval/{bits}": loss / 2}
    lines = [{"step": 10, **LINE, **({} if finished else evaluation)}, {"step": 20, **LINE, **(evaluation if finished else {})}]
    folder.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    folder.data.write_text(json.dumps({"store": "s", "digest": text, "from": None}))
    if finished:
        folder.summary.write_text(json.dumps({"state": "finished", **lines[-1]}))
    return folder


def run(capsys, *words):
    code = main(["runs", *words])
    out, err = capsys.readouterr()
    return code, out, err


def as_json(capsys, *words):
    code, out, _ = run(capsys, *words, "--json")
    assert code == 0
    return json.loads(out)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_table(capsys):
    make("runs/b", loss=1.5)
    masked = config("recipe:Mine", causal=False)
    make("runs/deep/a", masked, loss=3.0, bits="bits_per_masked_byte", finished=False)
    code, out, err = run(capsys)
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["name", "model", "objective", "step", "train/loss", "eval/loss", "bits/byte", "tokens/s", "state"],
        ["b", "causal", "4x128", "CausalLM", "20", "2.5000", "1.5000", "0.7500", "12,346", "finished"],
        ["deep/a", "bidirectional", "4x128", "Mine", "20", "2.5000", "3.0000", "1.5000*", "12,346", "stopped"],
        ["*", "bits", "per", "hidden", "byte,", "by", "a", "reader", "who", "sees", "all", "around", "it"],
        ["eval/loss", "is", "what", "each", "objective", "minimises:", "between", "objectives", "compare", "bits/byte"],
    ]


def test_bits_of_a_target_are_told_apart(capsys):
    make("runs/a", loss=3.0, bits="bits_per_target_byte")
    _, out, _ = run(capsys)
    assert "1.5000+" in out
    assert "+ bits per byte of the target, by a reader who knows its source" in out.splitlines()
    assert "hidden" not in out


def test_a_pair(capsys):
    """Its shape is that of both, its loss is told as the two that it is the sum of."""
    half = config("jaxlm.objectives.replaced:ReplacedTokenDetection", causal=False)
    whole = half["model"]
    half["model"] = {"type": "jaxlm.models.pair:Pair", "generator": {**whole, "width": 64}, "discriminator": whole}
    folder = make("runs/a", half, loss=26.0, bits="discriminator_nll")
    line = json.loads(folder.metrics.read_text().splitlines()[-1])
    rest = {
        "discriminator_nll": 0.3,
        "discriminator_accuracy": 0.9,
        "replaced": 0.1,
        "generator_nll": 5.0,
        "generator_accuracy": 0.2,
    }
    folder.metrics.write_text(json.dumps({**line, **{f"eval/{name}": value for name, value in rest.items()}}) + "\n")
    _, out, _ = run(capsys)
    _, row, told = out.splitlines()
    assert row.split()[:5] == ["a", "bidirectional", "4x128", "+", "4x64"]
    assert row.split()[-5:] == ["2.5000", "26.0000", "-", "12,346", "finished"]
    assert told.startswith(
        "a: discriminator: 0.3000 nats a token for whether it was replaced (0.3251 for who knows only that 10.0%"
    )


def test_its_json(capsys):
    make("runs/b", loss=1.5)
    found = as_json(capsys)
    assert found == {
        "runs": [
            {
                "name": "b",
                "run_dir": str(Path("runs/b").absolute()),
                "model": "causal 4x128",
                "objective": "CausalLM",
                "seed": 0,
                "state": "finished",
                "reason": None,
                "step": 20,
                **LINE,
                "eval/loss": 1.5,
                "eval/bits_per_byte": 0.75,
            }
        ],
        "groups": [],
        "left_out": [],
    }


def test_runs_that_differ_in_their_seed_alone_are_summed_up(capsys):
    for seed, loss in enumerate([1.0, 2.0, 3.0]):
        make(f"runs/s{seed}", config(seed=seed), loss=loss)
    make("runs/copy", config(seed=1), loss=9.0)  # another of seed 1: it is no new draw
    make("runs/unfinished", config(seed=4), loss=9.0, finished=False)
    make("runs/text", config(seed=5), loss=9.0, text="b")
    make("runs/more", config(seed=6, batch_size=8), loss=9.0)
    (Path("runs") / "copy").rename("runs/z-copy")
    (group,) = as_json(capsys)["groups"]
    assert (group["runs"], group["seeds"]) == (["s0", "s1", "s2"], [0, 1, 2])
    assert group["eval/loss"] == {"mean": 2.0, "deviation": 1.0}
    assert group["eval/bits_per_byte"] == {"mean": 1.0, "deviation": 0.5}
    _, out, _ = run(capsys)
    assert out.splitlines()[-1].split("  ") == ["s0, s1, s2", "0, 1, 2", "2.0000 ± 1.0000", "1.0000 ± 0.5000"]


def test_the_recipes_own_classes_belong_to_what_is_compared(capsys):
    for seed in (0, 1):
        folder = make(f"runs/{seed}", config("recipe:Mine", seed=seed), loss=1.0)
        folder.recipe.write_text(f"# {seed}")
    assert as_json(capsys)["groups"] == []
    folder.recipe.write_text("# 0")
    assert len(as_json(capsys)["groups"]) == 1


def test_how_runs_ended(capsys):
    def left_by(name, error=None):
        folder = make(name, loss=1.0, finished=False)
        with pytest.raises(type(error)) if error else open(os.devnull), lock_folder(folder):
            if error:
                raise error

    from jaxlm.core import RunError
    from jaxlm.core.errors import Stopped

    left_by("runs/done")
    left_by("runs/stopped", Stopped("by SIGTERM"))
    left_by("runs/ctrl-c", KeyboardInterrupt())
    left_by("runs/nan", RunError("train/loss is nan at step 3\nmore"))
    left_by("runs/fault", ZeroDivisionError("by zero"))
    make("runs/killed", finished=False).lock.write_text("123456\n")
    make("runs/late", loss=1.0).lock.write_text("stopped\n")  # interrupted while it showed samples
    make("runs/raised", config(steps=30), loss=1.0).lock.write_text("123456\n")  # killed on its way from 20 to 30
    with lock_folder(make("runs/going", finished=False)):
        states = {each["name"]: (each["state"], each["reason"]) for each in as_json(capsys)["runs"]}
        assert "nan failed: train/loss is nan at step 3\n" in run(capsys)[1]
    assert states == {
        "done": ("finished", None),
        "stopped": ("stopped", None),
        "ctrl-c": ("stopped", None),
        "nan": ("failed", "train/loss is nan at step 3"),
        "fault": ("failed", "ZeroDivisionError: by zero"),
        "killed": ("stopped", None),
        "late": ("finished", None),
        "raised": ("stopped", None),
        "going": ("running", None),
    }


def test_sorting(capsys):
    for name, loss in {"a": 2.0, "b": None, "c": 1.0, "d": None}.items():
        make(f"runs/{name}", loss=loss)
    names = lambda *words: [each["name"] for each in as_json(capsys, *words)["runs"]]
    assert names() == ["a", "b", "c", "d"]
    assert names("--sort", "eval/loss") == ["c", "a", "b", "d"]
    code, out, err = run(capsys, "--sort", "eval/los")
    assert (code, out) == (2, "")
    assert err == "--sort: there is no column 'eval/los'. Did you mean 'eval/loss'?\n"


def test_what_is_broken_or_anothers_has_a_line(capsys):
    make("runs/good", loss=1.0)
    for name, text in {"cut": '{"model": ', "other": '{"a": 1}', "list": "[]", "odd": json.dumps({**config(), "train": 3})}.items():
        Path(f"runs/{name}").mkdir()
        Path(f"runs/{name}/config.json").write_text(text)
    make("runs/other/inner", loss=1.0)  # a folder with a config.json of its own, such as a repository's
    make("runs/garbled").metrics.write_text("no json\n")
    Path("runs/left/checkpoints/10").mkdir(parents=True)
    found = as_json(capsys)
    assert [each["name"] for each in found["runs"]] == ["good", "other/inner"]
    assert [each["name"] for each in found["left_out"]] == ["cut", "garbled", "left", "list", "odd", "other"]
    code, out, err = run(capsys)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[-6].startswith("cut is left out: runs/cut/config.json: cannot be read as JSON: ")
    assert "left is left out: no config.json: not a run, or what is left of one" in lines
    assert lines[-1] == "other is left out: runs/other/config.json: not a run's: it has no model, objective and train"


def test_a_run_of_a_newer_jaxlm_is_left_out(capsys):
    make("runs/new", {**config(), "format": 99}, loss=1.0)
    found = as_json(capsys)
    assert (found["runs"], found["left_out"][0]["name"]) == ([], "new")
    assert "format 99 is newer" in found["left_out"][0]["reason"]


def test_a_line_that_is_being_written_does_not_count(capsys):
    folder = make("runs/a", loss=1.0, finished=False)
    with folder.metrics.open("a") as file:
        file.write('{"step": 30, "train/lo')
    (found,) = as_json(capsys)["runs"]
    assert (found["step"], found["eval/loss"], found["train/loss"]) == (20, 1.0, 2.5)
    folder.metrics.write_text("")
    (found,) = as_json(capsys)["runs"]
    assert (found["step"], "train/loss" in found) == (0, False)


def test_no_runs_and_no_folder(capsys):
    code, out, err = run(capsys)
    assert (code, out) == (2, "")
    assert err == "DIR: runs does not exist. Give the folder that your runs lie in; `jaxlm train` makes them in runs.\n"
    Path("empty").mkdir()
    assert run(capsys, "empty") == (0, "empty holds no runs. Train one: jaxlm train quickstart\n", "")
    assert as_json(capsys, "empty") == {"runs": [], "groups": [], "left_out": []}


def test_links_are_followed_and_lead_in_no_circles(capsys, tmp_path):
    make("elsewhere/a", loss=1.0)
    Path("runs").mkdir()
    Path("runs/a").symlink_to(tmp_path / "elsewhere/a")
    Path("runs/circle").symlink_to(tmp_path / "runs")
    assert [each["name"] for each in as_json(capsys)["runs"]] == ["a"]


def test_a_run_itself(capsys):
    make("runs/a", loss=1.0)
    assert [each["name"] for each in as_json(capsys, "runs/a")["runs"]] == ["a"]


def test_it_imports_no_jax():
    make("runs/a", loss=1.0)
    shown = "print(sorted({m.partition('.')[0] for m in sys.modules} & {'jax', 'flax', 'tyro', 'grain', 'orbax'}))"
    code = f"import sys; from jaxlm.cli.main import main; assert main(['runs']) == 0; {shown}"
    env = {**os.environ, "PYTHONPATH": str(Path(main.__code__.co_filename).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.endswith("[]\n")
