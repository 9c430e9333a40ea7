"""The `mesh` group."""

from dataclasses import dataclass


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
