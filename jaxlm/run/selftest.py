"""A recipe's model and objective, held to the laws."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from jaxlm.core import ConfigError
from jaxlm.laws import Subject, Verdict, judge
from jaxlm.run.assemble import Materials, examples
from jaxlm.run.program import model_of
from jaxlm.run.recipe import Recipe
from jaxlm.run.text import Say, store_for, text_of, tokenizer_for

MAX_PARAMS = 20_000_000
"""Of a model that is tried on two cores within two minutes."""
LENGTH, NUM_ROWS = 64, 1024


def selftest(recipe: Recipe, say: Say = print) -> Iterator[tuple[str, Verdict]]:
    """(group, verdict) of each law, as they are found, with the recipe's own text and tokenizer, made where they are missing.

    Rows are cut to 64 tokens, and all is computed in float32.

    Raises:
      ConfigError: the model has too many parameters, or something of the config does not fit.
    """
    config = recipe.config
    config = replace(config, data=replace(config.data, seq_len=min(LENGTH, config.data.seq_len)))
    text = text_of(config, recipe.module)
    tokenizer = tokenizer_for(config.tokenizer, text, say)
    model = model_of(config, tokenizer.vocab).computed(dtype="float32")
    require_small(model)
    materials = Materials(tokenizer, store_for(text, tokenizer, say))
    rows = examples(config, materials, "train")
    windows = tuple(rows.windows(position) for position in range(min(NUM_ROWS, rows.num_rows)))
    subject = Subject(model, config.objective, tokenizer.vocab, config.data.seq_len, windows, config.train.seed)
    return judge(subject)


def require_small(model: Any) -> None:
    """Raises ConfigError for a model of too many parameters to be tried."""
    if (num_params := model.num_params()) > MAX_PARAMS:
        raise ConfigError(
            f"model: {num_params:,} parameters are too many to try; at most {MAX_PARAMS:,} are. Make it smaller for the test: by "
            "a dial of the recipe, --tokenizer.vocab-size, or --model.decoder.0.repeats"
        )
