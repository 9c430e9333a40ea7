"""The `mesh` group."""

from dataclasses import dataclass

from jaxlm.core.errors import require_above, require_at_least

Rules = tuple[tuple[str, tuple[str, ...]], ...]
"""Pairs of a logical name and the mesh axes that cut it."""


@dataclass(frozen=True)
class MeshConfig:
    """How many devices each axis of the mesh has; -1 (one axis at most) takes what is left."""

    data: int = -1
    """Copies of the model, each with its own rows."""
    fsdp: int = 1
    """Parts into which parameters and optimizer state are cut, each with its own rows (ZeRO-3)."""
    tensor: int = 1
    """Parts into which heads, MLP and vocabulary are cut (Megatron-style)."""
    expert: int = 1
    """Parts into which the experts of each layer are dealt out, each with its own rows."""
    dcn_data: int = 1
    """Copies of the model over slices or hosts that the slower network joins; `data` is what each has within."""
    dcn_fsdp: int = 1
    """Parts of the parameters over slices or hosts; `fsdp` is what each has within."""
    meeting_seconds: float = 300.0
    """How long processes wait for each other at their start, while programs are compiled, and for a save to be complete."""
    patience_seconds: float = 120.0
    """How long they wait at any later point, and for a sign of life, before they leave with exit code 76."""
    rules: Rules = ()
    """Changes to the table in jaxlm/parallel/rules.py, such as (("vocab", ()),) or, on the command line, '[["vocab", []]]':
    which axes cut a dim of this name; also of names that layers of a recipe's own give to theirs."""
    optimizer_rules: Rules = ()
    """Changes on top of these for optimizer state alone, such as (("embed", ("fsdp",)),) where `rules` leave embed whole."""

    def __post_init__(self) -> None:
        require_above(0, "mesh", self, "meeting_seconds")
        require_at_least(3, "mesh", self, "patience_seconds")  # signs of life come each second
