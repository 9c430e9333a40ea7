import ast
import subprocess
import sys
from pathlib import Path

import pytest

from jaxlm.core import RunError
from jaxlm.corpus import PythonDocs, PythonSignatures, PythonSources
from jaxlm.corpus.sources.python_docs import documentation
from jaxlm.corpus.sources.python_signatures import summaries
from jaxlm.corpus.sources.python_sources import sources, without_docstrings
from jaxlm.corpus.stdlib import Module, library_files

MODULE = '''\
# -*- coding: latin-1 -*-
"""What it is.

    More of it.
"""
import os  # stays

if os.name:
    def load(path, *, strict=True, **more) -> "int":
        """Read it."""

else:
    async def load(): "twice"; return 1

class Box(dict, list):
    """Holds \xe4."""

    size = "not a docstring"

    def put(self, x=(1, 2)):

        """
        Put it in.

          Deep.
        """

        def inner():
            """Unseen."""
        # comment
        return x
'''


@pytest.fixture
def library(tmp_path: Path) -> Path:
    (tmp_path / "pydoc_data").mkdir()
    (tmp_path / "pydoc_data" / "topics.py").write_text("topics = {'while': 'While.\\n', 'if': 'If.'}\n")
    (tmp_path / "box.py").write_text(MODULE, "latin-1")
    (tmp_path / "broken.py").write_text("def (:\n")
    for folder in ("test", "idlelib/idle_test", "site-packages"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "unseen.py").write_text('"""Unseen."""\n')
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text('"""Pack."""\n')
    return tmp_path


def test_documentation_of_a_small_library(library):
    assert documentation(library) == (
        ("topics/if", "If.\n"),
        ("topics/while", "While.\n"),
        (
            "box",
            "module box\nWhat it is.\n\nMore of it.\n\n"
            "box.load(path, *, strict=True, **more) -> 'int'\nRead it.\n\n"
            "box.load()\ntwice\n\n"
            "class box.Box(dict, list)\nHolds \xe4.\n\n"
            "box.Box.put(self, x=(1, 2))\nPut it in.\n\n  Deep.\n",
        ),
        ("pack", "module pack\nPack.\n"),
    )


def test_sources_without_docstrings_keep_all_else(library):
    texts = dict(sources(library))
    assert set(texts) == {"box.py"}  # pack/__init__.py had nothing but its docstring
    assert (
        texts["box.py"]
        == """\
# -*- coding: latin-1 -*-
import os  # stays

if os.name:
    def load(path, *, strict=True, **more) -> "int":
        pass

else:
    async def load(): pass; return 1

class Box(dict, list):
    size = "not a docstring"

    def put(self, x=(1, 2)):

        def inner():
            pass
        # comment
        return x
"""
    )


def test_docstring_beside_other_things():
    source = 'class A: "doc"\nclass B:\n    "doc" ; x = "\xe4"\ndef f():\n    "a" "b"  # why\n    return 1\n'
    text = without_docstrings(Module("a.py", source, ast.parse(source)))
    assert text == 'class A: pass\nclass B:\n    pass ; x = "\xe4"\ndef f():\n      # why\n    return 1\n'


def test_no_library_is_one_message(tmp_path):
    with pytest.raises(RunError, match=r"holds no \.py files: this Python comes without its documentation"):
        library_files(tmp_path)


def test_this_interpreter_s_documentation():
    documents = list(PythonDocs().documents())
    ids = [d.id for d in documents]
    assert len(set(ids)) == len(ids)
    assert {"topics/while", "json", "json.decoder", "argparse"} <= set(ids)
    assert sum(len(d.text) for d in documents) > 1_500_000
    assert {d.source for d in documents} == {"python-docs"}
    text = documents[ids.index("json")].text
    assert "json.dumps(obj, *, skipkeys=False, ensure_ascii=True," in text
    assert "Serialize ``obj`` to a JSON formatted ``str``." in text
    assert not any(id.startswith(("test.", "unittest.test", "lib2to3.tests", "site-packages")) for id in ids)


def test_this_interpreter_s_sources_parse_and_document_nothing():
    documents = list(PythonSources().documents())
    assert sum(len(d.text) for d in documents) > 5_000_000
    assert not any(d.id.startswith("pydoc_data/topics") for d in documents)
    for document in documents[::10]:
        for node in ast.walk(ast.parse(document.text)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                assert ast.get_docstring(node) is None, document.id


def test_nothing_is_imported_and_two_processes_agree():
    code = (
        "import sys; from jaxlm.corpus import PythonDocs; from hashlib import sha256;"
        "text = ''.join(d.id + d.text for d in PythonDocs().documents());"
        "assert not {'turtle', 'pydoc_data.topics', 'antigravity'} & set(sys.modules);"
        "print(sha256(text.encode()).hexdigest(), PythonDocs().fingerprint())"
    )
    root = Path(__file__).parents[2]
    first, second = (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=root).stdout for _ in range(2)
    )
    assert first == second


def test_fingerprints_differ():
    assert PythonDocs().fingerprint() != PythonSources().fingerprint()


def test_signatures_stand_beside_the_first_line_of_their_docstrings(tmp_path):
    (tmp_path / "box.py").write_text(MODULE, encoding="latin-1")
    text = 'class A:\n    def f(self):\n        """First.\n\n        More.\n        """\n    def g(self): """ """\n    def f(self): "Second."\n'
    (tmp_path / "a.py").write_text(text)
    assert summaries(tmp_path) == (
        ("a.py:2", "a.A.f(self)", "First."),
        ("box.py:9", "box.load(path, *, strict=True, **more) -> 'int'", "Read it."),
        ("box.py:13", "box.load()", "twice"),
        ("box.py:20", "box.Box.put(self, x=(1, 2))", "Put it in."),
    )


def test_signatures_are_documents_of_two_streams():
    documents = list(PythonSignatures().documents())
    assert len({document.text for document in documents}) == len(documents) > 3000
    assert {tuple(document.streams) for document in documents} == {("signature", "summary")}
    assert any(
        document.streams
        == {"signature": "textwrap.dedent(text)", "summary": "Remove any common leading whitespace from every line in `text`."}
        for document in documents
    )
    assert PythonSignatures().fingerprint() not in (PythonDocs().fingerprint(), PythonSources().fingerprint())
