"""Makes the archive of a module: the same bytes on every machine, whole or not at all."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from hubplug.errors import ExportError, FormatError
from hubplug.files.space import reason_of
from hubplug.files.staging import replace_file
from hubplug.hub import Hub
from hubplug.in_effect import current_hub
from hubplug.types import Handle, LocalModule
from hubplug.urls import redact, scheme_of
from hubplug_format import MODULE_DEF_FILE, SAVED_MODEL_FILE, SAVED_MODEL_TEXT_FILE, check_complete, names_in
from hubplug_hosting._archive_bytes import gzip_deflated, gzip_stored, tar_bytes
from hubplug_hosting._members import ListedMember, list_members, opened_directory, read_member

_OTHER_FORMATS = frozenset({".zip", ".bz2", ".xz", ".zst", ".7z"})


@dataclass(frozen=True)
class PackedModule:
    """An archive of a module.

    Attributes:
        path: Where it is.
        size: In bytes.
        sha256: Hexadecimal digest of the whole archive; ``#sha256=<this>`` after a handle pins it.
        files: How many files are in it.
        content_size: Bytes of those files together.
    """

    path: Path
    size: int
    sha256: str
    files: int
    content_size: int


def pack_module(
    directory: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    force: bool = False,
    compress: bool = False,
    hub: Hub | None = None,
) -> PackedModule:
    """Writes a module directory as a ``.tar.gz`` whose root is the root of the module.

    Args:
        directory: A module in TF1 Hub format, another SavedModel, or what a plugin of the chain reads. What a cache put there is left out.
        out: The archive.
        force: Whether an existing file is replaced.
        compress: Whether to deflate. The archive gets smaller, and its bytes then depend on the zlib that made it.
        hub: Whose chain says what a module is; None: the Hub in effect.

    Raises:
        FormatError: The directory is not a complete module.
        ExportError: ``out`` exists, has the suffix of another format, or cannot be written; the module holds a link or another odd file, or changes.
    """
    if scheme_of(os.fspath(out)):
        raise ExportError(
            f"{redact(os.fspath(out))} is not a local path", hint="pack to a local file and copy it there"
        )
    source, target = Path(directory), Path(out)
    if target.suffix.lower() in _OTHER_FORMATS:
        raise ExportError(
            f"{target} would be a gzipped tar archive under the name of something else",
            hint=f"name it {target.stem.removesuffix('.tar')}.tar.gz",
        )
    if target.is_dir():
        raise ExportError(f"{target} is a directory", hint=f"name a file in it: {target / 'model.tar.gz'}")
    if not force and os.path.lexists(target):
        raise ExportError(f"{target} exists already", hint="choose another name, or replace it with --force")
    if not target.parent.is_dir():
        raise ExportError(f"There is no directory {target.parent} to write {target.name} into", hint="make it first")
    check_module(source, hub)
    if source.resolve() in target.resolve().parents:
        raise ExportError(f"{target} lies inside the module {source}", hint="choose a place outside")
    try:
        with opened_directory(os.fspath(source)) as descriptor:
            return write_archive(
                descriptor, list_members(descriptor, str(source)), target, str(source), compress=compress
            )
    except OSError as error:
        where = error.filename or target
        raise ExportError(f"Cannot pack {source} as {target}: {where}: {reason_of(error, target)}") from error


def check_module(directory: Path, hub: Hub | None = None) -> None:
    """Says what a directory is when it is not a complete module.

    Args:
        directory: A SavedModel has to be complete, another format has to be read by a plugin of the chain.
        hub: Whose chain; None: the Hub in effect.

    Raises:
        FormatError: It is none.
    """
    if not directory.is_dir():
        what = "is a file, not a module directory" if directory.exists() else "does not exist"
        raise FormatError(f"{directory} {what}", hint="give the directory that holds saved_model.pb")
    if not any(os.path.lexists(directory / name) for name in (SAVED_MODEL_FILE, SAVED_MODEL_TEXT_FILE)):
        if reads_format(hub or current_hub(), directory):
            return
        below = sorted(path.parent for path in directory.glob(f"*/{SAVED_MODEL_FILE}"))
        raise FormatError(
            f"{directory} is not a module: it has no {SAVED_MODEL_FILE} (it holds {names_in(directory)})",
            hint=f"did you mean {below[0]}?" if below else "export a module there first, with Module.export",
        )
    if problems := check_complete(directory):
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        raise FormatError(
            f"{directory} is not a complete module: {problems[0]}{more}", hint="export the module again, then pack it"
        )


def reads_format(hub: Hub, directory: Path) -> bool:
    """Whether a plugin of the chain reads the format of a directory.

    Raises:
        HubplugError: It does, and the directory is damaged.
    """
    module = LocalModule(directory, Handle.parse(os.fspath(directory)))
    return hub.chain.ask("hubplug_load_format", module).member is not None


def kind_of(names: set[str]) -> str:
    """What a complete module is, from the names in its directory."""
    return "TF1 Hub module" if MODULE_DEF_FILE in names else "SavedModel"


def write_archive(
    descriptor: int, members: list[ListedMember], target: Path, shown: str, *, compress: bool = False
) -> PackedModule:
    """Writes the listed members of an open directory to ``target``, by way of a temporary file beside it.

    Raises:
        ExportError: A member changed while it was read.
        OSError: The system could not read or write.
    """
    tar = tar_bytes(members, lambda member: read_member(descriptor, member, shown))
    digest = hashlib.sha256()
    size = 0
    with replace_file(target) as file:
        for piece in gzip_deflated(tar) if compress else gzip_stored(tar):
            digest.update(piece)
            size += len(piece)
            file.write(piece)
    sizes = [member.size for member in members if member.size is not None]
    return PackedModule(target, size, digest.hexdigest(), len(sizes), sum(sizes))
