"""A hubplug.yaml that was merely found names mirrors and rewrite rules, and what a handle holds does not reach them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubplug.errors import ConfigError
from hubplug.hub import Hub
from tests.servers import Reply, ScriptedServer, redirect

CHAIN = "[cache, file, http, archive, tf1]"
SECRETS = ["?token=canary", "?canary", "?a=1&X-Amz-Signature=canary"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cloned repository, which is the working directory."""
    (tmp_path / "cloned").mkdir()
    monkeypatch.chdir(tmp_path / "cloned")
    return tmp_path / "cloned"


def write(folder: Path, options: str) -> Path:
    path = folder / "hubplug.yaml"
    path.write_text(f"version: 1\nchain: {CHAIN}\nplugins: {{http: {{options: {options}}}}}\n", encoding="utf-8")
    return path


def mirror_of(server: ScriptedServer, other: ScriptedServer) -> str:
    return f"{{prefixes: ['{server.url('/')}'], mirrors: ['{other.url('/')}'], retries: 0}}"


def rewrite_to(server: ScriptedServer, other: ScriptedServer, template: str = "\\\\1") -> str:
    return f'{{rewrite: [{{from: "{server.url("/")}(.*)", to: "{other.url("/")}{template}"}}], retries: 0}}'


@pytest.mark.parametrize("query", SECRETS)
@pytest.mark.parametrize("way", [mirror_of, rewrite_to])
def test_what_a_handle_holds_does_not_reach_another_server(
    way: object, query: str, folder: Path, server: ScriptedServer, other: ScriptedServer, tiny_archive: bytes
) -> None:
    assert callable(way)
    server.always(Reply(503))
    other.always(Reply(body=tiny_archive))
    path = write(folder, way(server, other))
    with pytest.raises(ConfigError, match="merely found in the working directory") as caught:
        Hub().resolve(server.url(f"/m{query}"))
    assert other.requests == []
    assert "canary" not in str(caught.value)
    assert f"HUBPLUG_CONFIG={path}" in str(caught.value.hint)


def test_userinfo_does_not_either(folder: Path, server: ScriptedServer, other: ScriptedServer) -> None:
    write(folder, f'{{rewrite: [{{from: "http://(.*)", to: "{other.url("/")}\\\\1"}}], retries: 0}}')
    with pytest.raises(ConfigError, match="merely found"):
        Hub().resolve(server.url("/m", userinfo="me:canary"))
    assert other.requests == []


@pytest.mark.parametrize("way", [mirror_of, rewrite_to])
def test_a_handle_that_holds_nothing_is_asked_for_there(
    way: object, folder: Path, server: ScriptedServer, other: ScriptedServer, tiny_archive: bytes
) -> None:
    assert callable(way)
    server.always(Reply(503))
    other.always(Reply(body=tiny_archive))
    write(folder, way(server, other))
    assert (Hub().resolve(server.url("/m")).path / "tfhub_module.pb").is_file()
    assert [request.path for request in other.requests] == ["/m"]


@pytest.mark.parametrize("way", [mirror_of, rewrite_to])
def test_a_file_that_is_named_may_pass_it_on(
    way: object, folder: Path, server: ScriptedServer, other: ScriptedServer, tiny_archive: bytes
) -> None:
    assert callable(way)
    server.always(Reply(503))
    other.always(Reply(body=tiny_archive))
    path = write(folder, way(server, other))
    Hub(path).resolve(server.url("/m?version=3"))
    assert "version=3" in other.requests[0].query


def test_a_rule_within_one_server_may_keep_the_query(folder: Path, server: ScriptedServer, tiny_archive: bytes) -> None:
    server.always(Reply(body=tiny_archive))
    write(folder, f'{{rewrite: [{{from: "{server.url("/old/")}(.*)", to: "{server.url("/new/")}\\\\1"}}]}}')
    Hub().resolve(server.url("/old/m?token=canary"))
    assert "token=canary" in server.requests[0].query


def test_a_redirect_is_the_servers_own_affair(
    folder: Path, server: ScriptedServer, other: ScriptedServer, tiny_archive: bytes
) -> None:
    server.always(redirect(other.url("/signed?signature=theirs")))
    other.always(Reply(body=tiny_archive))
    write(folder, "{}")
    Hub().resolve(server.url("/m?token=canary"))
    assert len(other.requests) == 1
    assert "canary" not in other.requests[0].query
