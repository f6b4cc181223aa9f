"""What is at a local path, and what to say when it is not a module."""

from __future__ import annotations

import difflib
import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hubplug.errors import FetchError, FormatError, HandleError, MissingError
from hubplug.urls import redact

_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP}
_TILDE = "~ is not expanded in a handle: write the absolute path"
_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt", "tfhub_module.pb")
_OTHER_MODELS = {
    ".tflite": "a TensorFlow Lite model",
    ".h5": "an HDF5 file, perhaps a Keras model",
    ".keras": "a Keras model",
    ".onnx": "an ONNX model",
    ".pb": "a protocol buffer, perhaps a frozen graph",
    ".ckpt": "a checkpoint",
    ".index": "the index of a checkpoint",
}


def path_of_url(url: str) -> str:
    """The path of a ``file://`` URL: as written if that exists (tensorflow_hub does not decode it), else decoded.

    Raises:
        HandleError: It names another machine.
    """
    path = path_as_written(url)
    return path if os.path.exists(path) else unquote(path)


def path_as_written(url: str) -> str:
    """The path of a ``file://`` URL, not decoded, as TensorFlow reads and writes it.

    Raises:
        HandleError: It names another machine.
    """
    rest = url.partition("://")[2]
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost") or not slash:
        raise HandleError(
            f"{redact(url)} names the machine {urlsplit(url).hostname or ''!r}; only this one's files can be used",
            hint="a file:// URL has three slashes before an absolute path: file:///models/m",
        )
    return f"/{path}"


def is_directory(path: str) -> bool:
    """Whether a directory is there; False for a file that may be an archive.

    Raises:
        MissingError: Nothing is there.
        FormatError: It is certainly neither a directory nor an archive.
        FetchError: The system does not say.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        code = error.errno if isinstance(error, OSError) else errno.EINVAL
        if code in _ABSENT:
            raise MissingError(
                _one_line(
                    f"{redact(path)} does not exist. There is no such directory or archive: {redact(_absolute(path))}"
                ),
                hint=_hint(path),
            ) from None
        raise FetchError(_one_line(f"Cannot look at {_absolute(path)}: {os.strerror(code or 0)}")) from error
    if stat.S_ISDIR(mode):
        return True
    if not stat.S_ISREG(mode):
        raise FormatError(f"{_absolute(path)} is neither a directory nor a file")
    parent, name = os.path.split(path)
    if name in _MODEL_FILES:
        raise FormatError(
            f"{path} is one file of a module, not the module", hint=f"give its directory: {parent or os.curdir}"
        )
    if kind := _OTHER_MODELS.get(os.path.splitext(name)[1].lower()):
        raise FormatError(
            f"{path} is {kind}, not a module",
            hint="a module is a directory with tfhub_module.pb and saved_model.pb, or an archive (.tar.gz) of one",
        )
    return False


def archive_key(path: str) -> str:
    """What the cache files a local archive under: a changed file is another module."""
    return key_of(path, os.stat(path))


def key_of(path: str, status: os.stat_result) -> str:
    """The key of an archive whose status is known already."""
    return f"{os.path.realpath(path)} size={status.st_size} mtime_ns={status.st_mtime_ns}"


def _one_line(message: str) -> str:
    return message if message.isprintable() else message.encode("unicode_escape").decode("ascii")


def _absolute(path: str) -> str:
    """As a person would write it, with the links in it."""
    return os.path.join(_working_directory(), path)


def _working_directory() -> str:
    """Empty where it has been deleted."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def _hint(path: str) -> str:
    if path.startswith("~"):
        return f"~ is not expanded in a handle: write {Path.home()}{path[1:]}" if path[1:2] in ("", "/") else _TILDE
    with suppress(OSError):
        return f"it is a link to {Path(path).readlink()}, which is not there"
    near = _nearest(path)
    if near is not None:
        return f"did you mean {near}?"
    first = path.partition("/")[0]
    if path.startswith(("http:/", "https:/", "gs:/", "s3:/", "file:")):
        return "a URL has two slashes after the colon: https://..."
    if "." in first.strip(".") and "/" in path:
        return f"if it is a URL, write https://{path}"
    if not os.path.isabs(path):
        return f"a relative path starts at the working directory, {_working_directory() or 'which is gone'}"
    return "check the path; a module is a directory, or an archive (.tar.gz) of one"


def _nearest(path: str) -> str | None:
    """What the user may have meant: the first component that is missing, misspelt, or with another suffix."""
    head, missing = path.rstrip("/"), ""
    while head and not os.path.isdir(head or os.curdir):
        head, name = os.path.split(head)
        missing = os.path.join(name, missing) if missing else name
        if head == os.sep:
            break
    wrong, _, rest = missing.partition("/")
    try:
        names = os.listdir(head or os.curdir)
    except OSError:
        return None
    stems = {name: name for name in names} | {name.split(".")[0]: name for name in names if ".t" in name}
    for match in difflib.get_close_matches(wrong, stems, n=3, cutoff=0.75):
        near = os.path.join(head, stems[match], rest) if rest else os.path.join(head, stems[match])
        if os.path.exists(near):
            return near
    return None
