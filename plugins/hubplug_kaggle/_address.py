"""How Kaggle names a model: owner, model, framework, variation, version."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

from hubplug.errors import HandleError
from hubplug.types import Handle

_NAME = re.compile(r"(?!\.+$)[A-Za-z0-9._-]{1,100}")
_VERSION = re.compile("[1-9][0-9]{0,8}")
_LATEST = "latest"
_FORM = "kaggle://owner/model/framework/variation/version, where the version may be left out"


@dataclass(frozen=True)
class Address:
    """A model instance, as Kaggle calls it, and a version of it.

    Attributes:
        owner: A user or an organization.
        model: The model.
        framework: ``tensorFlow1`` for modules in TF1 Hub format, ``tensorFlow2``, ...
        variation: Of the model.
        version: A number from 1; None: the latest.
    """

    owner: str
    model: str
    framework: str
    variation: str
    version: int | None = None

    @classmethod
    def of_handle(cls, handle: Handle) -> Address:
        """Reads a handle.

        Raises:
            HandleError: It is not of the form of Kaggle's handles.
        """
        path, question, _ = handle.text.partition("://")[2].partition("?")
        address = cls.of_parts(path.rstrip("/").split("/"))
        if address is None or question:
            raise HandleError(f"{str(handle)!r} is not a handle of Kaggle", hint=f"write {_FORM}")
        return address

    @classmethod
    def of_parts(cls, parts: list[str]) -> Address | None:
        """Reads the parts of a path; None where they are not an address."""
        if len(parts) == 5 and parts[4] == _LATEST:
            parts = parts[:4]
        names, version = parts[:4], parts[4:]
        if (
            len(parts) not in (4, 5)
            or not all(map(_NAME.fullmatch, names))
            or not all(map(_VERSION.fullmatch, version))
        ):
            return None
        return cls(names[0], names[1], names[2], names[3], int(version[0]) if version else None)

    @classmethod
    def of_page(cls, url: str) -> Address | None:
        """Reads the URL of a page of kaggle.com, old and new style; None where that is not about one instance."""
        parts = unquote(urlsplit(url).path).strip("/").split("/")
        if parts[:1] != ["models"]:
            return None
        parts = parts[1:]
        if parts[2::2] == ["frameworks", "variations", "versions"][: len(parts[2::2])]:
            parts = [*parts[:2], *parts[3::2]]
        return cls.of_parts(parts)

    @classmethod
    def in_api(cls, url: str) -> Address | None:
        """The instance that a URL of the API is about; None where it is not about one."""
        _, marker, rest = urlsplit(url).path.partition("/api/v1/models/")
        return cls.of_parts(rest.split("/")[:4]) if marker else None

    @property
    def path(self) -> str:
        """Without the version."""
        return f"{self.owner}/{self.model}/{self.framework}/{self.variation}"

    def at(self, version: int) -> Address:
        return replace(self, version=version)

    def __str__(self) -> str:
        return f"kaggle://{self.path}" + ("" if self.version is None else f"/{self.version}")
