"""`jaxlm data build`."""

import json
from pathlib import Path

from jaxlm.cli.main import main


def test_it_makes_the_store_and_says_where(capsys, recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXLM_CACHE", str(tmp_path / "cache"))
    Path("shakespeare.txt").write_text("To be, or not to be, that is the question.\n" * 50)
    assert main(["data", "build", recipe, "--json"]) == 0
    out, _ = capsys.readouterr()
    result = json.loads(out)
    assert Path(result["store"]).is_dir()
    assert Path(result["store"]).is_relative_to(tmp_path / "cache")
    assert main(["data", "build", recipe, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["digest"] == result["digest"]


def test_a_file_that_is_not_there(capsys, recipe):
    assert main(["data", "build", recipe, "--text", "nothing.txt"]) in (1, 2)
    assert "nothing.txt" in capsys.readouterr().err
