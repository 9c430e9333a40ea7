"""Families: functions from a size to a model, one file each."""

from collections.abc import Mapping

from jaxlm.core import ConfigError

FAMILIES = {
    "albert": "jaxlm.models.families.albert:albert",
    "bert": "jaxlm.models.families.bert:bert",
    "electra": "jaxlm.models.families.electra:electra",
    "gemma": "jaxlm.models.families.gemma:gemma",
    "gpt2": "jaxlm.models.families.gpt2:gpt2",
    "gpt3": "jaxlm.models.families.gpt3:gpt3",
    "llama": "jaxlm.models.families.llama:llama",
    "llama3": "jaxlm.models.families.llama3:llama3",
    "mixtral": "jaxlm.models.families.mixtral:mixtral",
    "modern": "jaxlm.models.families.modern:modern",
    "qwen3": "jaxlm.models.families.qwen3:qwen3",
    "roberta": "jaxlm.models.families.roberta:roberta",
    "t5": "jaxlm.models.families.t5:t5",
    "t5_v1_1": "jaxlm.models.families.t5_v1_1:t5_v1_1",
    "transformer_2017": "jaxlm.models.families.transformer_2017:transformer_2017",
}
"""By name; shared tests run over this table."""


def dimensions(family: str, sizes: Mapping[str, tuple[int, ...]], size: str | None, *given: int | None) -> tuple[int, ...]:
    """The numbers of a published size, each replaced where one is given.

    Raises:
      ConfigError: the size is unknown, or there is none and a number is missing.
    """
    if size is not None and size not in sizes:
        raise ConfigError(f"{family}({size!r}): there is no such size; choose one of {', '.join(sizes)}, or give its dimensions")
    published: tuple[int | None, ...] = sizes[size] if size is not None else (None,) * len(given)
    chosen = [own or of_size for own, of_size in zip(given, published, strict=True)]
    known = tuple(number for number in chosen if number is not None)
    if len(known) < len(chosen):
        raise ConfigError(f"{family}() needs a size ({', '.join(sizes)}), or num_layers, embed_dim and num_heads")
    return known
