"""What the processes of one run must have in common."""

import hashlib
import time
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jaxlm.core import ConfigError
from jaxlm.parallel.peers import Facts, Peers
from jaxlm.run.difference import flatten
from jaxlm.run.folder import Decision
from jaxlm.run.recipe import Recipe

SEEN = 30.0
"""Seconds that a shared disk has to show on one host what another wrote."""


def facts_of(recipe: Recipe, node: Mapping[str, Any], decision: Decision) -> Facts:
    """Of code, config and run folder, one a key, so that a difference has a name.

    Args:
      node: the config, resolved, in JSON.
    """
    return {
        "jax": version("jax"),
        "jaxlm's code (digest)": code_digest(),
        "the recipe's code (digest)": recipe.digest,
        **{key: repr(value) for key, value in flatten(node)},
        "the run folder": str(decision.folder.path),
        "the step that the run folder holds": decision.step,
    }


@cache
def code_digest() -> str:
    """Of this package's Python files."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def require_seen(written: Path, peers: Peers) -> None:
    """Raises ConfigError where this process does not see a file that process 0 has written."""
    peers.meet("the run folder")
    until = time.monotonic() + SEEN
    while not written.is_file():
        if time.monotonic() > until:
            raise ConfigError(
                f"--run-dir: process 0 (on {peers.hosts[0]}) wrote {written}, and process {peers.index} (on "
                f"{peers.hosts[peers.index]}) does not see it; give a folder on a disk that all hosts share"
            )
        time.sleep(0.2)
