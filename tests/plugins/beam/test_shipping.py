"""What a pipeline takes along: no secret, no plugin object, and the module that was found when it was made or none."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hubplug
from hubplug import Handle
from hubplug.errors import ConfigError, DigestMismatch
from hubplug.testing import archive_of, write_tiny_module
from hubplug_beam import _shipping
from hubplug_beam._content import demand_content
from tests.servers import Reply, ScriptedServer


@pytest.mark.parametrize(
    "rule",
    [
        {"prefix": "https://m.example/", "token": "s3cr3t-token"},
        {"prefix": "https://m.example/", "username": "me", "password": "s3cr3t-token"},
    ],
)
def test_a_configuration_with_a_secret_in_it_is_not_shipped(rule: dict[str, str], monkeypatch: Any) -> None:
    monkeypatch.setenv("TOKEN", "s3cr3t-token")
    options = {"rules": [rule]}
    with pytest.raises(ConfigError, match="would be stored with the pipeline") as caught:
        _shipping.as_text(hubplug.Hub({"chain": ["auth", "file", "tf1"], "plugins": {"auth": {"options": options}}}))
    assert "s3cr3t" not in str(caught.value)


def test_references_are_shipped_as_references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "s3cr3t-token")
    rules = [
        {"prefix": "https://a.example/", "token": "${TOKEN}"},
        {"prefix": "https://b.example/", "header": "X-Key", "value_env": "TOKEN"},
    ]
    hub = hubplug.Hub({"chain": ["auth", "http", "file", "tf1"], "plugins": {"auth": {"options": {"rules": rules}}}})
    text = _shipping.as_text(hub)
    assert "s3cr3t" not in text
    assert json.loads(text)["plugins"]["auth"]["options"]["rules"] == rules
    assert [member.name for member in _shipping.hub_of(text).chain.members] == ["auth", "http", "file", "tf1"]


def test_a_handle_with_a_secret_is_refused_and_a_path_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_module(tmp_path / "module")
    monkeypatch.chdir(tmp_path)
    hub = hubplug.Hub({"chain": ["file", "tf1"]})
    assert _shipping.ship(hub, "module").handle == str(tmp_path / "module")
    for handle in ("https://me:s3cr3t@m.example/1", "https://m.example/1?sig=s3cr3t"):
        with pytest.raises(ConfigError, match="would be stored") as caught:
            _shipping.ship(hub, handle)
        assert "s3cr3t" not in str(caught.value)


def test_plugin_objects_are_not_shipped() -> None:
    class Mine:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: hubplug.Handle) -> None:
            return None

    with pytest.raises(ConfigError, match="plugin objects"):
        _shipping.as_text(hubplug.Hub({"chain": ["file"]}, plugins=[Mine()]))


def module_of(shipment: _shipping.Shipment) -> hubplug.LocalModule:
    """What a worker resolves."""
    return _shipping.hub_of(shipment.config).resolve(shipment.handle)


def write_anew(path: Path, scale: float) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    return write_tiny_module(path, scale)


def test_a_path_whose_content_changed_is_refused_and_a_copy_is_not(tmp_path: Path) -> None:
    hub = hubplug.Hub({"chain": ["file", "tf1"]})
    shipment = _shipping.ship(hub, str(write_tiny_module(tmp_path / "module")))
    shutil.copytree(tmp_path / "module", tmp_path / "copy")
    (tmp_path / "copy" / ".DS_Store").touch()
    demand_content(hub.resolve(str(tmp_path / "copy")), shipment.content)
    write_anew(tmp_path / "module", scale=3.0)
    with pytest.raises(DigestMismatch, match="not what it was when the pipeline was made"):
        demand_content(module_of(shipment), shipment.content)


def test_what_was_fetched_has_the_digest_of_the_lock_file_and_of_its_files(tmp_path: Path) -> None:
    with ScriptedServer() as server:
        server.on("/m/1", Reply(body=archive_of(write_tiny_module(tmp_path / "module"))))
        hub = hubplug.Hub({"chain": ["http", "archive", "cache", "file", "tf1"]})
        (pin,) = hub.pin([server.url("/m/1")]).modules.values()
        shipment = _shipping.ship(hub, server.url("/m/1"))
    assert shipment.content == pin.tree_sha256 == _shipping.ship(hub, str(tmp_path / "module")).content
    assert shipment.handle == f"{server.url('/m/1')}#sha256={pin.archive_sha256}"


def test_a_tree_of_single_files_that_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def publish(scale: float) -> None:
        memory.put(str(write_anew(tmp_path / "module", scale)), "/tree-of-files", recursive=True)

    memory = pytest.importorskip("fsspec").filesystem("memory")
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "here"))
    publish(scale=2.0)
    shipment = _shipping.ship(hubplug.Hub({"chain": ["fsspec", "cache", "tf1"]}), "memory://tree-of-files")
    demand_content(module_of(shipment), shipment.content)
    memory.rm("/tree-of-files", recursive=True)
    publish(scale=3.0)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "elsewhere"))
    with pytest.raises(DigestMismatch):
        demand_content(module_of(shipment), shipment.content)


def test_a_lock_file_holds_for_workers_that_do_not_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBPLUG_LOCK", str(tmp_path / "hubplug.lock"))
    config = {"chain": ["http", "archive", "tf1"], "locked": True}
    with ScriptedServer() as server:
        server.on("/m/1", Reply(body=archive_of(write_anew(tmp_path / "module", scale=2.0))))
        with pytest.raises(DigestMismatch, match="locked: true"):
            _shipping.ship(hubplug.Hub(config), server.url("/m/1"))
        hubplug.Hub(config).pin([server.url("/m/1")]).write()
        shipment = _shipping.ship(hubplug.Hub(config), server.url("/m/1"))
        monkeypatch.delenv("HUBPLUG_LOCK")
        server.on("/m/1", Reply(body=archive_of(write_anew(tmp_path / "module", scale=3.0))))
        with pytest.raises(DigestMismatch):
            module_of(shipment)


def test_a_handle_that_means_the_latest_travels_as_what_it_meant(tmp_path: Path) -> None:
    asked = Handle("hf://org/repo")
    named = replace(asked.instead("hf://org/repo@0123456789012345678901234567890123456789"), answered=True)
    module = hubplug.LocalModule(tmp_path, named.instead("https://store.example/repo"))
    assert _shipping.shipped_handle("hf://org/repo", module) == named.text
