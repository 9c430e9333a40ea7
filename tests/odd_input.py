"""Hypothesis strategies of odd command lines, recipes and files of runs."""
# ruff: noqa: SIM905 - lists of words are easier to read as one line of them

import builtins
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

from jaxlm.cli.main import COMMANDS as BY_NAME
from jaxlm.core.lookup import load
from jaxlm.run.overrides import keys
from jaxlm.run.recipe import load_recipe

RECIPE = """
from dataclasses import dataclass, replace
from pathlib import Path
from jaxlm.corpus import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import bert, gpt2
from jaxlm.objectives import CausalLM, MaskedLM
from jaxlm.optim import AdamW
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import Bytes
TOP
def config(DIALS) -> RunConfig:
    BODY
    return RESULT

def made(**changes):
    return RunConfig(**{
        "model": gpt2(num_layers=1, embed_dim=8, num_heads=2, context=16),
        "objective": CausalLM(),
        "optimizer": AdamW(),
        "tokenizer": Bytes(),
        "data": DataConfig(sources=(TextFiles(Path("text.txt")),), seq_len=16),
        **changes,
    })
"""
PLAIN = {"TOP": "", "DIALS": "*, text: str = 'a', size: int = 3, own: bool = False", "BODY": "pass", "RESULT": "made()"}


def recipe_text(**parts: str) -> str:
    text = RECIPE
    for name, part in {**PLAIN, **parts}.items():
        text = text.replace(name, part)
    return text


ODD = [
    "",
    " ",
    "a\nb",
    "\u202e",
    "\udcff",
    "a" * 300,
    "9" * 400,
    "9" * 5000,
    "%s",
    "{0}",
    "é",
    "日本",
    "~",
    "~nobody-here/x",
    "..",
    "run",
]
ODD += "- -- --- = --= --=1 -1 0 1 -0.0 1e400 -1e400 inf nan 1e300 1_0 0x1 None none () [] {} true False / . // text.txt nowhere".split()
ODD += "tiny.py run/config.json".split()
COMMANDS = [name.split(" ") for name in BY_NAME]
UNKNOWN = [
    [],
    [""],
    ["trian"],
    ["config"],
    ["config", "shw"],
    ["data", "--step"],
    ["--version"],
    ["-1"],
    ["--json"],
    ["日本"],
    ["\udcff"],
]
ON_RECIPES = [["train"], ["config", "show"], ["data", "build"]]
OF_RECIPES = "--run-dir --from --trust --text --size --own --no-own --no-size --steps".split()
EVERYWHERE = "--json --help -h --version --no-trust --__ --é --train --x.y.z".split()
NEEDED = {
    "generate": [[], *[["--prompt", "a"]] * 4],
    "fill-mask": [[], *[["--prompt", "[MASK]"]] * 4],
    "tokenizer": [[], ["--text", "a"]],
}
END = ["--mesh.data", "77"]
"""No number of devices that there is: at the latest here a line ends that is right in all else."""


@st.composite
def words(draw: st.DrawFn) -> str:
    """A value: mostly a known odd one, which a plain union of strategies would draw too seldom."""
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return draw(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8))
    return str(draw(st.integers(-9, 300))) if kind < 3 else draw(st.sampled_from(ODD))


def own_flags(command: Sequence[str]) -> list[str]:
    """The flags of a command that takes a RUN."""
    name = " ".join(command)
    if name not in BY_NAME:
        return ["--prompt"]
    return [f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(load(BY_NAME[name]).arguments)]


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """The words of a command around which something is wrong, mostly."""
    command = draw(st.sampled_from([*COMMANDS * 4, *UNKNOWN]))
    on_recipe = command in ON_RECIPES
    where = draw(st.sampled_from([*["tiny.py" if on_recipe else "run"] * len(ODD), "run", "quickstart", *ODD]))
    known = [f"--{key.replace('_', '-')}" for key in keys(load_recipe("tiny.py").config)]
    flags = [*known, *OF_RECIPES * 6] if on_recipe else own_flags(command) * 8
    rest = [*draw(st.sampled_from(NEEDED.get(command[0], [[]])))] if command else []
    for _ in range(draw(st.integers(0, 4))):
        flag = draw(st.sampled_from([*flags, *EVERYWHERE]))
        form = draw(st.sampled_from(["{0}", "{0} {1}", "{0} {1}", "{0}={1}", "{0} {1} {1}", "no", "{1}"]))
        if form == "no":
            rest.append(f"--no-{flag.removeprefix('--')}")
        else:
            value = draw(words())
            rest += [part.format(flag, value) for part in form.split(" ")]
    return [*command, where, *rest, *(END if command == ["train"] else [])]


RAISED = [name for name, cls in vars(builtins).items() if isinstance(cls, type) and issubclass(cls, BaseException)]
ARGUMENTS = ["", "()", "(3)", "(None, None)", "('é\\n')"]
VALUES = "None 3 -1 0 10**400 1e308 float('nan') float('inf') 'x' '\\udcff' '\\0' '~nobody-here' () [1] {} {1:2} object() int print ...".split()
VALUES += (
    "b'x' 1j {1,2} range(3) Path('x') Path('~nobody-here') CausalLM CausalLM() MaskedLM() AdamW() Bytes() gpt2() bert()".split()
)
VALUES += ["iter('x')", "NotImplemented", "lambda: 0", "type('T', (), {'__repr__': lambda s: 1 / 0})()"]
TOPS = [
    "(",
    "def",
    "  x",
    "\t x\n  y",
    "import nowhere",
    "from jaxlm import nowhere",
    "x = 1 / 0",
    "import sys; sys.exit(3)",
    "'\\N{x}'",
]
TOPS += [
    "\0",
    "\ufeff",
    "(" * 300 + ")" * 300,
    "-" * 20000 + "1",
    "# coding: latin-7",
    "return 3",
    "yield",
    "await x",
    "print('words')",
]
TOPS += [
    "import sys; sys.stderr.write('x')",
    "raise KeyboardInterrupt",
    "def f(): f()\nf()",
    "x = [\n" * 50,
    "del RunConfig",
    "__name__ = 3",
]
TOPS += [
    "class Mute(Exception):\n    def __str__(self): 1 / 0\n    __repr__ = __str__\nraise Mute",
    "class B(BaseException): pass\nraise B",
]
TOPS += [
    "@dataclass\nclass Loose(CausalLM): pass",
    "from __future__ import annotations",
    "config = 3",
    "class config: pass",
    "del Path",
]
AFTER = [*[""] * 20, "config = 3", "config = lambda **k: made()", "class config: pass", "config = None", "async def config(): pass"]
AFTER += [
    "def config(): yield 3",
    "config = print",
    "del config",
    "config = replace",
    "def config(x): pass",
    "def config(*x): pass",
]
ANNOTATIONS = (
    "int list[int] dict Wide '1+' 3 print ... tuple[()] tuple[int,...] 'int|' type None int|None int|str|None RunConfig".split()
)
ANNOTATIONS += "Path|None 'Path' (lambda:0) dict[str,int] bytes complex set[int] float bool".split()
FIELDS = "model objective optimizer tokenizer data train mesh checkpoint log".split()
MADE = ["made({0}={1})", "replace(made(), {0}={1})", "made({0}=replace(made().{0}, wrong={1}))"]
KINDS = ["TOP", "DIALS", "DIALS", "BODY", "RESULT", "group", "field", "field", "text"]
STARS, NAMES = ["*, ", "*, ", "*, ", "", "*", "**", "*a, "], "x size json help from_ run_dir é model train".split()
AT_RECIPES = ["config show odd.py", "train odd.py --mesh.data 77", "train odd.py --help", "data build odd.py"]
AT_RECIPES += [f"{line}{more}" for line in AT_RECIPES for more in ("", " --json", " --size 2", " --x 1", " --train.steps 2")]
AT_RUNS = ["config show broken", "config show broken --json", "train broken --mesh.data 77", "tokenizer show broken --text a"]
AT_RUNS += ["generate broken --prompt a", "fill-mask broken --prompt [MASK]", "data show broken", "eval broken"]


@st.composite
def recipes(draw: st.DrawFn) -> str:
    """The text of a recipe of which one or two parts are odd."""
    pick = lambda choices: draw(st.sampled_from(choices))
    fields = [key.split(".") for key in keys(load_recipe("tiny.py").config) if key.count(".") == 1]
    parts = {}
    for kind in draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=2)):
        if kind == "DIALS":
            default = pick(["", *(f" = {value}" for value in VALUES)])
            parts[kind] = f"{pick(STARS)}{pick(NAMES)}: {pick(ANNOTATIONS)}{default}"
        elif kind == "BODY":
            parts[kind] = f"raise {pick(RAISED)}{pick(ARGUMENTS)}"
        elif kind == "group":
            parts["RESULT"] = pick(MADE).format(pick(FIELDS), pick(VALUES))
        elif kind == "field":
            group, field = pick(fields)
            parts["RESULT"] = f"made({group}=replace(made().{group}, {field}={pick(VALUES)}))"
        elif kind == "text":
            parts["TOP"] = draw(st.text(st.characters(exclude_categories=("Cs",)), max_size=12))
        else:
            parts[kind] = pick(TOPS if kind == "TOP" else VALUES)
    return recipe_text(**parts) + pick(AFTER)


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["jaxlm.core:nearest", "a:b"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["type", "x", "steps"]), inner, max_size=2)
    ),
    max_leaves=4,
)
BROKEN = ["config.json", "tokenizer/jaxlm_tokenizer.json", "data.json", "summary.json", "recipe.py"]


@st.composite
def broken_files(draw: st.DrawFn) -> tuple[str, bytes]:
    """The name of a file of a run, and what it holds instead."""
    name = draw(st.sampled_from([*BROKEN[:1] * 3, *BROKEN]))
    before = Path("run", name)
    if draw(st.booleans()) or not before.is_file():
        return name, draw(st.one_of(st.binary(max_size=20), JSON.map(lambda node: json.dumps(node).encode())))
    whole = json.loads(before.read_text())
    node = whole
    while True:
        key = draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
        if not node[key] or not isinstance(node[key], dict | list) or draw(st.integers(0, 3)) == 0:
            break
        node = node[key]
    if draw(st.booleans()):
        node[key] = draw(JSON)
    else:
        del node[key]
    return name, json.dumps(whole).encode()
