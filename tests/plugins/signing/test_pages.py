"""Who signed a module, on its page: verified with what the server's configuration names, and shown harmlessly."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hubplug
from hubplug.files.signatures import SigningKey
from hubplug_hosting import ModuleServer
from hubplug_signing import Signing
from tests.plugins.hosting.asking import ask
from tests.plugins.hosting.test_pages import checked
from tests.plugins.signing.keys import Authority, Key

Shown = tuple[dict[str, Any], str]


@pytest.fixture
def shown(tmp_path: Path, signed: Path) -> Callable[..., Shown]:
    """What the data and the page say of the signature of a module, with some rules."""

    def show(*rules: dict[str, str], work: Path | None = None) -> Shown:
        root = tmp_path / "models"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(signed, root / "m/1")
        signers = [{"prefix": "https://elsewhere.example.com/", **rule} for rule in rules]
        hub = hubplug.Hub({"plugins": {"signing": {"options": {"signers": signers}}}})
        with hub.activate(), ModuleServer(root, work=work) as server:
            found = checked(server, "/m/1")
            assert "signed" not in found["checks"]
            return found["module"]["signature"], ask(server, "/m/1").text

    return show


def test_a_page_says_who_signed_and_names_no_file_of_the_server(shown, keys):
    signature, page = shown({"key": str(keys / "models.pub")})
    assert signature["state"] == "verified"
    assert signature["by"].startswith("the key ")
    assert f"✓ signed by {signature['by']}" in page
    assert str(keys) not in page


@pytest.mark.parametrize("key", [None, "other.pub", "missing.pub"])
def test_what_the_server_knows_no_signer_of_is_not_verified_there(key, shown, keys):
    signature, page = shown(*([{"key": str(keys / key)}] if key else []))
    assert signature["state"] == "not verified"
    assert "not verified here" in page
    assert "✓ signed" not in page
    assert str(keys) not in page


def test_what_was_altered_is_shown_as_that(shown, signed, keys):
    (signed / "extra").write_text("x")
    signature, page = shown({"key": str(keys / "models.pub")})
    assert signature["state"] == "refused"
    assert "✗ signed, but it is not what was signed" in page
    (signed / "model.sig").write_text("{}")
    assert shown({"key": str(keys / "models.pub")})[0]["state"] == "refused"


def test_what_is_not_signed_is_shown_as_nothing_else(shown, signed, keys):
    (signed / "model.sig").unlink()
    signature, page = shown({"key": str(keys / "models.pub")})
    assert signature == {"state": "unsigned", "by": None, "problem": None}
    assert "signed by" not in page


def test_another_key_in_the_configuration_is_another_answer_over_a_restart(shown, keys, tmp_path):
    work = tmp_path / "work"
    key = tmp_path / "current.pub"
    shutil.copy(keys / "models.pub", key)
    assert shown({"key": str(key)}, work=work)[0]["state"] == "verified"
    shutil.copy(keys / "other.pub", key)
    assert shown({"key": str(key)}, work=work)[0]["state"] == "not verified"


def test_a_name_in_a_certificate_is_no_part_of_the_page(shown, signed, tmp_path):
    authority = Authority(tmp_path)
    key = Key(tmp_path, "evil")
    certificate = authority.issue(key, "<script>alert(1)</script>", "a@b.example")
    Signing().sign_module(signed, SigningKey(key.private, certificate), offline=True)
    for rules in ([], [{"certificates": str(authority.roots), "name": "*"}]):
        signature, page = shown(*rules)
        assert "<script>alert" in signature["by"]
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page
