"""Finds the examples of the documentation, and runs those of one file in order, as one program in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from hubplug_format import ModuleBuilder, Type, write_module

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

# What the text around a fragment takes for granted: names that are imported, and what is in the working directory.
PREAMBLES = {
    "README.md": "import tensorflow as tf\n",
    "hosting.md": "import hubplug, hubplug_hosting\n",
    "migration.md": """
import hubplug
import tensorflow as tf

class Resolver:
    def is_supported(self, handle):
        return handle.startswith("corp://")

    def __call__(self, handle):
        return "models/publisher/model/1"

my_resolver = Resolver()
tf.compat.v1.disable_eager_execution()
""",
}

_FENCED = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^\n|\A)((?:^    .*\n|^\n)+)", re.MULTILINE)
_NEEDS_TENSORFLOW = re.compile(r"\btf\.|tensorflow|\bhub\.Module\(|hubplug\.Module\(|\.export\(")


def examples(page: Path) -> list[str]:
    """The Python examples of a page in order: fenced blocks, and indented ones that can only be Python."""
    text = page.read_text(encoding="utf-8")
    found = [(match.start(), match[1]) for match in _FENCED.finditer(text)]
    unfenced = re.sub(r"^```.*?^```$", lambda match: "\n" * match[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL)
    for match in _INDENTED.finditer(unfenced):
        code = textwrap.dedent(match[1]).strip("\n") + "\n"
        if _is_python(code):
            found.append((match.start(), code))
    return [code for _, code in sorted(found)]


def _is_python(code: str) -> bool:
    if not re.search(r"^(import|from|with|def|class) |= hub(plug)?\.", code, flags=re.MULTILINE):
        return False
    try:
        compile(code, "example", "exec")
    except SyntaxError:
        return False
    return True


def needs_tensorflow(page: Path) -> bool:
    """Whether an example of the page builds a graph."""
    return any(_NEEDS_TENSORFLOW.search(code) for code in examples(page))


def run(page: Path, folder: Path, **environment: str) -> None:
    """Runs the examples of a page as one program, in a folder that has a module at ``models/publisher/model/1``.

    Raises:
        AssertionError: One of them failed; with what it printed.
    """
    write_module(folder / "models" / "publisher" / "model" / "1", _text_module())
    program = PREAMBLES.get(page.name, "") + "\n".join(examples(page))
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{page.name}:\n{done.stderr}\n{program}"


def _text_module() -> ModuleBuilder:
    """From sentences to vectors: the length of each, times a variable."""
    builder = ModuleBuilder()
    text = builder.placeholder("text", "string", [None])
    length = builder.node("StringLength", [text], {"unit": b"BYTE"}, dtype="int32", shape=[None])
    number = builder.node(
        "Cast", [length], {"SrcT": Type("int32"), "DstT": Type("float32"), "Truncate": False}, shape=[None]
    )
    column = builder.constant([-1, 1], name="column")
    numbers = builder.node(
        "Reshape", [number, column], {"T": Type("float32"), "Tshape": Type("int32")}, shape=[None, 1]
    )
    weights = builder.variable("weights", [[1.0, 2.0]])
    vectors = builder.node("MatMul", [numbers, weights], {"T": Type("float32")}, shape=[None, 2])
    builder.signature(inputs={"text": text}, outputs={"default": vectors})
    return builder
