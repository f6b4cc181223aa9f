"""Installs hubplug's wheel with what it depends on, but for TensorFlow, which a test environment brings itself.

``install_hubplug.py [--lowest] [EXTRA ...]``: with ``--lowest`` every dependency gets exactly the version of its lower bound.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> None:
    """Builds the wheel, then installs its dependencies and itself into the running interpreter."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, str(ROOT)], check=True)
        (wheel,) = Path(folder).glob("hubplug-*.whl")
        needed = requirements(wheel, [argument for argument in arguments if argument != "--lowest"])
        if "--lowest" in arguments:
            needed = [line.replace(">=", "==") for line in needed]
        subprocess.run([*pip, "install", "--quiet", *needed], check=True)
        subprocess.run([*pip, "install", "--quiet", "--no-deps", "--force-reinstall", str(wheel)], check=True)


def requirements(wheel: Path, extras: list[str]) -> list[str]:
    """The ``Requires-Dist`` lines of a wheel: the unconditional ones, and those of some extras."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    found = re.findall(r"^Requires-Dist: ([^;\n]+?)(?:; extra == '([^']+)')?$", metadata, re.MULTILINE)
    return [requirement for requirement, extra in found if extra in ("", *extras)]


if __name__ == "__main__":
    main(sys.argv[1:])
