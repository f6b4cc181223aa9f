"""Which directory the cache is in, and whether it can be trusted.

A directory that the user chose is used as it is. The default one lies under the system's temporary directory, where
anyone can make it first: it must be ours alone, or a per-user directory takes its place.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hubplug.errors import CacheError
from hubplug.files.space import nearest_existing
from hubplug.shown.logs import logger
from hubplug.urls import redact, scheme_of
from hubplug_cache._trouble import cache_error, ownership, user_name, who_asks

DEFAULT_NAME = "tfhub_modules"
_LOG = logger("hubplug.cache")
_CHOOSE = "set TFHUB_CACHE_DIR, or the option dir of the cache in hubplug.yaml, to a directory of your own"


@dataclass(frozen=True)
class Root:
    """A cache directory.

    Attributes:
        path: Absolute.
        chosen: Whether the user chose it, so that it is used as it is.
    """

    path: Path
    chosen: bool

    @property
    def trusted_owners(self) -> frozenset[int] | None:
        """Who may own an entry; None: anyone, as in a cache that a team shares."""
        return None if self.chosen or not hasattr(os, "geteuid") else frozenset({0, os.geteuid()})

    def prepare(self) -> None:
        """Makes the directory, so that only this user may write there if it is not a chosen one.

        Raises:
            CacheError: It cannot be made or used.
        """
        try:
            if self.chosen:
                self.path.mkdir(parents=True, exist_ok=True)
            else:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.mkdir(mode=0o700, exist_ok=True)
        except FileExistsError as error:
            raise cache_error(
                "use as a cache", self.path, NotADirectoryError(errno.ENOTDIR, "Not a directory")
            ) from error
        except OSError as error:
            raise cache_error("make the cache directory", self.path, error) from error
        if not self.chosen and (fault := find_ownership_fault(self.path)):
            raise CacheError(f"The cache directory {self.path} cannot be trusted: {fault}", hint=_CHOOSE)


def choose_root(dir: str | None) -> Root:
    """Decides which directory is the cache; makes nothing.

    Args:
        dir: A local path that the user chose, or None for the default.

    Raises:
        CacheError: The choice is not a local directory, or neither default can be trusted.
    """
    if dir:
        return Root(_local_path(dir), chosen=True)
    default = Path(tempfile.gettempdir()) / DEFAULT_NAME
    fault = find_ownership_fault(default)
    if fault is None:
        return Root(default, chosen=False)
    import platformdirs

    own = Path(platformdirs.user_cache_dir("hubplug", appauthor=False)) / "modules"
    if own_fault := find_ownership_fault(own):
        raise CacheError(
            f"Neither default cache directory can be trusted: {default}: {fault}; {own}: {own_fault}", hint=_CHOOSE
        )
    _LOG.warning(
        "The default cache directory %s cannot be trusted: %s. Using %s instead; %s to choose another",
        default,
        fault,
        own,
        "set TFHUB_CACHE_DIR",
    )
    return Root(own, chosen=False)


def find_ownership_fault(path: Path) -> str | None:
    """Why others could put modules into a directory, or None. One that is not there yet is fine if its place is."""
    if not hasattr(os, "geteuid"):
        return None
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return _find_parent_fault(nearest_existing(path.parent))
    except OSError as error:
        return f"it cannot be looked at ({error.strerror})"
    if stat.S_ISLNK(status.st_mode):
        return "it is a symbolic link"
    if not stat.S_ISDIR(status.st_mode):
        return "it is not a directory"
    if status.st_uid != os.geteuid():
        return f"it is {ownership(path)}; {who_asks()}"
    if status.st_mode & 0o022:
        return f"others may write there: it is {ownership(path)}"
    return _find_parent_fault(path.parent)


def _find_parent_fault(parent: Path) -> str | None:
    """Why others could replace what is in a directory, or None."""
    try:
        status = os.stat(parent)
    except OSError as error:
        return f"{parent} cannot be looked at ({error.strerror})"
    if status.st_uid not in (0, os.geteuid()):
        return f"its parent {parent} belongs to {user_name(status.st_uid)}"
    if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
        return f"others may replace it: its parent {parent} is {ownership(parent)}"
    return None


def _local_path(dir: str) -> Path:
    scheme = scheme_of(dir)
    if scheme == "file":
        dir = dir[len("file://") :]
    elif scheme:
        raise CacheError(
            f"A cache on {scheme}:// is not supported ({redact(dir)}): filling it safely needs local renames",
            hint="set TFHUB_CACHE_DIR, or the option dir of the cache, to a local directory; modules on "
            f"{scheme}:// can still be resolved",
        )
    try:
        return Path(os.path.abspath(Path(dir).expanduser()))
    except RuntimeError:
        raise CacheError(
            f"The cache directory {dir} cannot be found: no user here has that home directory",
            hint="set TFHUB_CACHE_DIR, or the option dir of the cache, to another directory",
        ) from None
