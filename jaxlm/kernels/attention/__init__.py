"""Attention: arrays in, arrays out. Each implementation states what it can do; `auto` picks one that can."""

from collections.abc import Callable
from typing import Any

from jaxlm.core.lookup import choose

KERNELS = {
    "plain": "jaxlm.kernels.attention.plain:attend",
    "blocked": "jaxlm.kernels.attention.blocked:attend",
}


def attend(q_BLHK: Any, k_BSGK: Any, v_BSGK: Any, *, drop: Callable[[Any], Any] | None, kernel: str = "auto", **kwargs: Any) -> Any:
    """softmax(q k^T / sqrt(K)) v over the keys that a query sees; see `plain.attend` for what else it takes.

    Args:
      drop: dropout of the weights [B, ...]; None: none.
      kernel: a name of KERNELS, or "auto": "blocked" where the weights of one head would be large and nothing is
        dropped, else "plain".

    Raises:
      ConfigError: the kernel is unknown or cannot do what is asked.
    """
    if kernel == "auto":
        kernel = "blocked" if q_BLHK.shape[1] >= 2048 and drop is None else "plain"
    return choose(KERNELS, kernel, "model.kernel")(q_BLHK, k_BSGK, v_BSGK, drop=drop, **kwargs)
