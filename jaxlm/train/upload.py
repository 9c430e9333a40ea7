"""Metrics of a run in an object store: written on this machine, uploaded now and then."""

import logging
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxlm.core.errors import writing
from jaxlm.core.paths import size_of, write_whole
from jaxlm.train.log import Log

log = logging.getLogger(__name__)
STANDS = "The checkpoints stand: run the same command again once the store can be reached"


class Upload(Log):
    """Copies the files of a folder of this machine to one of an object store, those that have grown: every `seconds`, from a
    thread of its own, so that no step waits; whenever they are to be kept; and when closed. An object cannot be appended to, so
    each time it is the whole file.

    Args:
      path: the folder in the object store.
      names: files that go on where they are there, downloaded first.
    """

    def __init__(self, path: Path, seconds: float, names: Sequence[str] = ()):
        self.folder = Path(tempfile.mkdtemp(prefix="jaxlm-metrics-"))
        """Of this machine."""
        self._path, self._seconds = path, seconds
        for name in names:
            if (path / name).is_file():
                (self.folder / name).write_bytes((path / name).read_bytes())
        self._sizes: dict[Path, int | None] = {}
        self._busy = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._now_and_then, name="jaxlm-upload", daemon=True)
        self._thread.start()

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Others write; this takes what they wrote."""

    def keep(self) -> None:
        """Raises RunError where the store takes nothing."""
        with writing(self._path, STANDS):
            self._upload()

    def close(self) -> None:
        """Raises RunError as `keep` does."""
        self._ended.set()
        self._thread.join()
        try:
            self.keep()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _now_and_then(self) -> None:
        while not self._ended.wait(self._seconds):
            try:
                self._upload()
            except OSError as error:
                log.warning("metrics could not be uploaded to %s (%s); trying again in %g s", self._path, error, self._seconds)

    def _upload(self) -> None:
        with self._busy:
            for file in sorted(self.folder.rglob("*")):
                if file.is_file() and self._sizes.get(file) != (size := size_of(file)):
                    write_whole(self._path / file.relative_to(self.folder).as_posix(), file.read_bytes())
                    self._sizes[file] = size
