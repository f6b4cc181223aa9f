"""Saves modules of other servers as a tree that can be served: the archive, what is known of it, and a page, for each.

The archive comes last, so where it is, the other two are; a run that was killed is taken up where it ended. What is there is
never replaced. The archive is packed anew from the files, byte for byte the same wherever that is done; the digest of the one that
the server sent is recorded beside it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from hubplug.errors import ConfigError, ExportError, HubplugError, OccupiedError
from hubplug.files.durable import sync_directory
from hubplug.files.space import reason_of
from hubplug.files.unfinished import delete_abandoned, unfinished_directory
from hubplug.hub import Hub
from hubplug.types import Handle, LocalModule
from hubplug.urls import scheme_of
from hubplug_hosting._catalogue import BadPath, components_of
from hubplug_hosting._mirror_page import page_of
from hubplug_hosting._packing import pack_module
from hubplug_hosting._tree import ARCHIVE_SUFFIXES, suffix_in

PROVENANCE_SUFFIX = ".provenance.json"
_PAGE_SUFFIX = ".md"
_ARCHIVE_SUFFIX = ".tar.gz"
_UNFINISHED = "partial"
_FORMAT = 1
_DEEPEST = 8
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}


@dataclass(frozen=True)
class Mirrored:
    """What became of one handle.

    Attributes:
        handle: As it may be shown.
        state: Whether its module was saved now, was there already, or could not be had.
        path: Its archive below the root; None if it has none.
        sha256: Of that archive.
        error: Why it could not be had.
        hint: What to do about that.
    """

    handle: str
    state: Literal["saved", "there", "failed"]
    path: str | None = None
    sha256: str | None = None
    error: str | None = None
    hint: str | None = None


def mirror(hub: Hub, handles: Iterable[str], root: Path, jobs: int) -> Iterator[Mirrored]:
    """Saves modules, some of them at once, and tells of each in the order of the handles; one that fails ends nothing."""
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="mirror")
    try:
        futures: list[Future[Mirrored]] = [
            pool.submit(_try_to_mirror, hub, handle, root) for handle in dict.fromkeys(handles)
        ]
        for future in futures:
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def place_of(handle: Handle) -> tuple[str, ...]:
    """The name of a module below the root, from the path of its URL: ``("publisher", "model", "1")``.

    Raises:
        ConfigError: It is a local path, or its URL names no place that a server could have it at.
    """
    if scheme_of(handle.text).lower() in ("", "file"):
        raise ConfigError(f"{handle} is on this machine already", hint="make its archive with `hubplug pack`")
    try:
        components = components_of(urlsplit(handle.text).path)
    except BadPath as error:
        raise ConfigError(f"{handle} cannot be a place in a tree of modules: {error}") from error
    if not components or len(components) > _DEEPEST:
        raise ConfigError(
            f"{handle} cannot be a place in a tree of modules: it has {len(components)} names in its path"
        )
    *above, last = components
    suffix = suffix_in(last, ARCHIVE_SUFFIXES) if last not in ARCHIVE_SUFFIXES else ""
    return (*above, last.removesuffix(suffix))


def _try_to_mirror(hub: Hub, text: str, root: Path) -> Mirrored:
    shown = text
    try:
        handle = Handle.parse(text)
        shown = str(handle)
        _tidy(root.joinpath(*place_of(handle)).parent)
        if (there := _find(root, place_of(handle), handle)) is not None:
            return there
        return hub.use_spec(handle, lambda spec: _save(spec.describe(), hub.resolve(handle), root))
    except HubplugError as error:
        return Mirrored(shown, "failed", error=error.message, hint=error.hint)
    except OSError as error:
        return Mirrored(shown, "failed", error=f"Cannot write below {root}: {reason_of(error, root)}")


def _tidy(folder: Path) -> None:
    """Deletes what a run that was killed left unfinished in a folder."""
    with suppress(FileNotFoundError):
        delete_abandoned(folder, _UNFINISHED)


def _save(description: dict[str, Any], module: LocalModule, root: Path) -> Mirrored:
    handle = module.handle.original
    # Of a handle that means the latest of something, the one that was named for it.
    named = next((one for one in module.handle.trail if one.answered), handle)
    place = place_of(named)
    if (there := _find(root, place, named)) is not None:
        return there
    *above, name = place
    folder = root.joinpath(*above)
    folder.mkdir(parents=True, exist_ok=True)
    with unfinished_directory(folder, f".{name[:20]}", _UNFINISHED, 0o700) as staging:
        packed = pack_module(module.path, staging / f"module{_ARCHIVE_SUFFIX}")
        recorded = _record(description, module, named, packed.sha256, packed.size)
        _write(staging / "provenance", json.dumps(recorded, indent=2, ensure_ascii=False) + "\n")
        _write(staging / "page", page_of("/".join(place), recorded, module.path))
        _put(staging / "provenance", folder / f"{name}{PROVENANCE_SUFFIX}")
        _put(staging / "page", folder / f"{name}{_PAGE_SUFFIX}")
        _put(packed.path, folder / f"{name}{_ARCHIVE_SUFFIX}")
        sync_directory(folder)
    return Mirrored(str(handle), "saved", f"{'/'.join(place)}{_ARCHIVE_SUFFIX}", packed.sha256)


def _find(root: Path, place: tuple[str, ...], handle: Handle) -> Mirrored | None:
    """What is known of a place where this handle was mirrored before; makes room where that was not finished.

    Raises:
        OccupiedError: Something else is there.
    """
    *above, name = place
    folder = root.joinpath(*above)
    archive, provenance = folder / f"{name}{_ARCHIVE_SUFFIX}", folder / f"{name}{PROVENANCE_SUFFIX}"
    page = folder / f"{name}{_PAGE_SUFFIX}"
    taken = next((one for one in (archive, folder / name, provenance, page) if os.path.lexists(one)), None)
    if taken is None:
        return None
    recorded = _read(provenance)
    if recorded.get("handle_sha256") != _sha256(handle) or taken == folder / name:
        raise OccupiedError(
            f"{taken} is there already, and was not made from {handle}",
            hint="mirror into another directory: nothing is replaced",
        )
    if not os.path.lexists(archive):  # the run that wrote it was killed
        for rest in (page, provenance):
            rest.unlink(missing_ok=True)
        return None
    kept = recorded.get("archive", {})
    if not archive.is_file() or archive.stat().st_size != kept.get("size"):
        raise OccupiedError(
            f"{archive} has {archive.stat().st_size:,} bytes, and {provenance.name} says {kept.get('size')}",
            hint="it was changed: remove it, and run this again",
        )
    return Mirrored(str(handle), "there", f"{'/'.join(place)}{_ARCHIVE_SUFFIX}", kept.get("sha256"))


def _record(description: dict[str, Any], module: LocalModule, handle: Handle, sha256: str, size: int) -> dict[str, Any]:
    came = module.provenance
    try:
        made_by = version("hubplug")
    except PackageNotFoundError:
        made_by = "unknown"
    return {
        "format": _FORMAT,
        "handle": str(handle),
        "handle_sha256": _sha256(handle),
        "location": came.location if came else None,
        "source_archive_sha256": came.archive_sha256 if came else None,
        "archive": {"sha256": sha256, "size": size},
        "mirrored": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "made_by": f"hubplug {made_by}",
        "files": [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in came.files] if came else [],
        "description": description,
    }


def _sha256(handle: Handle) -> str:
    return hashlib.sha256(handle.text.encode("utf-8", "surrogateescape")).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _write(path: Path, text: str) -> None:
    with open(path, "x", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _put(source: Path, target: Path) -> None:
    """Gives a finished file its name, if nothing has it.

    Raises:
        OccupiedError: Something has it.
    """
    try:
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINKS or os.path.lexists(target):
                raise
            source.rename(target)
    except FileExistsError as error:
        raise OccupiedError(f"{target} came into being meanwhile", hint="run this again") from error
    except OSError as error:
        raise ExportError(f"{target} cannot be put in its place: {reason_of(error, target)}") from error
