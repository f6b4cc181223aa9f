"""However a handle is spelt, it is the same place: pins, profiles, rules and settings hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hubplug.errors import DigestMismatch, FetchError, ValidationError
from hubplug.hub import Hub
from tests.plugins.http.driving import ARCHIVE, bring
from tests.servers import Reply, ScriptedServer, redirect

SPELLINGS = [
    "http://2130706433:{}/m",
    "HTTP://127.1:{}/./m",
    "http://127.0.0.1.:{}/x/../%6d",
    "http://127。0。0。1:0{}/m",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_spelling_does_not_get_around_a_profile(
    spelling: str, make_hub: Callable[..., Hub], server: ScriptedServer, tiny_archive: bytes
) -> None:
    server.on("/m", Reply(body=tiny_archive))
    chain = ["cache", "http", "archive", "tf1", "signatures"]
    hub = make_hub(chain=chain, validate={server.url("/"): ["image-classification"]})
    with pytest.raises(ValidationError):
        hub.load_spec(spelling.format(server.port))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_spelling_does_not_get_around_a_pin(
    spelling: str, make_hub: Callable[..., Hub], server: ScriptedServer, tiny_archive: bytes, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("HUBPLUG_LOCK", str(tmp_path / "hubplug.lock"))
    server.on("/m", Reply(body=tiny_archive))
    make_hub().pin([spelling.format(server.port)]).write()
    assert server.url("/m") in (tmp_path / "hubplug.lock").read_text()
    for other in [server.url("/m"), *(one.format(server.port) for one in SPELLINGS)]:
        assert make_hub(locked=True).resolve(other)
    with pytest.raises(DigestMismatch, match="is not listed"):
        make_hub(locked=True).resolve(server.url("/M"))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_is_set_for_a_prefix_holds_for_every_spelling_and_after_a_redirect_to_one(
    spelling: str, server: ScriptedServer, other: ScriptedServer
) -> None:
    server.on("/m", Reply(body=ARCHIVE))
    other.on("/m", redirect(spelling.format(server.port)))
    headers = {server.url("/"): {"X-Api-Key": "canary"}}
    assert bring(spelling.format(server.port), headers=headers) == ARCHIVE
    assert server.requests[0].header("X-Api-Key") == "canary"
    assert server.requests[0].header("Host") == f"127.0.0.1:{server.port}"
    assert bring(other.url("/m"), headers=headers) == ARCHIVE
    assert server.requests[1].header("X-Api-Key") is None  # it left its origin, and came from another one
    assert [one.path for one in server.requests] == ["/m", "/m"]


def test_a_rewrite_rule_matches_a_handle_that_is_spelt_otherwise(server: ScriptedServer) -> None:
    server.on("/new/m", Reply(body=ARCHIVE))
    rule = {"from": r"https://old\.example/(.*)", "to": server.url(r"/new/\1")}
    assert bring("HTTPS://Old.Example.:443/x/../m", rewrite=[rule]) == ARCHIVE


@pytest.mark.parametrize(
    "target", ["http://h:+1/", "http://h%2e/", "http://1.2.3.4.5/", "http://xn--ü/", "http://h/..%2fx"]
)
def test_a_redirect_to_what_has_no_normal_form_is_refused(target: str, server: ScriptedServer) -> None:
    server.on("/m", redirect(target))
    with pytest.raises(FetchError, match="is not a URL: its "):
        bring(server.url("/m"), retries=0)
