"""`jaxlm data verify`."""

import json
from pathlib import Path

import pytest

from jaxlm.cli.main import main
from jaxlm.data import blocks


@pytest.fixture
def store(recipe, capsys, tmp_path, monkeypatch):
    """The folder of a store with several blocks a file."""
    monkeypatch.setenv("JAXLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1024)
    Path("shakespeare.txt").write_text("".join(f"To be, or not to be {i}, that is the question.\n" for i in range(50)))
    assert main(["data", "build", recipe, "--json"]) == 0
    return Path(json.loads(capsys.readouterr().out)["store"])


def said(capsys, *words):
    code = main(["data", "verify", *map(str, words)])
    return code, *capsys.readouterr()


def test_a_whole_store_is_said_to_be_one(capsys, store, tmp_path):
    code, out, err = said(capsys, store)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"token store: {store}"
    assert " train      shakespeare              1 documents " in out
    assert out.endswith("all of it is what was written\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "data.json").write_text(json.dumps({"store": str(store), "digest": "x", "from": None}))
    code, out, _ = said(capsys, "run", "--json")
    result = json.loads(out)
    assert (code, result["store"], [part["split"] for part in result["parts"]]) == (0, str(store), ["train", "validation"])


def truncate(file):
    file.write_bytes(file.read_bytes()[:-2])


def alter(file):
    data = bytearray(file.read_bytes())
    data[1500] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate, r"has \d+ bytes where \d+ were written (truncated or altered)"),
        (alter, "block 1 (bytes 1024 and on) is not what was written"),
        (Path.unlink, "is missing"),
    ],
)
def test_damage_ends_with_the_file_and_the_block(capsys, store, damage, words):
    file = store / "0.train.shakespeare" / "0.text.tokens.00000"
    sizes = file.stat().st_size - 2, file.stat().st_size
    damage(file)
    code, _, err = said(capsys, store)
    assert code == 1
    assert err.startswith(f"token store: {file}")
    assert words.replace(r"\d+", "{}").format(*sizes) in err
    assert err.endswith(f"; delete the folder {store} and run again to build it anew\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["digests", "names", "names.offsets", "0.text.bytes", "0.text.offsets"])
def test_each_table_is_read(capsys, store, name):
    file = store / "0.train.shakespeare" / name
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    code, _, err = said(capsys, store)
    assert code == 1
    assert err.startswith(f"token store: {file}, block 0 (bytes 0 and on) is not what was written; ")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda header: header.update(format=2),
            "has format 2; this version reads 1; upgrade jaxlm, or delete the folder and run again",
        ),
        (lambda header: header.update(format=0), "has format 0; this version reads 1; delete the folder and run again"),
        (lambda header: header.pop("parts"), "header.json is not what was written; delete the folder"),
        (
            lambda header: header["parts"][0].update(num_documents=2),
            "0.train.shakespeare holds 1 documents of 'text', ",
        ),
        (lambda header: header["parts"][1]["num_bytes"].update(text=7), "1.validation.shakespeare holds "),
        (lambda header: header["parts"][1]["num_tokens"].update(text=7), "tokens of 'text' by its offsets, "),
    ],
)
def test_a_header_that_changed(capsys, store, change, words):
    header = json.loads((store / "header.json").read_text())
    change(header)
    (store / "header.json").write_text(json.dumps(header))
    code, _, err = said(capsys, store)
    assert (code, err.count("\n")) == (1, 1)
    assert words in err


def test_what_is_no_store(capsys, tmp_path):
    code, _, err = said(capsys, tmp_path / "nowhere")
    assert code == 2
    assert err == (
        f"STORE: {tmp_path}/nowhere does not exist. Give the folder that `jaxlm data build` names, or a run folder, such as "
        "runs/quickstart\n"
    )
    code, _, err = said(capsys, tmp_path)
    assert (code, err.count("\n")) == (2, 1)
    assert f"STORE: {tmp_path} is no token store (it has no header.json) and no run that reads one (it has no data.json). " in err
    (tmp_path / "data.json").write_text(json.dumps({"store": str(tmp_path / "gone")}))
    code, _, err = said(capsys, tmp_path)
    assert code == 1
    assert err.startswith(f"{tmp_path}/gone is no token store (it has no header.json); ")
