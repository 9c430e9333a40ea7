import os
from pathlib import Path

import pytest


@pytest.fixture
def data_dir() -> Path:
    """Real samples, which do not belong to the repository."""
    default = Path(__file__).parents[2] / "../shared/data"
    folder = Path(os.environ.get("JAXLM_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set JAXLM_TEST_DATA")
    return folder
