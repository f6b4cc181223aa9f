"""Installs the wheel that the sdist in a directory makes, and runs the tests of the unpacked sdist::

    python tools/test_sdist.py dist [arguments of pytest]

So a release has all that its tests need, and nothing that only the working tree has.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path


def main(folder: str, *arguments: str) -> int:
    """Returns the exit status of pytest."""
    (sdist,) = Path(folder).glob("hubplug-*.tar.gz")
    with tempfile.TemporaryDirectory() as unpacked:
        with tarfile.open(sdist) as archive:
            archive.extractall(unpacked, filter="data")
        (root,) = Path(unpacked).iterdir()
        subprocess.run(
            [sys.executable, str(root / "tools" / "install_hubplug.py"), "gcs", "serve", "signing"], check=True
        )
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=root, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
