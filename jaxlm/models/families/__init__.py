"""Families: functions from a size to a model, one file each."""

FAMILIES = {
    "bert": "jaxlm.models.families.bert:bert",
    "gpt2": "jaxlm.models.families.gpt2:gpt2",
    "llama": "jaxlm.models.families.llama:llama",
}
"""By name; shared tests run over this table."""
