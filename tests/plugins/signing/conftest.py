"""A key, a module that is signed with it, and Hubs that demand that."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import hubplug
from hubplug.files.signatures import SigningKey
from hubplug.testing import write_tiny_module
from hubplug_signing import Signing
from tests.plugins.signing.keys import Key


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("models", "other"):
        Key(folder, name)
    return folder


# The tox environment `signing` has it.
collect_ignore_glob = [] if find_spec("model_signing") else ["test_*.py"]


def write_signable_module(directory: Path, scale: float = 2.0) -> Path:
    """A tiny module without its empty directory, which ``hubplug publish --sign`` leaves out."""
    (write_tiny_module(directory, scale=scale) / "assets").rmdir()
    return directory


@pytest.fixture(scope="session")
def signed_once(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Path:
    module = write_signable_module(tmp_path_factory.mktemp("signed") / "module")
    Signing().sign_module(module, SigningKey(keys / "models.key"), offline=True)
    return module


@pytest.fixture
def signed(signed_once: Path, tmp_path: Path) -> Path:
    """A copy of a signed module, to be spoilt."""
    return Path(shutil.copytree(signed_once, tmp_path / "signed"))


@pytest.fixture
def demanding(tmp_path: Path, keys: Path) -> Callable[..., hubplug.Hub]:
    """Makes a Hub that demands of a prefix what its rules say; without rules, the key ``models``."""

    def make(prefix: str = "", *rules: dict[str, str], **settings: Any) -> hubplug.Hub:
        prefix = prefix or tmp_path.as_uri()
        signers = [{"prefix": prefix, **rule} for rule in rules] or [
            {"prefix": prefix, "key": str(keys / "models.pub")}
        ]
        plugins = {"signing": {"options": {"signers": signers}}}
        return hubplug.Hub({"validate": {prefix: ["signed"]}, "plugins": plugins, **settings})

    return make
