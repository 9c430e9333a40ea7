"""Which part of a model scores words."""

from typing import Any

from jaxlm.core import ConfigError


def word_model(model: Any, params: Any) -> tuple[Any, Any]:
    """The transformer that scores words, with its own parameters: of a pair the generator.

    Raises:
      ConfigError: no part of the model has a head "lm".
    """
    for part, own in model.parts(params):
        if "lm" in dict(part.heads):
            return part, own
    raise ConfigError("the run's model scores no words: it has no head 'lm'; use a run whose model has one.")
