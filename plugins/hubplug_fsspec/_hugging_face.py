"""``hf://org/repo[/path][@revision]``: a repository of Hugging Face, at the commit that a branch or tag means at this moment.

Trees and files then come as from any store, through the ``HfFileSystem`` of huggingface_hub, at that commit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from hubplug.errors import AccessError, FetchError, HandleError, HubplugError, MissingDependencyError, MissingError
from hubplug.settings.config import environment_value
from hubplug.types import Handle
from hubplug_fsspec._errors import as_fetch_error

SCHEME = "hf"
_HUB = "https://huggingface.co"
_COMMIT = re.compile("[0-9a-f]{40}")
_NAME = re.compile(r"(?!\.+$)[A-Za-z0-9._-]{1,96}")
_FORM = "hf://org/repo, and if need be /path/in/the/repository and @revision after it"
_PATIENCE = 20.0


@dataclass(frozen=True)
class RepositoryPath:
    """A place in a repository.

    Attributes:
        repository: ``org/name``.
        path: In it; empty for all of it.
        revision: A branch, a tag or a commit; None: the main branch.
    """

    repository: str
    path: str = ""
    revision: str | None = None

    @classmethod
    def of_handle(cls, handle: Handle) -> RepositoryPath:
        """Reads a handle; the revision may stand at its end or, as Hugging Face writes it, after the repository.

        Raises:
            HandleError: It is not of that form.
        """
        text = handle.text.partition("://")[2].rstrip("/")
        organization, _, rest = text.partition("/")
        name, _, path = rest.partition("/")
        name, at, revision = name.partition("@")
        if not at:
            path, at, revision = path.rpartition("@") if "@" in path else (path, "", "")
        names = all(map(_NAME.fullmatch, (organization, name)))
        if not names or "?" in text or bool(at) != bool(revision) or ".." in (*path.split("/"), revision):
            raise HandleError(f"{str(handle)!r} is not a handle of Hugging Face", hint=f"write {_FORM}")
        return cls(f"{organization}/{name}", path.strip("/"), unquote(revision) if at else None)

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit, which always means the same."""
        return self.revision is not None and _COMMIT.fullmatch(self.revision) is not None

    def at(self, revision: str) -> RepositoryPath:
        return RepositoryPath(self.repository, self.path, revision)

    def __str__(self) -> str:
        revision = "" if self.revision is None else f"@{quote(self.revision, safe='')}"
        return f"{SCHEME}://{self.repository}{revision}" + (f"/{self.path}" if self.path else "")


def options_of(storage_options: Mapping[str, Any]) -> dict[str, Any]:
    """What the file system is made with; the endpoint as ``HF_ENDPOINT`` says now, and not when a library was imported."""
    endpoint = storage_options.get("endpoint") or environment_value("HF_ENDPOINT") or _HUB
    return {**storage_options, "endpoint": str(endpoint).rstrip("/")}


def commit_of(place: RepositoryPath, storage_options: Mapping[str, Any]) -> str:
    """The commit that a revision means at this moment.

    Raises:
        MissingDependencyError: huggingface_hub is not installed.
        AccessError: The repository is gated or private, and the token does not open it.
        MissingError: There is no such repository or revision.
        FetchError: The server cannot be reached, or is broken.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise MissingDependencyError(
            f"{place} needs the package huggingface_hub", hint="pip install 'hubplug[hf]'"
        ) from error
    options = options_of(storage_options)
    try:
        api = HfApi(endpoint=options["endpoint"], token=options.get("token"))
        commit = api.model_info(place.repository, revision=place.revision, timeout=_PATIENCE).sha
    except Exception as error:
        raise in_words(error, place, options) from None
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise FetchError(f"{place}: the server did not say which commit that is", hint="name a commit: @<40 digits>")
    return commit


def in_words(error: Exception, place: RepositoryPath, options: Mapping[str, Any]) -> HubplugError:
    """The error in the place of one of huggingface_hub."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    page = f"{options['endpoint']}/{place.repository}"
    if "GatedRepoError" in kinds:
        return AccessError(
            f"{place}: the repository is gated, and access was refused",
            hint=f"accept its conditions at {page}, and set HF_TOKEN to a token of your account",
        )
    if "RepositoryNotFoundError" in kinds:
        return MissingError(
            f"{place}: there is no such repository, or it is private",
            hint=f"look at {page}; for a private one, set HF_TOKEN to a token that may read it",
        )
    if "RevisionNotFoundError" in kinds:
        return MissingError(f"{place}: the repository has no such revision", hint=f"look at {page}/tree/main")
    return as_fetch_error(error, str(place), options)
