"""Proxies: of the environment and of the configuration, through which a secret goes to nobody else."""

from __future__ import annotations

import base64
import ssl
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import pytest
import trustme

from hubplug.errors import AccessError, FetchError, HubplugError
from tests.plugins.http.driving import ARCHIVE, Signing, bring
from tests.servers import Reply, ScriptedServer


@pytest.fixture
def proxy(other: ScriptedServer) -> ScriptedServer:
    other.always(Reply(body=ARCHIVE))
    return other


def test_the_environments_proxy_is_used(
    proxy: ScriptedServer, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy.url("", userinfo="me:canary"))
    assert bring("http://models.example.com/m") == ARCHIVE
    (request,) = proxy.requests
    assert request.target == "http://models.example.com/m?tf-hub-format=compressed"
    assert request.header("Proxy-Authorization") == "Basic bWU6Y2FuYXJ5"


def test_no_proxy_is_honoured(proxy: ScriptedServer, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", proxy.url(""))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server.on("/m", Reply(body=ARCHIVE))
    assert bring(server.url("/m")) == ARCHIVE
    assert proxy.requests == []
    assert server.requests[0].header("Proxy-Authorization") is None


def test_a_prefix_can_have_a_proxy_of_its_own_or_none(
    proxy: ScriptedServer, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.on("/m", Reply(body=ARCHIVE))
    servers = {"http://models.example.com/": {"proxy": proxy.url("")}, server.url("/"): {"proxy": "none"}}
    assert bring("http://models.example.com/m", servers=servers) == ARCHIVE
    assert bring(server.url("/m"), servers=servers) == ARCHIVE
    assert (len(proxy.requests), len(server.requests)) == (1, 1)


def test_https_goes_through_a_tunnel_that_sees_no_secret(proxy: ScriptedServer, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    proxy.always(Reply(tunnel=True))
    with ScriptedServer(tls=context) as secure:
        secure.on("/m", Reply(body=ARCHIVE))
        options = {"proxy": proxy.url("", userinfo="me:proxy-word"), "ca_bundle": str(tmp_path / "authority.pem")}
        assert bring(secure.url("/m?key=canary"), Signing(secure.url("/"), "canary"), **options) == ARCHIVE
        assert "proxy-word" not in secure.requests[0].text
        assert secure.requests[0].header("Proxy-Authorization") is None
    (request,) = proxy.requests
    assert (request.method, request.target) == ("CONNECT", f"127.0.0.1:{secure.port}")
    assert "canary" not in request.text


@pytest.mark.parametrize("url", ["http://models.example.com/m", "https://models.example.com/m"])
def test_a_proxy_that_wants_credentials(url: str, proxy: ScriptedServer, capfd: pytest.CaptureFixture[str]) -> None:
    proxy.always(Reply(407, headers={"Proxy-Authenticate": "Basic"}))
    with pytest.raises(AccessError) as caught:
        bring(url, proxy=proxy.url("", userinfo="me:canary"))
    assert f"The proxy 127.0.0.2:{proxy.port} requires credentials (407)" in caught.value.message
    assert "canary" not in str(caught.value) + "".join(capfd.readouterr())
    assert len(proxy.requests) == 1


def test_a_proxy_that_refuses_a_tunnel(proxy: ScriptedServer) -> None:
    proxy.always(Reply(403))
    with pytest.raises(
        FetchError, match=f"The proxy 127.0.0.2:{proxy.port} refused a connection to models.example.com"
    ):
        bring("https://models.example.com/m", proxy=proxy.url(""))


def test_a_proxy_that_is_not_there() -> None:
    with pytest.raises(FetchError, match=r"127\.0\.0\.1:1 refused the connection to the proxy"):
        bring("http://models.example.com/m", proxy="http://me:canary@127.0.0.1:1", retries=0)


def test_a_proxy_whose_name_is_unknown() -> None:
    with pytest.raises(FetchError, match=r"DNS: the name of the proxy no-such-proxy\.invalid:3128 cannot be resolved"):
        bring("http://models.example.com/m", proxy="http://no-such-proxy.invalid:3128", retries=0)


def test_a_proxy_that_drips_its_answer_to_connect_is_given_up_on(proxy: ScriptedServer) -> None:
    proxy.always(Reply(200, drip_head=(1, 0.5)))
    with pytest.raises(FetchError, match="did not finish the headers of its response"):
        bring("https://models.example.com/m", proxy=proxy.url(""), read_timeout=3, retries=0)


def test_netrc_is_not_read_unless_asked_for(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password canary\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    server.on("/m", Reply(302, headers={"Location": "/x"}))
    server.on("/x", Reply(body=ARCHIVE))
    assert bring(server.url("/m")) == ARCHIVE
    assert [one.header("Authorization") for one in server.requests] == [None, None]


@pytest.mark.parametrize("proxy_url", ["http://:3128", "http://[::1", "http://127.0.0.1:port"])
def test_a_malformed_proxy_is_an_error_of_ours(proxy_url: str) -> None:
    with pytest.raises(FetchError, match="proxy's URL is malformed"):
        bring("http://models.example.com/m", proxy=proxy_url, retries=0)


def test_a_socks_proxy_says_what_it_needs() -> None:
    if find_spec("socks") is not None:
        pytest.skip("PySocks is installed")
    with pytest.raises(FetchError, match="needs the package PySocks"):
        bring("http://models.example.com/m", proxy="socks5://me:canary@127.0.0.1:1080")


@pytest.mark.parametrize("password", ["canary", "can%2Fary", "canary%40x"])
@pytest.mark.parametrize("status", [400, 403, 407, 502, 200])
def test_a_proxy_that_repeats_its_password_does_not_have_it_shown(
    status: int, password: str, proxy: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    pair = base64.b64encode(f"me:{unquote(password)}".encode()).decode()
    echo = f"<html>no: {password} {unquote(password)} {pair} me:{password}"
    proxy.always(Reply(status, echo.encode(), {"Content-Type": f"text/{password}"}))
    with pytest.raises(HubplugError) as caught:
        bring("http://models.example.com/m", proxy=proxy.url("", userinfo=f"me:{password}"), retries=1)
    shown = str(caught.value) + caplog.text
    assert not any(piece in shown for piece in ("canary", "ary", pair))


def test_a_server_that_sends_a_secret_back_in_a_redirect_does_not_have_it_shown(server: ScriptedServer) -> None:
    server.on("/m", Reply(302, headers={"Location": "/login/canary/x"}))
    with pytest.raises(HubplugError) as caught:
        bring(server.url("/m"), Signing(server.url("/"), "canary"))
    assert "/login/***/x" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("userinfo", ["me:can/ary", "me:can#ary", "me:can?ary", "me:12/canary", "me:12?canary"])
def test_a_proxy_whose_password_a_parser_would_cut_in_two_is_refused(userinfo: str, proxy: ScriptedServer) -> None:
    with pytest.raises(FetchError, match="proxy's URL is malformed") as caught:
        bring("http://models.example.com/m", proxy=proxy.url("", userinfo=userinfo), retries=0)
    assert "ary" not in str(caught.value)
    assert "12" not in str(caught.value)
