"""Which fsspec file system serves a location, and what it says about an object."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fsspec
from fsspec.registry import known_implementations, registry

from hubplug.errors import FetchError, HandleError
from hubplug.urls import redact, scheme_of
from hubplug_fsspec._patience import patient_kind, with_bounds

# Different stores, different names for what changes when an object is replaced.
_VERSION_KEYS = ("generation", "etag", "ETag", "VersionId", "md5Hash", "content_md5", "LastModified", "mtime")
_SHA256 = re.compile("[0-9a-f]{64}")
_VERSION_KEYS_OF_TIME = ("modificationTime", "last_modified", "created")


@dataclass(frozen=True)
class StoredObject:
    """An object of a store, as a listing describes it.

    Attributes:
        path: Its name in the file system, without the scheme.
        size: In bytes, or None where the store does not say.
        version: Differs between two contents of one name as far as the store tells them apart.
        etag: The store's entity tag, or None.
        sha256: Hexadecimal digest of the content, where the store says it, as Hugging Face does of files in git LFS; or None.
    """

    path: str
    size: int | None
    version: tuple[str, ...]
    etag: str | None
    sha256: str | None = None

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> StoredObject:
        """Reads what ``info`` or ``ls`` of a file system says."""
        size = info.get("size")
        etag = info.get("etag") or info.get("ETag")
        version = tuple(str(info[key]) for key in (*_VERSION_KEYS, *_VERSION_KEYS_OF_TIME) if info.get(key))
        return cls(
            str(info["name"]),
            None if size is None else _bytes_of(size, info),
            version,
            str(etag) if etag else None,
            _sha256_of(info.get("lfs")),
        )


def _sha256_of(lfs: Any) -> str | None:
    """The digest in what huggingface_hub says of git LFS, an object or a mapping as its version has it."""
    said = lfs.get("sha256") if isinstance(lfs, Mapping) else getattr(lfs, "sha256", None)
    return said.lower() if isinstance(said, str) and _SHA256.fullmatch(said.lower()) else None


def _bytes_of(size: Any, info: Mapping[str, Any]) -> int:
    try:
        number = int(size)
    except (ValueError, TypeError, OverflowError):
        number = -1
    if not 0 <= number < 1 << 63:
        raise FetchError(
            f"{str(info['name'])!r}: its store gives it a size that is not a number of bytes",
            hint="ask whoever runs the store",
        )
    return number


def open_filesystem(location: str, storage_options: Mapping[str, Any]) -> tuple[Any, str]:
    """The file system of a location, and the path in it.

    Raises:
        HandleError: The location chains several file systems.
        FetchError: The package of the protocol is not installed, or fsspec does not know the protocol.
    """
    if "::" in location:
        # fsspec would read "gs://bucket/x::file:///etc/passwd" as a request for the local file.
        raise HandleError(
            f"{redact(location)!r} chains file systems with '::', which hubplug does not follow",
            hint="give the location of the module itself",
        )
    scheme = scheme_of(location)
    if not any(scheme in known for known in (registry, known_implementations, fsspec.available_protocols())):
        raise FetchError(
            f"fsspec {fsspec.__version__} does not know the protocol {scheme!r}, which {redact(location)} needs"
        )
    try:
        kind = patient_kind(fsspec.get_filesystem_class(scheme))
    except ImportError as error:
        raise FetchError(
            f"{redact(location)} needs a package that is not installed", hint=_how_to_get(scheme)
        ) from error
    filesystem = kind(**{**kind._get_kwargs_from_urls(location), **with_bounds(kind, storage_options)})
    # gcsfs logs each failed request with a traceback; without a handler Python would print it beside our error.
    logger = logging.getLogger(type(filesystem).__module__.partition(".")[0])
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    filesystem.invalidate_cache()
    return filesystem, str(kind._strip_protocol(location))


def _how_to_get(scheme: str) -> str:
    known = known_implementations.get(scheme, {})
    package = str(known.get("class", scheme)).partition(".")[0]
    if package == "gcsfs":
        return "pip install 'hubplug[gcs]'"
    if package == "huggingface_hub":
        return "pip install 'hubplug[hf]'"
    if package != "fsspec":
        return f"pip install {package}"
    said = str(known.get("err", f"install the fsspec implementation of {scheme}://"))
    return said[:1].lower() + said[1:]
