"""`launch/build_data.sh` takes what `jaxlm train` takes."""

import dataclasses

import pytest

from jaxlm.cli.command import parse
from jaxlm.cli.data_build import COMMAND as BUILD
from jaxlm.cli.train import COMMAND as TRAIN

OF_A_DRY_RUN = {"--dry-run", "--devices", "--topology"}  # which needs no store

WORDS = ("nano/gpt2", "--trust", "--text", "two words", "--train.steps", "3")


def flags(command) -> set[str]:
    fields = dataclasses.fields(command.arguments)
    return {f"--{field.name.rstrip('_').replace('_', '-')}" for field in fields if field.metadata["kind"] == "flag"}


@pytest.mark.parametrize("flag", [*sorted(flags(TRAIN) - flags(BUILD) - OF_A_DRY_RUN), "--run_dir"])
@pytest.mark.parametrize("joined", [False, True], ids=["value behind it", "value in it"])
def test_what_only_training_takes_is_left_out(script, flag, joined):
    given = [f"{flag}=some/where"] if joined else [flag, "some/where"]
    for words in ((*WORDS[:1], *given, *WORDS[1:]), (*WORDS, *given)):
        parse(TRAIN, words)
        code, lines, _ = script("build_data.sh", *words, codes=(0, 0))
        assert (code, lines[0]) == (0, " ".join(("data build", *WORDS)))


def test_what_is_left_is_what_the_command_takes():
    parsed = parse(BUILD, WORDS)
    assert (parsed.recipe, parsed.trust, parsed.overrides) == ("nano/gpt2", True, WORDS[2:])


def test_its_exit_code_is_the_commands(script):
    assert script("build_data.sh", "nano/gpt2", codes=(2,))[0] == 2
