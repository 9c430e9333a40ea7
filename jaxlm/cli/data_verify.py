"""`jaxlm data verify`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxlm.cli.command import Command, positional


@dataclass(frozen=True)
class DataVerifyArguments:
    """The words of `jaxlm data verify`."""

    store: str = positional("The folder of a token store, or a run folder: its store.")


def run(arguments: DataVerifyArguments) -> Mapping[str, Any]:
    """Reads a whole store and prints its parts; damage is an error of the run."""
    from jaxlm.data import open_store, verify_store
    from jaxlm.run.inspect import store_path
    from jaxlm.run.text import part_lines

    path = store_path(arguments.store)
    lines = part_lines(open_store(path))
    print("\n".join([f"token store: {path}", *lines, "reading every block ..."]), flush=True)
    store = verify_store(path)
    print("all of it is what was written")
    return {"store": str(path), "digest": store.digest, "tokenizer": store.tokenizer_digest, "parts": store.describe()}


COMMAND = Command(
    name="data verify",
    summary="Read a whole token store and compare each block and table with what was written.",
    arguments=DataVerifyArguments,
    run=run,
    examples=(
        "jaxlm data verify runs/quickstart",
        "jaxlm data verify ~/.cache/jaxlm/stores/0123456789abcdef0123456789abcdef01234567 --json",
    ),
)
