"""The blocks of the documentation, and a player that runs those of a page in order, as a reader would, in a process of its own.

Every block is fenced and says what it is: a program (``python``), commands with what they print (``console``), a
configuration (``yaml``, ``toml``), or text that nothing runs. There is no preamble: what is printed is what runs.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from hubplug_format import ModuleBuilder, Type, write_module
from hubplug_hosting import ModuleServer
from tools.documentation import expand

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

RUN = ("python", "console", "yaml", "toml")
# Output, trees and signatures; and what is for programs that are not here: steps of a CI (``yml``), images, servers.
NOT_RUN = ("text", "yml", "dockerfile", "nginx", "r")
# They change the installation, or run all tests; both would ask the network.
_COMMANDS_NOT_RUN = ("pip install ", "tox ")
# Where an environment shares its packages with another one, the script on PATH may be the wrong one's.
_OURS = 'pytest() { python -m pytest "$@"; }'

# A server that the pages ask: it is there while such a session lasts, and serves the tree `models`.
_MODELS_SERVER = "https://models.example/"

_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
# A program whose first line is this is a file that others import.
_FILE = re.compile(r"# (\w+\.py)\n")
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NEEDS_TENSORFLOW = re.compile(r"\btensorflow|\.Module\(|\.export\(|quickstart\.py|hubplug apply")
_SECONDS = 600


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        kind: The word after the fence.
        code: What stands in it.
        line: That of its first line in the page, from 1.
        section: The heading of the part of the page that it is in; empty before the first.
    """

    kind: str
    code: str
    line: int
    section: str


def text_of(page: Path) -> str:
    """A page with what is generated in it."""
    return expand(page.read_text(encoding="utf-8"))


def blocks(page: Path) -> list[Block]:
    text = text_of(page)
    return [
        Block(
            found[1],
            found[2],
            text.count("\n", 0, found.start()) + 2,
            ["", *_SECTION.findall(text, 0, found.start())][-1],
        )
        for found in _FENCED.finditer(text)
    ]


def prose(page: Path) -> str:
    """A page without its fenced blocks, line by line where it was."""
    text = text_of(page)
    return _FENCED.sub(lambda found: "\n" * found[0].count("\n"), text)


def examples(page: Path) -> list[str]:
    """The Python programs of a page in order."""
    return [block.code for block in blocks(page) if block.kind == "python"]


def needs_running(page: Path) -> bool:
    return any(block.kind in RUN for block in blocks(page))


def needs_tensorflow(page: Path) -> bool:
    """Whether a block of the page builds a graph."""
    return any(_NEEDS_TENSORFLOW.search(block.code) for block in blocks(page) if block.kind in ("python", "console"))


def run(page: Path, folder: Path, section: str | None = None) -> None:
    """Plays a page in a folder that has what the pages speak of: modules, an old program, the examples.

    Args:
        page: What to play.
        folder: An empty one.
        section: Only the blocks under this heading.

    Raises:
        AssertionError: A block failed; with what it printed.
    """
    write_module(folder / "models" / "publisher" / "model" / "1", _text_module())
    write_module(folder / "exported_module", _text_module())
    (folder / "program.py").write_text("import tensorflow_hub as hub\nassert hub.Module\n")
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / "certificates").mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "certificates" / "corp-root.pem"))
    authority.issue_cert("me.example").private_key_and_cert_chain_pem.write_to_path(
        str(folder / "certificates" / "me.pem")
    )
    done = subprocess.run(
        [sys.executable, "-c", f"from tests.docs.documents import play; play({str(page)!r}, {section!r})"],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{page.name}:\n{done.stdout}"


def play(page: str, section: str | None = None) -> None:
    """Runs every block of a page, or of a section, in the working directory; its Python blocks share their names."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(Path(page)):
        if section not in (None, block.section):
            continue
        if block.kind == "python" and (file := _FILE.match(block.code)):
            Path(file[1]).write_text(block.code, encoding="utf-8")
        elif block.kind == "python":
            # So that a traceback has the line of the page.
            exec(compile("\n" * (block.line - 1) + block.code, page, "exec"), names)
        elif block.kind == "console":
            _type_in(block.code)
        elif block.kind == "yaml":
            Path("printed.yaml").write_text(block.code, encoding="utf-8")
            _check("hubplug --config printed.yaml config check", Path.cwd(), "")
        elif block.kind == "toml":
            tomllib = pytest.importorskip("tomllib", reason="of Python 3.11")
            tomllib.loads(block.code)


def _type_in(session: str) -> None:
    if _MODELS_SERVER in session:
        with ModuleServer("models") as server:
            _type_in(session.replace(_MODELS_SERVER, server.url))
        return
    folder = Path.cwd()
    for typed in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command, _, printed = typed.partition("\n")
        if command.startswith("cd "):
            folder /= command[3:].strip()
        elif command.startswith("hubplug serve "):
            _serve(command, folder, printed)
        elif not command.startswith(_COMMANDS_NOT_RUN):
            _check(command, folder, printed)


def _check(command: str, folder: Path, printed: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{_OURS}\n{command}"], cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert printed in ("", done.stdout), f"{command}\n{done.stdout}"


def _serve(command: str, folder: Path, printed: str) -> None:
    """Runs it at a free port, until it has said what is printed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command, printed = command.replace("8080", port), printed.replace("8080", port)
    with subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            said = "".join(server.stdout.readline() for _ in printed.splitlines())
        finally:
            server.send_signal(signal.SIGINT)
    assert said == printed


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
