import pytest
import tiny

from jaxlm.laws import Subject

SEQ_LEN = 32


@pytest.fixture
def subject_of():
    """A subject of a tiny model and an objective, on random text."""

    def make(objective, family=None, **settings):
        if family is None or "dropout" in tiny.SIZES[family]:
            settings.setdefault("dropout", 0.1)
        model = tiny.model(family, **settings) if family else tiny.model_for(objective, **settings)
        length = objective.raw_length(SEQ_LEN)
        windows = tuple(
            tuple(
                tiny.window_for(objective, length, i + 1000 * k, documents=1 + i % 3, padding=i % 4)
                for k in range(objective.num_windows)
            )
            for i in range(64)
        )
        return Subject(model, objective, tiny.vocab(), SEQ_LEN, windows)

    return make
