"""hubplug's own code under ``hubplug run --tf1``: no name that it takes from ``tensorflow`` has another meaning there."""

from __future__ import annotations

import ast
from functools import reduce
from pathlib import Path
from types import ModuleType

import pytest
import tensorflow as tf

ROOT = Path(__file__).resolve().parents[3]


def dotted(node: ast.expr) -> str | None:
    """``tf.io.gfile`` of such an expression; None for another one."""
    if isinstance(node, ast.Name):
        return node.id
    inner = dotted(node.value) if isinstance(node, ast.Attribute) else None
    return f"{inner}.{node.attr}" if inner and isinstance(node, ast.Attribute) else None


def names_taken() -> dict[str, str]:
    """What hubplug's modules take from ``tensorflow`` itself and is mapped there, with the module that does."""
    taken = {}
    for path in [*(ROOT / "hubplug").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Attribute)
                and (name := dotted(node))
                and name.split(".")[0] in ("tf", "tensorflow")
            ):
                taken[name] = path.name
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tensorflow":
                taken.update({f"{node.module}.{alias.name}": path.name for alias in node.names})
    return {name: path for name, path in taken.items() if name.split(".")[1] not in ("compat", "core", "python")}


def meaning(top: object, name: str) -> object:
    return reduce(lambda value, part: getattr(value, part, None), name.split(".")[1:], top)


@pytest.mark.parametrize("name", sorted(names_taken()))
def test_a_name_means_the_same_there(name: str) -> None:
    one, two = meaning(tf.compat.v1, name), meaning(tf, name)
    # Only names of `tensorflow` itself are taken from TensorFlow 2 where TensorFlow 1 has none.
    outer = name.rpartition(".")[0]
    assert one is not None or "." not in outer or meaning(tf.compat.v1, outer) is None, (
        f"{names_taken()[name]}: say tf.compat.v2"
    )
    assert one == two or one is None or isinstance(two, ModuleType), f"{names_taken()[name]}: say tf.compat.v2"
