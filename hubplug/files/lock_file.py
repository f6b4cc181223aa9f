"""The file hubplug.lock: what it may hold, and the digests in it.

It is JSON::

    {"version": 1, "modules": {"https://example.com/m/1": {"location": "...", "archive_sha256": "...", "tree_sha256": "..."}}}

A handle that would show a secret is listed by its redacted text and told apart by the sha256 of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hubplug.errors import ConfigError
from hubplug.types import FileRecord
from hubplug.urls import find_url_error, normal_form

# Some 400 for each module.
_MOST_BYTES = 4 << 20
_MOST_MODULES = 10_000


@dataclass(frozen=True)
class Pin:
    """What is known of a handle's content.

    Attributes:
        handle_sha256: Digest of the handle's whole text.
        location: Where it came from, redacted.
        archive_sha256: Digest of the archive; None for a tree of single files.
        tree_sha256: Digest of the files, see ``tree_digest``.
        answer: The handle that a plan of ``hubplug_resolve`` named, for one that means the latest; None where none was run.
    """

    handle_sha256: str
    location: str
    archive_sha256: str | None
    tree_sha256: str
    answer: str | None = None


def read_pins(path: Path) -> dict[str, Pin] | None:
    """The pins of a lock file; None where there is none."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return _parse(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} is not a lock file of version 1: {str(error)[:300]}",
            hint="write it anew with `hubplug lock HANDLE...`",
        ) from error


def _parse(content: bytes) -> dict[str, Pin]:
    from hubplug.files.strict_json import parse_json

    if len(content) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES} bytes")
    data: Any = parse_json(content)
    if data["version"] != 1:
        raise ValueError(f"its version is {str(data['version'])[:80]!r}")
    if len(data["modules"]) > _MOST_MODULES:
        raise ValueError(f"it lists more than {_MOST_MODULES} modules")
    modules = {handle: Pin(**pin) for handle, pin in data["modules"].items()}
    for handle, pin in modules.items():
        texts = (pin.handle_sha256, pin.location, pin.tree_sha256, pin.archive_sha256 or "", pin.answer or "")
        if not all(isinstance(text, str) for text in texts):
            raise TypeError(f"the pin of {handle[:80]!r} has a value that is not text")
    return dict(_respelled(handle, pin) for handle, pin in modules.items())


def pins_as_json(pins: Mapping[str, Pin]) -> str:
    """The content of the lock file; a pin without an answer is written as older versions write it."""
    import json

    modules = {
        handle: {name: value for name, value in vars(pin).items() if name != "answer" or value is not None}
        for handle, pin in sorted(pins.items())
    }
    return json.dumps({"version": 1, "modules": modules}, indent=2) + "\n"


def spelling(text: str) -> str:
    """The one spelling under which a handle is pinned, so that no other one gets around the pin."""
    return text if find_url_error(text) else normal_form(text)


def _respelled(name: str, pin: Pin) -> tuple[str, Pin]:
    """An entry as someone may have written it by hand, under the spelling that is looked up."""
    spelt = spelling(name)
    if spelt == name or pin.handle_sha256 != text_digest(name):
        return name, pin
    return spelt, replace(pin, handle_sha256=text_digest(spelt))


def text_digest(text: str) -> str:
    """Hexadecimal sha256 of a text, by which it is recognized without being stored."""
    from hashlib import sha256

    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def tree_digest(files: Iterable[FileRecord]) -> str:
    """Hexadecimal sha256 over the sorted lines ``<sha256>  <size>  <path>`` of every file."""
    from hashlib import sha256

    lines = sorted(f"{file.sha256}  {file.size}  {file.path}\n" for file in files)
    return sha256("".join(lines).encode("utf-8")).hexdigest()
