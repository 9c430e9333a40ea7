"""What the documents show works: code blocks are run or checked, links lead somewhere.

Each document is one session in an empty folder. Python blocks are run; one that begins with `# name.py` is such a file for the
commands after it, and one that begins with `# in examples/name.py` stands in that example as it is. Of the commands,

    jaxlm train nano/...            is run, for 2 steps
    jaxlm train name.py             is run, for 2 steps, where a block above is that file
    jaxlm ... s3://...              is parsed: nobody reading a document has that bucket
    jaxlm ... RUN                   is run where a command above has made that run
    jaxlm ... all else              is parsed: command, flags, and each name and type of a recipe's config
    ./launch/x.sh, bash .ci/run     must be there
    pip, pytest, git, ...           are known by name
"""

import dataclasses
import re
from itertools import pairwise
from pathlib import Path

import pytest
from document_blocks import Block, blocks, commands, quoted_example, recipe_file

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "launch/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
    if path.name not in ("log.md", "CHANGELOG.md")
)
LANGUAGES = {"sh", "console", "python", "text", "json", "toml"}
OTHERS = {
    "apt-get",
    "cd",
    "docker",
    "export",
    "git",
    "head",
    "kill",
    "kubectl",
    "mkdocs",
    "mypy",
    "pip",
    "pytest",
    "python",
    "python3",
    "ruff",
    "sbatch",
    "source",
    "tail",
    "tensorboard",
}
"""Programs that are not the project's: their names are all that is checked."""


@pytest.fixture
def short_training(monkeypatch):
    """Whatever is trained, by a command or by `jaxlm.fit`, is trained for 2 steps and evaluated on one batch."""
    from jaxlm.run import api

    def train_recipe(recipe, **rest):
        train = dataclasses.replace(recipe.config.train, steps=2, eval_every=None, eval_batches=1)
        config = dataclasses.replace(recipe.config, train=train)
        return whole(dataclasses.replace(recipe, config=config), **rest)

    whole = api.train_recipe
    monkeypatch.setattr(api, "train_recipe", train_recipe)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_blocks(document, tmp_path, monkeypatch, short_training):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "__main__"}
    for block in blocks(document.read_text()):
        where = f"{document.relative_to(ROOT)}:{block.line}"
        assert block.language in LANGUAGES, f"{where}: give the block a language, one of {', '.join(sorted(LANGUAGES))}"
        if block.language == "python":
            run_python(block, document, names)
        elif block.language in ("sh", "console"):
            for words, line in commands(block):
                check_command(words, f"{document.relative_to(ROOT)}:{line}")


def run_python(block: Block, document: Path, names: dict) -> None:
    path = recipe_file(block)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
    check_quote(block, f"{document.relative_to(ROOT)}:{block.line}")
    code = "\n" * (block.line - 1) + block.text  # so that an error names the document's line
    exec(compile(code, str(document), "exec"), names)


def check_quote(block: Block, where: str) -> None:
    """What a block shows of an example is in it; a block that is a file of an example's name is that example."""
    example = ROOT / "examples" / (quoted_example(block) or recipe_file(block) or "")
    if quoted_example(block) is None and not example.is_file():
        return
    assert example.is_file(), f"{where}: examples/{example.name} is not there"
    quote = block.text.partition("\n")[2].strip()
    assert quote in example.read_text(), f"{where}: this is not, or no longer, what examples/{example.name} has"


def check_command(words: list[str], where: str) -> None:
    program, *rest = words
    if program == "jaxlm":
        check_jaxlm(rest, where)
    elif program == "bash" or "/" in program:
        script = rest[0] if program == "bash" else program
        assert (ROOT / script).is_file(), f"{where}: {script} is not there"
    else:
        assert program in OTHERS, f"{where}: {program!r} is unknown; OTHERS has the programs that documents may show"


def check_jaxlm(words: list[str], where: str) -> None:
    from jaxlm.cli.command import parse
    from jaxlm.cli.main import COMMANDS, _find, main
    from jaxlm.core import UserError
    from jaxlm.core.lookup import load
    from jaxlm.run.recipe import load_recipe

    give_text(words)
    given = [word for word in words if word != "--json"]
    if not given or given[0].startswith("-") or "--help" in given or must_run(given):
        code = main(words)
        assert code == 0, f"{where}: jaxlm {' '.join(words)} ended with {code}"
        return
    try:
        name, arguments = _find(given)
        parsed = parse(load(COMMANDS[name]), arguments)
        recipe = getattr(parsed, "recipe", None)
        if recipe is not None and (recipe.endswith((".py", ".json")) or not recipe.startswith("runs/")):
            if recipe.startswith(("configs/", "examples/")):
                recipe = str(ROOT / recipe)
            load_recipe(recipe, parsed.overrides)
    except UserError as error:
        pytest.fail(f"{where}: jaxlm {' '.join(words)}: {error}")


def give_text(words: list[str]) -> None:
    """Writes the reader's own text, `--text my-notes.txt`, where it is not there."""
    from pydoc_data.topics import topics

    for flag, value in pairwise(words):
        if flag == "--text" and not Path(value).exists():
            Path(value).write_text("\n".join(topics.values()))


def must_run(words: list[str]) -> bool:
    if any("://" in word for word in words):
        return False
    if words[0] == "train":
        return words[1].startswith("nano/") or Path(words[1]).is_file()
    return any((Path(word) / "checkpoints").is_dir() for word in words)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    text = document.read_text()
    for block in blocks(text):
        text = text.replace(block.text, "\n")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}, which is not there"


def test_ci_runs_the_test_command_of_the_readme():
    install, test = 'pip install -e ".[dev]"', "pytest"
    assert f"{install} && {test}" in (ROOT / "README.md").read_text()
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert any(line.endswith(install.removeprefix("pip install")) and line.startswith("pip install") for line in lines)
    assert any(line.startswith(f"{test} ") for line in lines)
