"""Names of pytree leaves."""

from typing import Any


def leaf_names(tree: Any) -> list[tuple[str, Any]]:
    """(`"blocks/attention/query"`, leaf) of each leaf, in the tree's order."""
    import jax

    return [("/".join(_key(k) for k in path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def _key(entry: Any) -> str:
    for attr in ("key", "name", "idx"):
        if hasattr(entry, attr):
            return str(getattr(entry, attr))
    return str(entry)
