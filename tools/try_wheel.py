"""Tries the wheel in a directory as a user would, in an empty environment of each Python that is named::

    python tools/try_wheel.py dist python3.10 python3.11 python3.12 python3.13
    python tools/try_wheel.py --tensorflow dist python3.11

Without ``--tensorflow``: a module is written, packed, served, resolved, shown and validated. With it: the quickstart.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

WITHOUT_TENSORFLOW = """
import os
import subprocess
import sys
from pathlib import Path

import hubplug
from hubplug_format import ModuleBuilder, Type, write_module
from hubplug_hosting import ModuleServer, pack_module

builder = ModuleBuilder()
numbers = builder.placeholder("numbers", "float32", [None, 2])
doubled = builder.node("Add", [numbers, numbers], {"T": Type("float32")}, shape=[None, 2])
builder.signature(inputs={"default": numbers}, outputs={"default": doubled})
write_module(Path("module"), builder)
Path("www/team/doubled").mkdir(parents=True)
pack_module(Path("module"), Path("www/team/doubled/1.tar.gz"))
os.environ["TFHUB_CACHE_DIR"] = "cache"
command = str(Path(sys.executable).with_name("hubplug"))
with ModuleServer("www") as server:
    handle = f"{server.url}team/doubled/1"
    assert hubplug.load_module_spec(handle).get_signature_names() == ["default"]
    for arguments in (["--help"], ["show", handle], ["validate", handle], ["cache", "list"], ["plugins"]):
        subprocess.run([command, *arguments], check=True, stdout=subprocess.DEVNULL)
assert "tensorflow" not in sys.modules
"""


def main(*arguments: str) -> int:
    """Returns the number of Pythons on which it does not work."""
    tensorflow = "--tensorflow" in arguments
    folder, *pythons = (argument for argument in arguments if argument != "--tensorflow")
    (wheel,) = Path(folder).resolve().glob("hubplug-*.whl")
    failed = [python for python in pythons if not works(wheel, python, tensorflow)]
    print("failed:" if failed else "all of them work:", *failed or pythons)
    return len(failed)


def works(wheel: Path, python: str, tensorflow: bool) -> bool:
    """Whether the wheel can be installed and used on a Python."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder, "environment", "bin", "python")
        wanted = f"{wheel}[serve,tensorflow-cpu]" if tensorflow else f"{wheel}[serve]"
        program = [str(ROOT / "examples" / "quickstart.py")] if tensorflow else ["-c", WITHOUT_TENSORFLOW]
        commands = (
            [python, "-m", "venv", str(environment.parents[1])],
            [str(environment), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wanted],
            [str(environment), *program],
        )
        return all(subprocess.run(command, cwd=folder, check=False).returncode == 0 for command in commands)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
