"""Errors that a user can mend, and their wording.

Every message says which key or file, the value given, what is allowed and what to do. Faults of our own are
asserts with a sentence, never these classes.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

EXIT_CODES = {
    0: "done; of `train`: the last step is saved",
    1: "an error of the run or its input: a broken file, a loss that is not finite, a run in use; or a fault in jaxlm itself",
    2: "wrong usage or config, found before a device is touched",
    75: "stopped by SIGTERM or Ctrl-C with the state saved: the same command goes on",
    76: "another process of the run was lost, or never came; the last checkpoint stands: start all again",
    130: "interrupted by Ctrl-C at once: what was saved before stands",
}
"""What the command line ends with; each class of error below has one of these."""


class UserError(Exception):
    """Something that the user can mend; the command line prints the message alone and leaves with `exit_code`."""

    exit_code = 1
    details: Mapping[str, Any] = {}
    """What `--json` prints beside the message."""


class RunError(UserError):
    """The run or its input failed: a broken file, a loss that is not finite, a run in use."""


class ConfigError(UserError):
    """Wrong usage or configuration, found before a device is touched."""

    exit_code = 2


class Stopped(UserError):
    """A signal ended the run and the state is saved: the same command goes on."""

    exit_code = 75


class Lost(UserError):
    """Another process of the run has gone, or never came; the last checkpoint stands."""

    exit_code = 76


@contextmanager
def writing(where: Path, advice: str) -> Iterator[None]:
    """What the disk refuses within becomes a RunError: where, why (it is full, or may not be written to), and the advice."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{where} cannot be written: {error.strerror or error}. {advice}") from error


def require_at_least(minimum: float, group: str, settings: Any, *names: str) -> None:
    """Raises ConfigError for the first of these fields that is less, or not finite; None passes, and what is no number: types
    are checked elsewhere."""
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, int | float) and not minimum <= value < math.inf:
            raise ConfigError(f"{group}.{name}={value} must be at least {minimum}{_finite(value)}")


def require_above(bound: float, group: str, settings: Any, *names: str) -> None:
    """Raises ConfigError for the first of these fields that is not more, or not finite; None and what is no number pass."""
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, int | float) and not bound < value < math.inf:
            raise ConfigError(f"{group}.{name}={value} must be above {bound}{_finite(value)}")


def _finite(value: float) -> str:
    return "" if math.isfinite(value) else ", and finite"


def require_seed(key: str, seed: Any) -> None:
    """Raises ConfigError for a seed that no generator takes."""
    if isinstance(seed, int) and not 0 <= seed < 2**63:
        raise ConfigError(f"{key}={seed} must be at least 0 and below 2**63")


def require_fraction(group: str, settings: Any, *names: str) -> None:
    """Raises ConfigError for the first of these fields that is not in [0, 1); what is no number passes, as above."""
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, int | float) and not 0 <= value < 1:
            raise ConfigError(f"{group}.{name}={value} must be at least 0 and below 1")


def require_probability(group: str, settings: Any, *names: str) -> None:
    """Raises ConfigError for the first of these fields that is not in [0, 1]; what is no number passes, as above."""
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, int | float) and not 0 <= value <= 1:
            raise ConfigError(f"{group}.{name}={value} must be at least 0 and at most 1")


def nearest(name: str, allowed: Iterable[str]) -> str:
    """` Did you mean 'x'?`, or the allowed names where none is near; begins with a space, ready to append."""
    names = sorted(allowed)
    near = get_close_matches(name, names, n=2, cutoff=0.6)
    if near:
        return f" Did you mean {' or '.join(repr(n) for n in near)}?"
    return f" Allowed: {', '.join(names)}." if names else ""
