"""Uploads a module so that a partial one is never taken for a whole one: the files that make it a module come last.

Every file is written on condition that nothing has that name, where the store can do so: of two who export to one place
at once, none writes over the other. Elsewhere only a look just before protects. A file that is there already may be this
export's own, when a reply was lost. What cannot be finished is deleted again, and only what this export brought.
"""

from __future__ import annotations

import inspect
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

from fsspec.callbacks import Callback

from hubplug.errors import ExportError, OccupiedError
from hubplug.shown.logs import logger
from hubplug.shown.progress import Progress, progress
from hubplug_format import MODULE_DEF_FILE, SAVED_MODEL_FILE
from hubplug_fsspec._errors import (
    as_export_error,
    is_away,
    is_conflict,
    is_there_already,
    knows_no_conditions,
    says_what_is_there,
)
from hubplug_fsspec._marks import Mark
from hubplug_fsspec._place import Place

_LOG = logger(__name__)
_LAST = (SAVED_MODEL_FILE, MODULE_DEF_FILE)
_MOST_NAMES = 5
_MOST_SILENCES = 2
_CHUNK = 1 << 20
# Before what conflicted with another request for the same name is sent again: that may have been a request of our own.
_PAUSES = (0.2, 0.5, 1.0, 2.0)
_ANOTHER_PLACE = "choose another place, or remove what is there"


def publish(
    location: str,
    storage_options: Mapping[str, Any],
    produce: Callable[[Path], None],
    parallel: int,
    force_bar: bool,
) -> None:
    """Has a module written to a temporary directory, and uploads it.

    Args:
        location: A URL at which, and below which, there is no file yet.
        storage_options: What its file system is made with.
        produce: Writes the module into an empty local directory.
        parallel: Files that are uploaded at the same time.
        force_bar: Whether a progress bar is drawn although no one seems to be watching.

    Raises:
        OccupiedError: A file is there; nothing was written.
        ExportError: The store refuses, cannot be reached, or fails; what had been uploaded was deleted, or is named.
    """
    place = Place(location, storage_options, as_export_error)
    if not place.is_free():
        raise OccupiedError(f"{place.shown} exists already; nothing was written", hint=_ANOTHER_PLACE)
    with tempfile.TemporaryDirectory(prefix="hubplug-", ignore_cleanup_errors=True) as folder:
        module = Path(folder, "module")
        module.mkdir()
        produce(module)
        sizes = _sizes_in(module)
        if not sizes:
            raise ExportError(f"There is nothing to upload to {place.shown}: the module has no files")
        with progress(place.shown, sum(sizes.values()), force=force_bar) as bar:
            _Upload(place, module, sizes, parallel, bar).run()


class _Upload:
    """The files of one module on their way to one place."""

    def __init__(self, place: Place, module: Path, sizes: Mapping[str, int], parallel: int, bar: Progress) -> None:
        self._place = place
        self._module = module
        self._sizes = sizes
        self._parallel = parallel
        self._bar = bar
        self._stop = threading.Event()
        self._condition = _condition_of(place.filesystem)
        self._mark = Mark(place.filesystem)
        # Names of which an upload was begun, and which no one else is known to have written.
        self._begun: set[str] = set()
        self._done: set[str] = set()
        # Names under which the same bytes are, in a store that does not tell whose.
        self._doubtful: set[str] = set()

    def run(self) -> None:
        """Uploads every file, in the order that keeps a half module from being taken for a whole one.

        Raises:
            ExportError: It cannot be finished.
        """
        last = [name for name in _LAST if name in self._sizes]
        try:
            self._put_at_once([name for name in self._sizes if name not in last])
            for name in last[:-1]:
                self._put(name)
            self._check(without=last[-1:])
            for name in last[-1:]:
                self._put(name)
        except ExportError as error:
            raise type(error)(f"{error.message}; {self._take_back()}", hint=error.hint) from error.__cause__
        except BaseException:
            _LOG.warning("The export to %s was interrupted; %s", self._place.shown, self._take_back())
            raise

    def _put_at_once(self, names: Sequence[str]) -> None:
        # The largest first, so that no worker is left alone with it at the end.
        largest_first = sorted(names, key=lambda name: (-self._sizes[name], name))
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="hubplug") as workers:
            futures = [workers.submit(self._put, name) for name in largest_first]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            finally:
                self._stop.set()
                for future in futures:
                    future.cancel()
        self._stop.clear()

    def _put(self, name: str) -> None:
        with self._place.errors():
            try:
                self._put_file(name, self._condition)
            except Exception as error:
                if not (self._condition and knows_no_conditions(error)):
                    raise
                self._condition = {}
                self._put_file(name, {})

    def _put_file(self, name: str, condition: Mapping[str, Any]) -> None:
        remote = self._remote(name)
        # Stores that know no conditions ignore them, as do old releases of fsspec.
        self._place.filesystem.invalidate_cache()
        if name not in self._begun and self._place.filesystem.exists(remote):
            raise self._occupied(name)
        self._begun.add(name)
        try:
            self._send(name, remote, condition)
        except Exception as error:
            # The client repeats a request of which the reply was lost, and gets the answer to the retry.
            if not says_what_is_there(error):
                raise
            if not self._is_what_was_sent(name):
                if not is_there_already(error):
                    raise
                self._begun.discard(name)
                raise self._occupied(name) from None
        self._done.add(name)

    def _send(self, name: str, remote: str, condition: Mapping[str, Any]) -> None:
        for pause in (*_PAUSES, None):
            try:
                self._place.filesystem.put_file(
                    str(self._module / name),
                    remote,
                    callback=_Counter(self._bar, self._stop),
                    **self._mark.options,
                    **condition,
                )
                return
            except Exception as error:
                if pause is None or not is_conflict(error) or self._stop.wait(pause):
                    raise

    def _is_what_was_sent(self, name: str) -> bool:
        """Whether this export's own file is there, whole."""
        try:
            info, is_marked = self._look_at(name)
        except FileNotFoundError:
            return False
        if info.get("size") != self._sizes[name]:
            return False
        if is_marked is not None:
            return is_marked
        if is_the_same := self._has_the_same_bytes(name):
            self._begun.discard(name)
            self._doubtful.add(name)
        return is_the_same

    def _look_at(self, name: str) -> tuple[Mapping[str, Any], bool | None]:
        filesystem, remote = self._place.filesystem, self._remote(name)
        filesystem.invalidate_cache()
        info: Mapping[str, Any] = filesystem.info(remote)
        return info, self._mark.is_on(remote, info)

    def _has_the_same_bytes(self, name: str) -> bool:
        with open(self._module / name, "rb") as ours, self._place.filesystem.open(self._remote(name), "rb") as theirs:
            while (data := ours.read(_CHUNK)) == theirs.read(_CHUNK):
                if not data:
                    return True
        return False

    def _remote(self, name: str) -> str:
        return f"{self._place.root}/{name}"

    def _occupied(self, name: str) -> OccupiedError:
        return OccupiedError(
            f"{self._place.shown} is being written by someone else: {name} came to be there meanwhile",
            hint=_ANOTHER_PLACE,
        )

    def _check(self, without: Sequence[str]) -> None:
        """Compares what the store lists with what was sent, before the last file makes it a module."""
        found = {name: stored.size for name, stored in self._place.list(sys.maxsize).items()}
        sent = {name: size for name, size in self._sizes.items() if name not in without}
        if strange := sorted(found.keys() - sent.keys()):
            raise self._occupied(strange[0])
        for name, size in sent.items():
            if name not in found or found[name] not in (None, size):
                there = f"{found[name]:,} bytes are there" if name in found else "nothing is there"
                raise ExportError(f"{self._place.shown}: {size:,} bytes of {name} were sent, and {there}")

    def _take_back(self) -> str:
        """Deletes what was uploaded, the files that make it a module first, and says what is left."""
        filesystem, root = self._place.filesystem, self._place.root
        tried = sorted(self._begun, key=lambda name: (-_LAST.index(name) if name in _LAST else 1, name))
        silent = 0
        for name in tried:
            try:
                self._delete(name)
            except Exception as error:
                silent += is_away(error)
                if silent == _MOST_SILENCES:  # each costs seconds, and a module may have many files
                    return f"the store does not say what is left of {_names(sorted(self._begun | self._doubtful))}"
        for directory in sorted({os.path.dirname(name) for name in tried} - {""}, key=len, reverse=True):
            with suppress(Exception):  # a store of objects has none
                filesystem.rmdir(f"{root}/{directory}")
        try:
            there = set() if self._place.is_free() else self._place.list(sys.maxsize).keys()
        except ExportError:
            return f"the store does not say what is left of {_names(sorted(self._begun | self._doubtful))}"
        said = []
        if left := sorted(there & self._begun):
            said.append(f"what could not be deleted there: {_names(left)}")
        if left := sorted(there & self._doubtful):
            said.append(f"what may be someone else's and was left there: {_names(left)}")
        return "; ".join(said) or "nothing that was uploaded is left there"

    def _delete(self, name: str) -> None:
        # Whether an upload that failed left something there is not known, nor whose it is.
        if name not in self._done and self._look_at(name)[1] is False:
            self._begun.discard(name)
        else:
            self._place.filesystem.rm_file(self._remote(name))


class _Counter(Callback):  # type: ignore[misc]
    """Tells the progress bar of bytes that have been sent, and stops a transfer that is no longer wanted."""

    def __init__(self, bar: Progress, stop: threading.Event) -> None:
        super().__init__()
        self._bar = bar
        self._stop = stop

    def absolute_update(self, value: int) -> None:
        self.relative_update(value - self.value)

    def relative_update(self, inc: int = 1) -> None:
        self.value += inc
        self._bar.advance(inc)
        if self._stop.is_set():
            raise ExportError("the upload was given up")


def _condition_of(filesystem: Any) -> dict[str, Any]:
    """What makes a file system write only where nothing is; nothing for releases that cannot."""
    parameters = inspect.signature(filesystem.put_file).parameters
    return {"mode": "create"} if "mode" in parameters else {}


def _sizes_in(module: Path) -> dict[str, int]:
    """Every file of a module, by its name with ``/``, and its size in bytes."""
    paths = (Path(directory, name) for directory, _, names in os.walk(module) for name in names)
    return {path.relative_to(module).as_posix(): path.stat().st_size for path in paths}


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return f"{shown} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else shown
