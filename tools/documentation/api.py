"""The pages of the API: where mkdocstrings finds each public name. The sources are read, and nothing is imported."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def names_of_hubplug(*wanted: str) -> str:
    """A block for each of these names of hubplug, shown as programs write them."""
    return "\n".join(_block(home_of("hubplug", name), f"hubplug.{name}") for name in wanted)


def names_of_package(package: str) -> str:
    """A block for every public name of a package."""
    return "\n".join(_block(home_of(package, name), f"{package}.{name}") for name in public_names(package))


def public_names(package: str) -> list[str]:
    """What the package lists in ``__all__``, or imports for type checkers."""
    for statement in _tree(package).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            try:
                return sorted(ast.literal_eval(statement.value))
            except ValueError:  # computed
                break
    return sorted(_imported(package))


def home_of(package: str, name: str) -> str:
    """The path of a name in the file that defines it."""
    home = _imported(package).get(name)
    return f"{package}.{name}" if home is None else home_of(home, name)


@cache
def _imported(module: str) -> dict[str, str]:
    """The names that a module imports from others of ours, or gives on demand, and where each comes from."""
    found: dict[str, str] = {}
    if module == "hubplug":
        from hubplug import _HOMES

        found.update(_HOMES)
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("hubplug"):
            found.update({alias.asname or alias.name: node.module for alias in node.names})
    return found


@cache
def _tree(module: str) -> ast.Module:
    for base in (_ROOT, _ROOT / "plugins"):
        path = base.joinpath(*module.split("."))
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                return ast.parse(file.read_text(encoding="utf-8"))
    raise FileNotFoundError(module)


def _block(path: str, shown: str) -> str:
    return f"::: {path}\n    options:\n      heading: {shown}\n      toc_label: {shown.rpartition('.')[2]}\n"
