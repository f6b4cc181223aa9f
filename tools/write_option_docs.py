"""Writes the tables of options in docs/configuration.md from the constructors of the built-in plugins."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hubplug.settings.config import DEFAULT
from hubplug.settings.options import option_parameters
from hubplug.settings.plugins import installed_plugins, load_entry_point
from hubplug.settings.shapes import Shape

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
BEGIN = "<!-- Written by tools/write_option_docs.py from the plugins' constructors. -->\n"
END = "<!-- /options -->\n"


def main(arguments: list[str]) -> int:
    """Writes or, with ``--check``, only compares; the exit status."""
    old = PAGE.read_text(encoding="utf-8")
    new = page(old)
    if "--check" not in arguments:
        PAGE.write_text(new, encoding="utf-8")
    elif old != new:
        sys.stderr.write(f"{PAGE} is not what the constructors say: run python tools/write_option_docs.py\n")
        return 1
    return 0


def page(old: str) -> str:
    """The page with its tables as they have to be."""
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    installed = installed_plugins()
    tables = [table(name, load_entry_point(installed[name][0])) for name in DEFAULT["chain"]]
    return before + begin + "\n" + "\n".join(tables) + "\n" + end + after


def table(name: str, kind: type[Any]) -> str:
    """The options of one plugin."""
    parameters, hints = option_parameters(kind)
    summary = (inspect.getdoc(kind) or "").partition("\n")[0].replace("``", "`")
    if not parameters:
        return f"**`{name}`** has none. {summary}\n"
    meaning = descriptions(kind)
    rows = [
        f"| `{option}` | {Shape.of(hints.get(option, Any)).in_words()} | {_default(parameter.default)} | {meaning[option]} |"
        for option, parameter in parameters.items()
    ]
    head = ["| option | value | default | |", "|---|---|---|---|"]
    return "\n".join([f"**`{name}`**: {summary}", "", *head, *rows, ""])


def descriptions(kind: type[Any]) -> Mapping[str, str]:
    """What the docstring of the class, or of its constructor, says of each option: its first paragraph.

    Raises:
        ValueError: It says nothing of one.
    """
    text = f"{inspect.getdoc(kind) or ''}\n\n{inspect.getdoc(kind.__init__) or ''}"
    found = {}
    for option in option_parameters(kind)[0]:
        match = re.search(rf"^    {option}: (.*(?:\n {{8}}\S.*)*)", text, flags=re.MULTILINE)
        if match is None:
            raise ValueError(f"{kind.__name__} does not say what its option {option!r} is")
        found[option] = " ".join(match[1].split()).replace("``", "`").replace("|", "\\|")
    return found


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    if value is None:
        return "none"
    return f"`{json.dumps(list(value) if isinstance(value, (tuple, set, frozenset)) else value)}`"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
