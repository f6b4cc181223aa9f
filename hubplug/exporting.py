"""How a module comes to the place that it is exported to.

A local directory is put there by the core, with one rename. For any other place the chain is asked who publishes there;
the answer is there before anything is written, so that no one loses an hour to a module that cannot be published.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import hubplug
from hubplug.chain import Answer, Chain, member_of, mistake_of
from hubplug.errors import ExportError, HubplugError, OccupiedError, OfflineError
from hubplug.files import staging
from hubplug.files.space import reason_of
from hubplug.spec import ExportRequest
from hubplug.trail import on_the_trail, refuse_loop
from hubplug.types import Handle, Plan
from hubplug.urls import scheme_of


def export(chain: Chain, request: ExportRequest, *, offline: bool) -> None:
    """Writes a module and puts it in its place; see ``Hub.export``."""
    if not isinstance(request.path, (str, bytes, os.PathLike)):
        raise TypeError(f"A module is exported to a path or a URL, got {type(request.path).__name__}: {request.path!r}")
    writer = chain.ask_or_raise("hubplug_export", f"a {type(request.spec).__name__} for export", request)
    # Not Answer.run: what the session raises (an uninitialized variable, ...) is the caller's to see as it is.
    put(chain, os.fsdecode(request.path), lambda dest: _write(writer, dest), writer.value.names, offline=offline)


def put(
    chain: Chain, path: str, write: Callable[[Path], None], names: Collection[str] | None = None, *, offline: bool
) -> None:
    """Has a directory written, and puts it in its place; see ``Hub.put``."""
    place, answers = find_place(chain, path)
    if not scheme_of(place):
        with staging.publish(place, ExportError, OccupiedError, names) as dest:
            write(dest)
        return
    publisher = answers[-1]
    handle = Handle.parse(place)
    if publisher.value.network and offline:
        raise OfflineError(
            f"Nothing can be exported to {handle}, since hubplug is offline: it would have to {publisher.value.what}",
            hint="export to a local directory, and bring it there later",
        )
    failures: list[BaseException] = []
    produced = False

    def produce(dest: Path) -> None:
        nonlocal produced
        produced = True
        try:
            write(dest)
        except BaseException as error:
            failures.append(_as_export_error(error, handle))
            if failures[-1] is error:
                raise
            raise failures[-1] from error

    publisher.run(produce, not_its_own=failures)
    if not produced:
        raise mistake_of(member_of(publisher), f"published {handle} without having had the module written")


def _write(writer: Answer, dest: Path) -> None:
    writer.value.run(dest)
    if not any(dest.iterdir()):
        raise mistake_of(member_of(writer), "exported a module, and wrote nothing")


def find_place(chain: Chain, path: str) -> tuple[str, Sequence[Answer]]:
    """Asks ``hubplug_publish`` until a plugin has a plan, or a local path is named.

    Args:
        chain: Whom to ask.
        path: Where a module is to be exported to; a local path is taken as it is, and no plugin is asked.

    Returns:
        The local path or the URL in the end, and the answers; the last one of a URL is a plan.

    Raises:
        NobodyAnswered: No plugin publishes there.
        ExportError: The URL has a fragment.
        HandleError: It cannot be a URL.
    """
    answers: list[Answer] = []
    if not scheme_of(path):
        return path, answers
    handle = Handle.parse(path)
    if "#" in path:
        raise ExportError(
            f"{handle} is not a place for a module: it was given with a fragment (#), which only pins what is fetched",
            hint="give the URL without it",
        )
    trail = [handle.text]
    while scheme_of(handle.text):
        answer = chain.ask_or_raise("hubplug_publish", f"{str(handle)!r} as a place to export to", handle)
        answers.append(answer)
        if isinstance(answer.value, Plan):
            break
        handle = on_the_trail(answer.value, handle)
        refuse_loop(trail, handle.text)
    return handle.text, answers


def tensorflow_error(error: OccupiedError) -> OccupiedError:
    """The error as old programs catch it where TensorFlow is imported: a ``tf.errors.AlreadyExistsError`` as well."""
    if "tensorflow" not in sys.modules:
        return error
    kind: type[OccupiedError] = hubplug.ExportExistsError
    return error if isinstance(error, kind) else kind(error.message, hint=error.hint)


def _as_export_error(error: BaseException, handle: Handle) -> BaseException:
    if isinstance(error, OSError) and not isinstance(error, HubplugError):
        return ExportError(
            f"The module for {handle} cannot be written to a temporary directory: "
            f"{reason_of(error, Path(tempfile.gettempdir()))}",
            hint="make room there, or set TMPDIR to a directory that has it",
        )
    return error
