"""A process that is killed while it takes over what another library downloaded leaves no half module."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import hubplug
from hubplug.testing import write_tiny_module
from hubplug.types import Handle, Plan, Source

HANDLE = "other://m"
PROGRAM = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tests.reliability.test_adoption_crash import hub_of
moved = 0

def hook(event, arguments):
    global moved
    if event == "os.rename" and str(arguments[0]).startswith(sys.argv[1]):
        moved += 1
        if moved == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
hub_of(Path(sys.argv[1])).resolve("other://m")
"""


class Others:
    """Brings what a library has downloaded."""

    def __init__(self, downloaded: Path) -> None:
        self.downloaded = downloaded

    @hubplug.hookimpl
    def hubplug_resolve(self, handle: Handle) -> Source | None:
        return Source(handle, handle.text) if handle.scheme == "other" else None

    @hubplug.hookimpl
    def hubplug_fetch(self, source: Source) -> Plan[object]:
        return Plan("take it over", lambda tree, auth_for: tree.adopt(self.downloaded))


def hub_of(downloaded: Path) -> hubplug.Hub:
    return hubplug.Hub({"chain": ["cache", "tf1"]}, plugins=[Others(downloaded)])


@pytest.mark.parametrize("at", [1, 3])
def test_the_next_one_that_downloads_it_anew_gets_the_whole(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloaded, cache = tmp_path / "downloaded", tmp_path / "cache"
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(cache))
    whole = write_tiny_module(tmp_path / "whole")
    count = sum(path.is_file() for path in whole.rglob("*"))
    assert count > at
    shutil.copytree(whole, downloaded)
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(downloaded), str(at), str(root)], check=False, timeout=300
    )
    assert done.returncode == -signal.SIGKILL
    assert sum(path.is_file() for path in downloaded.rglob("*")) == count - at + 1
    assert [path.name for path in cache.iterdir() if path.name.endswith(".filling")]
    assert not list(hub_of(downloaded).chain.ask("hubplug_entries").value.list())
    shutil.rmtree(downloaded)
    shutil.copytree(whole, downloaded)
    module = hub_of(downloaded).resolve(HANDLE)
    assert module.provenance is not None
    assert len(module.provenance.files) == count
    assert not [path for path in cache.iterdir() if path.name.endswith(".filling")]
