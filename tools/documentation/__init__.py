"""What the pages of the documentation take from the code: a line ``<!-- generated: NAME -->`` stands for it.

``expand`` is used by the site (``site_hook.py``) and by the tests, so that what is generated is tested as what is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tools.documentation.api import names_of_hubplug, names_of_package
from tools.documentation.changes import changelog
from tools.documentation.commands import all_commands
from tools.documentation.errors import all_errors
from tools.documentation.hooks import all_hooks
from tools.documentation.options import all_options
from tools.documentation.rules import all_rules

ROOT = Path(__file__).resolve().parents[2]

GENERATORS: dict[str, Callable[..., str]] = {
    "api": names_of_hubplug,
    "changelog": changelog,
    "commands": all_commands,
    "errors": all_errors,
    "file": lambda path: (ROOT / path).read_text(encoding="utf-8"),
    "hooks": all_hooks,
    "options": all_options,
    "package": names_of_package,
    "rules": all_rules,
}
_MARK = re.compile(r"^<!-- generated: (?P<name>[a-z]+)(?P<arguments>(?: \S+)*) -->$", re.MULTILINE)


def expand(text: str) -> str:
    """A page with what the code says in the place of each mark.

    Raises:
        KeyError: A mark names no generator.
    """
    return _MARK.sub(lambda mark: GENERATORS[mark["name"]](*mark["arguments"].split()).rstrip("\n"), text)
