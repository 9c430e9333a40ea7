"""Paths of this machine and of object stores (gs://, s3://), and what can be done with either in the same words.

A path of this machine is a `pathlib.Path`; one of an object store an `etils.epath.Path`, which has pathlib's methods (but `stat`,
`absolute` and `resolve`, which are here) and reaches its store through fsspec. Credentials are found by the clouds' own
libraries and never pass through here.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import Any, cast

from jaxlm.core.errors import ConfigError, writing

PACKAGES = {"gs": ("gcsfs", "gcs"), "s3": ("s3fs", "s3")}
"""Scheme -> the package that reaches such a store, and the extra of jaxlm that has it."""
HOW = {
    "gs": "by their default chain (GOOGLE_APPLICATION_CREDENTIALS, gcloud auth application-default login, the machine's own)",
    "s3": "by their default chain (AWS_ACCESS_KEY_ID, AWS_PROFILE, the machine's own; AWS_ENDPOINT_URL where it is not AWS)",
}
"""Scheme -> where credentials are looked for."""

MANGLED = re.compile(r"(gs|s3):/(?!/)")


def to_path(given: str | PurePath, key: str) -> Path:
    """The absolute path that a user's words mean; `~` is replaced.

    Raises:
      ConfigError: a store that is not known, whose package is not installed, or no bucket in it.
      RuntimeError, ValueError, OSError: no path of this machine.
    """
    if MANGLED.match(str(given)):  # as pathlib.Path writes it
        raise ConfigError(f"{key}: {given} has one slash after the colon; give it as text, with two: s3://BUCKET/...")
    scheme, separator, rest = str(given).partition("://")
    if not separator or not scheme.isalnum():
        return Path(given).expanduser().absolute()
    if scheme not in PACKAGES:
        raise ConfigError(
            f"{key}: {given} is of no store that is known. Allowed: a path of this machine, gs://BUCKET/..., s3://BUCKET/..."
        )
    package, extra = PACKAGES[scheme]
    if find_spec(package) is None:
        raise ConfigError(f"{key}: {given} needs the package {package}, which is not installed: pip install 'jaxlm[{extra}]'")
    if not rest.strip("/") or rest.startswith("/"):
        raise ConfigError(f"{key}: {given} names no bucket. Allowed: {scheme}://BUCKET/...")
    if found := re.search(r"[?#]", rest):
        raise ConfigError(
            f"{key}: {given} has a {found[0]!r}, which the libraries that write there read as the end; name it otherwise"
        )
    return _epath(f"{scheme}://{rest.strip('/')}")


def is_remote(path: PurePath) -> bool:
    """Whether a path is of an object store."""
    return not isinstance(path, Path)


def absolute(path: Path) -> Path:
    return path if is_remote(path) else path.absolute()


def resolved(path: Path) -> Path:
    """Absolute, and without links, which object stores have none of."""
    return path if is_remote(path) else path.resolve()


def is_file(path: Path) -> bool:
    """Whether it is there and no folder. In an object store that is one question, and not two as by the path's own methods: folders
    come and go there with what is in them."""
    if not is_remote(path):
        return path.exists() and not path.is_dir()
    found = _info(path)
    return found is not None and found["type"] == "file"


def size_of(path: Path) -> int | None:
    """Bytes of a file; None: there is none. Raises OSError."""
    if is_remote(path):
        found = _info(path)
        return None if found is None else int(found["size"])
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return None


def _info(path: Path) -> dict[str, Any] | None:
    """What an object store says of a path; None: nothing is there."""
    files, name = store_of(path)
    with suppress(FileNotFoundError), cloud_errors():
        return cast(dict[str, Any], files.info(name))
    return None


def read_whole(path: Path) -> bytes:
    """What a file holds at this moment: of an object store by one request, as opening it and reading then fails where it was
    written anew in between. Raises OSError."""
    if not is_remote(path):
        return path.read_bytes()
    files, name = store_of(path)
    with cloud_errors():
        return files.cat_file(name)


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file, which appears whole or not at all, and its folder. Raises OSError."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    if is_remote(path):
        with cloud_errors():
            path.write_bytes(data)  # an object is there when all of it is
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_name(f".{path.name}.new")
    whole.write_bytes(data)
    whole.replace(path)


def upload(folder: Path, path: Path, last: str) -> None:
    """Copies a folder of this machine to an object store; the file named `last`, which vouches for the others, after them. Raises
    OSError."""
    files, target = store_of(path)
    here = sorted(file for file in folder.rglob("*") if file.is_file() and file != folder / last)
    with cloud_errors():
        for file in [*here, folder / last]:
            files.put_file(str(file), f"{target}/{file.relative_to(folder).as_posix()}")


def fetched(path: Path, kept: Path, advice: str) -> Path:
    """A file of this machine with the content of `path`: itself, or for one of an object store `kept`, downloaded where it is not
    there yet. Raises RunError with the advice where it cannot be."""
    if not is_remote(path):
        return path
    if not kept.is_file():
        files, name = store_of(path)
        with writing(kept, advice), cloud_errors():
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=kept.parent) as folder:  # several processes may be at it
                files.get_file(name, f"{folder}/part")
                os.replace(f"{folder}/part", kept)
    return kept


def cache_root() -> Path:
    """Where tokenizers and token stores are kept: `$JAXLM_CACHE`, which may be in an object store, else `~/.cache/jaxlm`."""
    return to_path(os.environ.get("JAXLM_CACHE") or "~/.cache/jaxlm", "JAXLM_CACHE")


def machine_root() -> Path:
    """Where this machine keeps what is its own: `$JAXLM_CACHE` if that is a folder of this machine, else `~/.cache/jaxlm`."""
    root = cache_root()
    return Path("~/.cache/jaxlm").expanduser() if is_remote(root) else root


def on_this_machine(path: Path) -> Path:
    """The path itself, or for one of an object store the folder of this machine where what becomes of it is made."""
    return machine_root() / "remote" / str(path).replace("://", "/") if is_remote(path) else path


def store_of(path: PurePath) -> tuple[Any, str]:
    """(fsspec's filesystem, the path's name there): asked for anew in each process, since none lives through a fork."""
    from fsspec.core import url_to_fs

    return url_to_fs(str(path))


def require_readable(path: Path, key: str) -> None:
    """Raises ConfigError where an object store does not let us look at the path; folders of this machine say so when used."""
    if not is_remote(path):
        return
    files, name = store_of(path)
    try:
        with cloud_errors():
            try:
                files.ls(name, refresh=True)
            except FileNotFoundError:  # nothing is there yet, which is well where the bucket is
                files.ls(name.partition("/")[0], refresh=True)
    except OSError as error:
        raise _refused(path, key, "read", error) from error


def require_writable(path: Path, key: str) -> None:
    """Raises ConfigError where an object store takes no file below the path."""
    if not is_remote(path):
        return
    probe = path / f".probe-{os.urandom(4).hex()}"
    try:
        write_whole(probe, "jaxlm asks whether it may write here")
        with cloud_errors():
            probe.unlink()
    except OSError as error:
        raise _refused(path, key, "written", error) from error


@contextmanager
def cloud_errors() -> Iterator[None]:
    """What the clouds' libraries raise of their own (no credentials, no network) becomes an OSError, as files raise."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        theirs = type(error).__module__.partition(".")[0] in ("aiohttp", "aiobotocore", "botocore", "gcsfs", "google", "requests")
        no_address = isinstance(error, ValueError) and "endpoint" in str(error)  # AWS_ENDPOINT_URL without its http://
        if not theirs and not no_address:
            raise
        raise OSError(str(error) or type(error).__name__) from error


def _refused(path: Path, key: str, done: str, error: OSError) -> ConfigError:
    scheme = str(path).partition("://")[0]
    reason = str(error.strerror or error).strip().rstrip(".") or type(error).__name__
    return ConfigError(
        f"{key}: {path} cannot be {done}: {reason}. Give a bucket that exists and that this machine's credentials may read and "
        f"write, found {HOW[scheme]}; or a folder of this machine"
    )


def _epath(url: str) -> Path:
    import fsspec.config

    os.environ.setdefault("EPATH_USE_TF", "false")  # one way to the stores, also where TensorFlow is installed
    for scheme in ("gs", "gcs", "s3"):  # another process may write there at any time: a listing that is kept tells of the past
        fsspec.config.conf.setdefault(scheme, {}).setdefault("use_listings_cache", False)
    from etils import epath

    return cast(Path, epath.Path(url))
