"""The page about a module that was saved from its server: where it came from, its signatures, its files, what its publisher says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hubplug.shown.words import printable

_README = "README.md"
_LONGEST_README = 256 << 10


def page_of(name: str, recorded: Mapping[str, Any], module: Path) -> str:
    """The page as Markdown.

    Args:
        name: ``publisher/model/1``.
        recorded: What is known of the module.
        module: Its directory, which may hold documentation.
    """
    return "\n".join(_lines(name, recorded, module)) + "\n"


def _lines(name: str, recorded: Mapping[str, Any], module: Path) -> Iterator[str]:
    yield from (f"# {_text(name)}", "")
    yield from (f"Saved from {_code(recorded['handle'])} on {recorded['mirrored'][:10]} by {recorded['made_by']}.", "")
    yield from ("| | |", "|---|---|")
    for label, value in (
        ("downloaded from", recorded["location"]),
        ("sha256 of the archive there", recorded["source_archive_sha256"]),
        ("sha256 of the archive here", recorded["archive"]["sha256"]),
        ("bytes of the archive here", f"{recorded['archive']['size']:,}"),
    ):
        if value:
            yield f"| {label} | {_code(value)} |"
    for variant in recorded["description"].get("variants", ()):
        tags = ", ".join(map(str, variant["tags"]))
        yield from ("", f"## Signatures{f' of the graph variant {_text(tags)}' if tags else ''}", "")
        yield from ("| signature | | name | dtype | shape |", "|---|---|---|---|---|")
        for signature, sides in variant["signatures"].items():
            for side in ("inputs", "outputs"):
                for key, info in sides[side].items():
                    cells = map(_code, (key, info["dtype"], info["shape"]))
                    yield f"| {_code(signature)} | {side[:-1]} | {' | '.join(cells)} |"
    if recorded["files"]:
        yield from ("", "## Files", "", "| file | bytes | sha256 |", "|---|---|---|")
        for file in recorded["files"]:
            yield f"| {_code(file['path'])} | {file['size']:,} | {_code(file['sha256'])} |"
    if (module / _README).is_file():
        with open(module / _README, encoding="utf-8", errors="replace") as stream:
            yield from ("", "## From its publisher", "", stream.read(_LONGEST_README))


def _code(value: object) -> str:
    """A value as code in a cell of a table; what it holds cannot end either."""
    return f"`{_text(value)}`"


def _text(value: object) -> str:
    return printable(str(value)).replace("`", "'").replace("|", "\\|")
