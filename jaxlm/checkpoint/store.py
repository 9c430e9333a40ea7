"""Orbax checkpoints of a state: asynchronous, atomic, restored onto any mesh."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.checkpoint.s3 import teach_orbax_s3
from jaxlm.core import RunError
from jaxlm.core.paths import absolute, is_remote
from jaxlm.core.trees import leaf_names, shape_difference

PARAMS, STATE, META = "params", "state", "meta"
"""What a checkpoint holds: the parameters, all else of the state, and plain JSON; each can be read alone."""


class CheckpointStore:
    """The checkpoints of one run, a folder a step under `folder`. Close it: an unfinished save is lost otherwise."""

    def __init__(self, folder: Path, config: CheckpointConfig, *, read_only: bool = False):
        """Args:
        read_only: another process may be saving there: clean nothing up.
        """
        from orbax.checkpoint import v1 as ocp

        logging.getLogger("absl").setLevel(logging.CRITICAL)  # else some 60 lines a save, and 1,000 where it fails: `wait` raises
        _silence_late_callbacks()
        self.folder = folder
        context = ocp.Context()
        if is_remote(folder):
            teach_orbax_s3()
            context.atomicity.mode = ocp.options.AtomicityMode.COMMIT_FILE  # a rename there is a copy of each object
        else:
            folder.mkdir(parents=True, exist_ok=True)
        self._ocp = ocp
        self._checkpointer = ocp.training.Checkpointer(
            absolute(folder),
            context=context,
            preservation_policy=_keep(ocp.training.preservation_policies, config),
            cleanup_tmp_directories=not read_only,
        )
        self._saving: Any = None
        self._failed = False

    @property
    def latest(self) -> int | None:
        """The newest step that is completely saved; None: none is."""
        self.wait()
        checkpoint = self._checkpointer.latest
        return None if checkpoint is None else checkpoint.step

    def save(self, step: int, state: Any, meta: dict[str, Any], metrics: dict[str, float] | None = None) -> None:
        """Starts a save and returns once the arrays may change; waits for the save before it.

        Args:
          meta: plain JSON.
          metrics: what keep-best goes by; None: this checkpoint is never the best.
        """
        self.wait()
        items = {**_items(state), META: meta}
        try:
            self._saving = self._checkpointer.save_checkpointables_async(step, items, metrics=metrics, force=True)
        except OSError as error:  # it makes its folders at once
            raise self._unsaved(error) from error

    def wait(self) -> None:
        """Until the last save is complete.

        Raises:
          RunError: it failed, as on a full disk; the checkpoints before it stand.
        """
        if self._saving is None:
            return
        saving, self._saving = self._saving, None
        try:
            saving.result()
        except Exception as error:
            raise self._unsaved(error) from error

    def _unsaved(self, error: Exception) -> RunError:
        self._failed = True
        logging.getLogger("asyncio").addFilter(_is_news)
        return RunError(
            f"checkpoint in {self.folder} could not be saved: {_reason(error)}. The checkpoints before it stand; free some "
            "room or mend the folder, and run the same command again"
        )

    def restore(self, abstract: Any, step: int | None = None) -> tuple[Any, dict[str, Any]]:
        """(state, meta) of a step (None: the newest), laid out as the abstract leaves say.

        Raises:
          RunError: there is none, it is damaged, or its shapes are not these.
        """
        loaded = self._load(step, {**_items(abstract), META: None})
        return type(abstract)(params=loaded[PARAMS], **loaded[STATE]), loaded[META]

    def restore_params(self, abstract: Any, step: int | None = None) -> Any:
        """The parameters of a step (None: the newest) alone. Raises RunError as `restore` does."""
        return self._load(step, {PARAMS: abstract})[PARAMS]

    def meta(self, step: int | None = None) -> dict[str, Any]:
        """The meta of a step (None: the newest) alone. Raises RunError as `restore` does."""
        return self._load(step, {META: None})[META]

    def require_params(self, abstract: Any, step: int | None = None) -> None:
        """Raises RunError where the parameters of a step (None: the newest) have other names or shapes than these; reads none."""
        step = self._newest() if step is None else step
        try:
            with _quiet_where_it_fails():
                stored = self._checkpointer.checkpointables_metadata(step).metadata.get(PARAMS)
        except Exception as error:
            raise self._damaged(step, error) from error
        if not leaf_names(stored):  # so Orbax tells of a file that it cannot read; loading has the reason
            return
        if found := shape_difference(stored, abstract):
            name, old, new = found
            raise RunError(
                f"checkpoint {self.folder / str(step)} is of another model: parameter {name} is {old} there and {new} by "
                "config and tokenizer. Bring back the config.json and tokenizer/ that it was saved with"
            )

    def _load(self, step: int | None, items: dict[str, Any]) -> dict[str, Any]:
        step = self._newest() if step is None else step
        if PARAMS in items:
            self.require_params(items[PARAMS], step)
        try:
            with _quiet_where_it_fails():
                return self._checkpointer.load_checkpointables(step, items)
        except Exception as error:
            raise self._damaged(step, error) from error

    def _newest(self) -> int:
        latest = self.latest
        if latest is None:
            raise RunError(f"{self.folder} holds no checkpoint; train the run first, or name another")
        return latest

    def _damaged(self, step: int, error: Exception) -> RunError:
        return RunError(
            f"checkpoint {self.folder / str(step)} could not be restored: {_reason(error)}. If it is damaged, remove that "
            "folder and run again from the one before"
        )

    def close(self) -> None:
        """Waits for the last save. Raises RunError as `wait` does."""
        try:
            self.wait()
        finally:
            try:
                self._checkpointer.close()
            except Exception:
                if not self._failed:  # Orbax raises the error of a failed save once more, and `wait` has said it
                    raise


@cache
def _silence_late_callbacks() -> None:
    """Where a save or a reading fails, TensorStore's threads call back into an event loop that is closed, and print a
    traceback each, also after our message."""
    show = sys.unraisablehook

    def show_others(unraisable: Any) -> None:
        if not (unraisable.exc_type is RuntimeError and str(unraisable.exc_value) == "Event loop is closed"):
            show(unraisable)

    sys.unraisablehook = show_others


@contextmanager
def _quiet_where_it_fails() -> Iterator[None]:
    """Around a reading: where one array of many fails, Orbax leaves the others under way, and they complain for pages, also
    after our message. So all is as before only where the reading went well."""
    log = logging.getLogger("asyncio")
    level, filters = log.level, list(warnings.filters)
    log.setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", r"coroutine '.*' was never awaited", RuntimeWarning)
    yield
    log.setLevel(level)
    warnings.filters[:] = filters  # type: ignore[index]


def _items(state: Any) -> dict[str, Any]:
    rest = state._asdict()
    return {PARAMS: rest.pop("params"), STATE: rest}


def _keep(policies: Any, config: CheckpointConfig) -> Any:
    kept = [policies.LatestN(config.keep)]
    if config.keep_best:
        kept.append(
            policies.BestN(
                get_metric_fn=lambda metrics: metrics["eval/loss"],
                reverse=True,
                n=config.keep_best,
                keep_checkpoints_without_metrics=False,
            )
        )
    if config.keep_every:
        kept.append(policies.EveryNSteps(config.keep_every))
    return policies.AnyPreservationPolicy(kept)


def _is_news(record: logging.LogRecord) -> bool:
    """Orbax writes many files at once and asks for the first failure; asyncio tells of each other one when it is thrown away."""
    return "exception was never retrieved" not in record.getMessage()


def _reason(error: BaseException) -> str:
    """The first line of what is at the bottom of an Orbax error, shortened in the middle; what a look-up did not find says
    nothing to a user."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    words = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, LookupError | StopIteration):
        return "a part of it is missing or broken"
    if len(words) > 300:  # TensorStore names the files on its way first, and at the end the cause
        words = f"{words[:100]} ... {words[-195:]}"
    return words
