"""Which content a module has: what each worker, and a job that is resumed, must find again."""

from __future__ import annotations

from hubplug.errors import DigestMismatch, MissingError
from hubplug.files.listing import file_sha256, is_hidden
from hubplug.files.lock_file import tree_digest
from hubplug.types import FileRecord, LocalModule


def content_of(module: LocalModule) -> str:
    """The digest that ``hubplug lock`` writes down, without hidden files: as recorded when the module was fetched, else of what is there.

    Raises:
        MissingError: A file of it cannot be read.
    """
    records = module.provenance.files if module.provenance else ()
    if not records:
        try:
            records = tuple(
                FileRecord(path.relative_to(module.path).as_posix(), path.stat().st_size, file_sha256(path.resolve()))
                for path in module.path.rglob("*")
                if path.is_file()
            )
        except OSError as error:
            raise MissingError(f"{module.path} cannot be read: {error.strerror}") from error
    return tree_digest(record for record in records if not is_hidden(record.path))


def demand_content(module: LocalModule, expected: str) -> None:
    """
    Raises:
        DigestMismatch: A module is not what it was when the pipeline was made.
    """
    got = content_of(module)
    if got != expected:
        raise DigestMismatch(
            f"{module.handle.original} is not what it was when the pipeline was made: expected the tree with sha256 {expected}, "
            f"got {got}; it is not used",
            hint="start again, and publish what changes as another version",
        )
