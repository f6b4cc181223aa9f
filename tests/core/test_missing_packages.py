"""What is not installed is said by name, with the command that installs it; everything else goes on without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.test_boundaries import BLOCKER

BLOCKED = BLOCKER.replace(
    'ImportError(f"{{name}} is blocked")', 'ModuleNotFoundError(f"{{name}} is blocked", name=name)'
)


def run(code: str, *blocked: str) -> str:
    """Runs code where packages are not installed; what it says of the error that ends it."""
    program = BLOCKED.format(blocked=set(blocked)) + code
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr.splitlines()[-2] + " " + done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "code",
    [
        "hubplug.create_module_spec(lambda: None)",
        "hubplug.text_embedding_column",
        "hubplug.Module({module!r})",
        "hubplug.load_module_spec({module!r}).get_input_info_dict()",
        "hubplug.load({module!r})",
        "from hubplug import LatestModuleExporter",
    ],
)
def test_tensorflow_is_named_where_it_is_needed_and_missing(code: str, tiny_module: Path) -> None:
    said = run("import hubplug\n" + code.format(module=str(tiny_module)), "tensorflow")
    assert "MissingDependencyError: This needs tensorflow, which is not installed" in said
    assert "pip install 'hubplug[tensorflow]', or hubplug[tensorflow-cpu]" in said


def test_gcsfs_is_named_where_it_is_needed_and_missing() -> None:
    said = run("import hubplug\nhubplug.Hub({'chain': ['fsspec']}).resolve('gs://bucket/m')", "gcsfs")
    assert "gs://bucket/m needs a package that is not installed" in said
    assert "pip install 'hubplug[gcs]'" in said
