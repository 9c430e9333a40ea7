"""The words that all rooms share: values and names, no effects; importing it does not import jax.

Shape letters, used as suffixes (`tokens_BL`, `q_BLHK`) and in annotations:

    B batch    L length (queries)    S length (keys)    D embed    H heads    G key/value heads
    K head size    F mlp    V vocabulary    E experts    N tokens of a stream    M picked positions

`axis` is for the mesh, `dim` for a tensor; counts begin with `num_`.
"""

from typing import TYPE_CHECKING

from jaxlm.core.document import Document, Source, Step
from jaxlm.core.errors import ConfigError, RunError, UserError
from jaxlm.core.inputs import Cache, Inputs, Outputs
from jaxlm.core.sums import Sums
from jaxlm.core.vocab import Vocab
from jaxlm.core.window import Example, Window

if TYPE_CHECKING:
    from jaxlm.core.readout import Readout

__all__ = [
    "Cache",
    "ConfigError",
    "Document",
    "Example",
    "Inputs",
    "Outputs",
    "Readout",
    "RunError",
    "Source",
    "Step",
    "Sums",
    "UserError",
    "Vocab",
    "Window",
]


def __getattr__(name: str):
    if name == "Readout":  # the one value here that needs jax
        from jaxlm.core.readout import Readout

        return Readout
    raise AttributeError(f"module 'jaxlm.core' has no attribute {name!r}")
