"""A run's files, read back."""

import pytest

from jaxlm.core import ConfigError
from jaxlm.run.saved import read_json


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.json: cannot be read as JSON: .* Give a data\.json that jaxlm wrote\.$"):
        read_json(tmp_path / "data.json")
