"""`launch/Dockerfile` as far as it can be checked without Docker."""

import json
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
IGNORE = (ROOT / ".dockerignore").read_text().splitlines()


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "launch" / "Dockerfile").read_text()).replace("\\\n", " ")
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def all_of(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def copied() -> list[str]:
    return [source for words in all_of("COPY") for source in words.split()[:-1]]


def test_its_python_is_one_that_the_package_is_for():
    [base] = all_of("FROM")
    arguments = dict(words.partition("=")[::2] for words in all_of("ARG"))
    assert base == "python:${PYTHON}-slim"
    version = arguments["PYTHON"]
    assert version in SpecifierSet(PROJECT["project"]["requires-python"])
    pinned = [
        Requirement(line.partition("#")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1].isalpha()
    ]
    found = [one for one in pinned if one.name == "jax" and (not one.marker or one.marker.evaluate({"python_version": version}))]
    assert len(found) == 1, "the constraints know it"


def test_what_it_copies_is_all_that_the_package_is_made_of():
    sources = set(copied())
    assert all((ROOT / source).exists() for source in sources)
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], *PROJECT["project"]["license-files"], PROJECT["project"]["readme"]}
    assert {*needed, "pyproject.toml", "constraints.txt"} == sources
    assert {line[1:] for line in IGNORE if line.startswith("!")} == sources, ".dockerignore lets exactly these in"
    archived = next(line for line in (ROOT / "launch" / "tpu_pod.sh").read_text().splitlines() if "pyproject.toml" in line)
    assert sources | {"launch"} == set(archived.split('"')[-1].split()), "and so does the archive for a TPU"


def test_its_extras_are_the_packages():
    [install] = [words for words in all_of("RUN") if words.startswith("pip")]
    assert install.endswith('-c constraints.txt ".${EXTRA:+[$EXTRA]}"')
    asked = re.findall(r"EXTRA=(\w+)", (ROOT / "launch" / "README.md").read_text() + (ROOT / "launch" / "Dockerfile").read_text())
    assert {"gpu", "tpu"} <= set(asked) <= set(PROJECT["project"]["optional-dependencies"])


def test_whoever_it_runs_as_may_write_to_its_home_and_to_the_cache():
    places = dict(word.partition("=")[::2] for words in all_of("ENV") for word in words.split())
    made = next(words for words in all_of("RUN") if "--mode 1777" in words).split("--mode 1777")[1].split()
    assert {places["HOME"], places["JAXLM_CACHE"], *all_of("WORKDIR")[1:]} <= set(made)


def test_jaxlm_itself_gets_the_signals_and_is_not_root():
    [entry] = all_of("ENTRYPOINT")
    assert json.loads(entry) == ["jaxlm"]
    assert "jaxlm" in PROJECT["project"]["scripts"]
    order = [name for name, _ in instructions()]
    assert all_of("USER")[-1] != "0"
    assert order.index("USER") > max(at for at, name in enumerate(order) if name == "RUN")
