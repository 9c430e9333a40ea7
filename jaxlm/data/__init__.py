"""From a token store to batches: store, packing, windows, examples, batches; numpy, and Grain to work ahead."""

from jaxlm.data.batches import Batches, BatchIterator, iterate
from jaxlm.data.config import DataConfig
from jaxlm.data.examples import Examples
from jaxlm.data.mixture import Mixture
from jaxlm.data.packing import Packing, pack
from jaxlm.data.store import Part, Store, default_root, open_store, store_address
from jaxlm.data.store_writer import write_store
from jaxlm.data.verify import verify_store
from jaxlm.data.windows import WindowReader

__all__ = [
    "BatchIterator",
    "Batches",
    "DataConfig",
    "Examples",
    "Mixture",
    "Packing",
    "Part",
    "Store",
    "WindowReader",
    "default_root",
    "iterate",
    "open_store",
    "pack",
    "store_address",
    "verify_store",
    "write_store",
]
