import json

import numpy as np
import pytest
from data_fakes import ByteTokenizer, items

from jaxlm.core import RunError
from jaxlm.data import blocks, store, verify, verify_store, write_store


def test_documents_out_of_place_are_found_also_where_every_checksum_agrees(tmp_path, monkeypatch):
    """As a writer with a fault of its own would leave them."""
    monkeypatch.setattr(verify, "AT_ONCE", 4)
    path = write_store(tmp_path / "store", items(40), ByteTokenizer()).path
    assert verify_store(path).digest
    file = path / "0.train.books" / "0.text.offsets"
    offsets_N = np.fromfile(file, "<i8")
    offsets_N[10] = offsets_N[9] + 1
    file.unlink()
    writer = blocks.BlockWriter(file)
    writer.write(offsets_N.tobytes())
    writer.close()
    header = json.loads((path / "header.json").read_text())
    header["parts"][0]["files"]["0.text.offsets"] = writer.record()
    (path / "header.json").write_text(json.dumps({**header, "digest": store.tokens_digest(header)}))
    with pytest.raises(RunError, match=r"0\.train\.books: document 9 of 'text' ends before it begins; delete the folder "):
        verify_store(path)
