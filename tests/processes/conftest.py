import numpy as np
import pytest
from several import RECIPE, Place, ends


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    found = Place(tmp_path_factory.mktemp("processes"))
    rng = np.random.default_rng(0)
    words = ["the", "list", "of", "all", "values", "returns", "a", "new", "one", "when", "it", "is"]
    (found.folder / "text.txt").write_text("\n".join(" ".join(rng.choice(words, 12)) for _ in range(400)))
    (found.folder / "tiny.py").write_text(RECIPE)
    for more in ([], ["--masked"]):
        built = found.start(["-m", "jaxlm", "data", "build", "tiny.py", "--text", "text.txt", *more], 1)
        [(code, said)] = ends([built])
        assert code == 0, said
    yield found
    for process in found.started:
        process.kill()
        process.communicate()
