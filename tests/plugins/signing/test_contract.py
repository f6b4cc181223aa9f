"""The plugin keeps the contract that a third party's validators are held to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hubplug.hub import Hub
from hubplug.spec import ModuleSpec
from hubplug.testing import ValidateContract
from hubplug_signing import Signing


class TestSigningValidates(ValidateContract):
    @pytest.fixture
    def plugin(self, keys: Path, tmp_path: Path) -> Signing:
        return Signing(signers=[{"prefix": tmp_path.as_uri(), "key": str(keys / "models.pub")}])

    @pytest.fixture
    def profile(self) -> str:
        return "signed"

    @pytest.fixture
    def good_spec(self, make_hub: Callable[..., Hub], signed: Path) -> ModuleSpec:
        return make_hub().load_spec(str(signed))

    @pytest.fixture
    def bad_spec(self, make_hub: Callable[..., Hub], tiny_module: Path) -> ModuleSpec:
        return make_hub().load_spec(str(tiny_module))
