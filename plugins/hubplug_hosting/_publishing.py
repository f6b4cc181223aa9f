"""``hubplug publish``: a module that keeps what it says, in a place where nothing was before."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hubplug.errors import ConfigError, ExportError, HubplugError, OccupiedError, OfflineError, ValidationError
from hubplug.exporting import find_place
from hubplug.files.durable import sync_directory
from hubplug.files.signatures import SIGNATURE_NAME, SigningKey, SignsModules
from hubplug.files.space import reason_of
from hubplug.files.unfinished import delete_abandoned, unfinished_directory
from hubplug.hub import Hub
from hubplug.types import Handle
from hubplug.urls import scheme_of
from hubplug_hosting._archive_bytes import gzip_stored, tar_bytes
from hubplug_hosting._members import ListedMember, list_members, opened_directory, read_member
from hubplug_hosting._packing import check_module, write_archive
from hubplug_hosting._tree import suffix_in, suffixes_of

ALWAYS = ("complete", "safe")
_SUFFIX = "partial"
_MOST_SAID = 3


@dataclass(frozen=True)
class PublishedModule:
    """Where a module is now.

    Attributes:
        place: The archive, or the URL of the tree.
        size: Of the archive in bytes.
        sha256: Of the archive that a server sends for it.
        is_archive: Whether it lies there as an archive, so that a handle of it can be pinned.
    """

    place: str
    size: int
    sha256: str
    is_archive: bool


def publish_module(
    hub: Hub, source: str, place: str, profiles: Iterable[str] = (), key: SigningKey | None = None
) -> PublishedModule:
    """Checks a module, packs it, and puts it into a place where nothing is; whole or not at all.

    Args:
        hub: Resolves and validates, and knows who publishes to URLs.
        source: The module's directory, or another handle.
        place: ``models/publisher/model/2`` in a tree that is served, or a URL that a plugin publishes to.
        profiles: What it has to keep besides ``complete`` and ``safe``: the common signature that it declares.
        key: With what it is signed; None: not at all.

    Raises:
        ConfigError: No plugin of the chain signs modules; the key cannot be used.
        ValidationError: It does not keep one of them.
        OccupiedError: That version is there already.
        ExportError: The place cannot be written, or is not one for a module.
        HubplugError: The module cannot be resolved or read; no plugin publishes to the URL.
    """
    directory = hub.resolve(source).path
    check_module(directory, hub)
    if key is None:
        _demand(hub, directory, source, profiles)
        return _put(hub, directory, place)
    signing = next((plugin for _, plugin in hub.instances(SignsModules)), None)  # type: ignore[type-abstract]
    if signing is None:
        raise ConfigError(
            "No plugin of the chain signs modules",
            hint="add signing to the chain in hubplug.yaml: `hubplug plugins` lists it",
        )
    find_place(hub.chain, place)
    # A copy, so that what is checked, what is signed and what is published are the same bytes.
    with tempfile.TemporaryDirectory(prefix="hubplug-") as folder:
        copy = Path(folder, "module")
        copy.mkdir()
        try:
            with opened_directory(os.fspath(directory)) as descriptor:
                _copy(descriptor, _signable(list_members(descriptor, str(directory))), directory, copy)
        except OSError as error:
            raise ExportError(f"{directory} cannot be copied to be signed: {reason_of(error, copy)}") from error
        try:
            _demand(hub, copy, source, profiles)
            signing.sign_module(copy, key, offline=hub.config.offline)
            return _put(hub, copy, place)
        except HubplugError as error:  # the copy is gone when it is read
            error.message = error.message.replace(str(copy), source)
            error.args = (error.message,)
            raise


def _put(hub: Hub, directory: Path, place: str) -> PublishedModule:
    found, answers = find_place(hub.chain, place)
    with opened_directory(os.fspath(directory)) as descriptor:
        members = list_members(descriptor, str(directory))
        if not scheme_of(found):
            return _into_tree(hub, descriptor, members, directory, Path(found))
        publisher, handle = answers[-1], Handle.parse(found)
        if publisher.value.network and hub.config.offline:
            raise OfflineError(
                f"Nothing can be published to {handle}, since hubplug is offline: it would have to {publisher.value.what}",
                hint="publish into a local tree, and bring it there later",
            )
        failures: list[BaseException] = []

        def produce(dest: Path) -> None:
            try:
                _copy(descriptor, members, directory, dest)
            except BaseException as error:
                failures.append(error)
                raise

        size, sha256 = _digest(descriptor, members, directory)
        publisher.run(produce, not_its_own=failures)
    return PublishedModule(found, size, sha256, is_archive=False)


def _signable(members: Sequence[ListedMember]) -> list[ListedMember]:
    """Without empty directories, which no signature covers, and a signature that was there before."""
    files = [member.name for member in members if member.size is not None and member.name != SIGNATURE_NAME]
    needed = {*files, *(parent.as_posix() for name in files for parent in PurePosixPath(name).parents)}
    return [member for member in members if member.name in needed]


def _demand(hub: Hub, directory: Path, source: str, profiles: Iterable[str]) -> None:
    asked = list(dict.fromkeys([*ALWAYS, *profiles]))
    errors = [finding for finding in hub.validate(str(directory), asked) if finding.level == "error"]
    if not errors:
        return
    said = "; ".join(f"{finding.rule}: {finding.message}" for finding in errors[:_MOST_SAID])
    said = said.replace(str(directory), source)  # which may be a copy of it
    more = f" (and {len(errors) - _MOST_SAID} more)" if len(errors) > _MOST_SAID else ""
    is_unsafe = all(finding.rule.startswith("safe/") for finding in errors)
    raise ValidationError(
        f"{source} was not published: {said}{more}",
        findings=errors,
        hint="mend it, or allow the ops with plugins.signatures.options.allow_ops in hubplug.yaml"
        if is_unsafe
        else f"`hubplug validate {source}` lists everything",
    )


def _into_tree(
    hub: Hub, descriptor: int, members: Sequence[ListedMember], source: Path, place: Path
) -> PublishedModule:
    suffixes = suffixes_of(hub)
    suffix = suffix_in(place.name, suffixes)
    if suffix and suffix != ".tar.gz":
        raise ExportError(f"{place} would not be what it is called", hint="published archives are .tar.gz files")
    stem = place.name.removesuffix(suffix)
    target = (place.parent / f"{stem}.tar.gz").absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.resolve() in target.resolve().parents:
            raise ExportError(f"{target} lies inside the module {source}", hint="choose a place outside")
        _refuse_taken(target.parent, stem, suffixes)
        with suppress(OSError):
            delete_abandoned(target.parent, _SUFFIX)
        # Begins with a dot, so that no server lists it.
        with unfinished_directory(target.parent, f".{stem[:20]}", _SUFFIX, 0o700) as folder:
            packed = write_archive(descriptor, list(members), folder / "module.tar.gz", str(source))
            _link(packed.path, target)
        sync_directory(target.parent)
    except FileExistsError as error:
        raise OccupiedError(f"{target} exists already; nothing was written", hint="publish the next version") from error
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {reason_of(error, target)}") from error
    return PublishedModule(str(target), packed.size, packed.sha256, is_archive=True)


def _refuse_taken(parent: Path, stem: str, suffixes: Sequence[str]) -> None:
    taken = next((name for name in (stem, *(stem + s for s in suffixes)) if os.path.lexists(parent / name)), "")
    if not taken:
        return
    at = parent / taken
    versions = [
        name for path in (at.iterdir() if at.is_dir() else ()) if (name := path.name.partition(".")[0]).isdecimal()
    ]
    if versions and taken == stem:
        newest = max(map(int, versions))
        raise OccupiedError(
            f"{at} is a model with versions, the newest of which is {newest}; nothing was written",
            hint=f"publish {at / str(newest + 1)}",
        )
    following = f": {parent / str(int(stem) + 1)}" if stem.isdecimal() else ""
    raise OccupiedError(f"{at} exists already; nothing was written", hint=f"publish the next version{following}")


def _link(made: Path, target: Path) -> None:
    """Gives a file its name, which nothing else may have; of two who do it at once, one fails."""
    try:
        os.link(made, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(target):
            raise FileExistsError(target) from None
        made.rename(target)


def _copy(descriptor: int, members: Sequence[ListedMember], source: Path, dest: Path) -> None:
    for member in members:
        path = dest / member.name
        if member.size is None:
            path.mkdir()
        else:
            with path.open("xb") as file:
                for piece in read_member(descriptor, member, str(source)):
                    file.write(piece)


def _digest(descriptor: int, members: Sequence[ListedMember], source: Path) -> tuple[int, str]:
    """Size and digest of the archive that a server makes of these files."""
    digest, size = hashlib.sha256(), 0
    for piece in gzip_stored(tar_bytes(members, lambda member: read_member(descriptor, member, str(source)))):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()
