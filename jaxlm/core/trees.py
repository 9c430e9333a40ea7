"""Names of pytree leaves."""

from typing import Any


def leaf_names(tree: Any) -> list[tuple[str, Any]]:
    """(`"blocks/attention/query"`, leaf) of each leaf, in the tree's order."""
    import jax

    return [("/".join(_key(k) for k in path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def shape_difference(there: Any, here: Any) -> tuple[str, Any, Any] | None:
    """The first name whose leaves differ in shape, with the shape in each tree or "absent"; None: all are the same."""
    shapes = [{name: tuple(leaf.shape) for name, leaf in leaf_names(tree)} for tree in (there, here)]
    for name in sorted(shapes[0].keys() | shapes[1].keys()):
        old, new = (found.get(name, "absent") for found in shapes)
        if old != new:
            return name, old, new
    return None


def _key(entry: Any) -> str:
    for attr in ("key", "name", "idx"):
        if hasattr(entry, attr):
            return str(getattr(entry, attr))
    return str(entry)
