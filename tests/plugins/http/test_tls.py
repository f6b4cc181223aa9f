"""Certificates: who is trusted, for which server, and that switching the check off stays where it was asked for."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from hubplug.errors import FetchError
from hubplug_http._certificate import issuer_in
from tests.plugins.http.driving import ARCHIVE, Signing, bring
from tests.servers import Reply, ScriptedServer, redirect


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA(organization_name="Example Corp", organization_unit_name="Private authority")


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    return str(tmp_path / "authority.pem")


def context_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[ScriptedServer]:
    with ScriptedServer("127.0.0.1", tls=context_of(authority.issue_cert("127.0.0.1"))) as running:
        running.on("/m", Reply(body=ARCHIVE))
        yield running


@pytest.fixture
def other_secure(authority: trustme.CA) -> Iterator[ScriptedServer]:
    with ScriptedServer("127.0.0.2", tls=context_of(authority.issue_cert("127.0.0.2"))) as running:
        running.on("/x", Reply(body=ARCHIVE))
        yield running


def test_an_unknown_authority_is_refused_and_named(secure: ScriptedServer) -> None:
    with pytest.raises(FetchError) as caught:
        bring(secure.url("/m"))
    assert f"TLS to 127.0.0.1:{secure.port} failed: issuer 'Example Corp' not trusted" in caught.value.message
    assert "ca_bundle" in str(caught.value.hint)
    assert secure.requests == []


def test_a_bundle_makes_it_trusted(secure: ScriptedServer, bundle: str) -> None:
    assert bring(secure.url("/m"), ca_bundle=bundle) == ARCHIVE


def test_a_bundle_can_be_named_for_one_prefix(
    secure: ScriptedServer, other_secure: ScriptedServer, bundle: str
) -> None:
    servers = {secure.url("/"): {"ca_bundle": bundle}}
    assert bring(secure.url("/m"), servers=servers) == ARCHIVE
    with pytest.raises(FetchError, match="not trusted"):
        bring(other_secure.url("/x"), servers=servers)


def test_requests_own_variable_names_a_bundle(
    secure: ScriptedServer, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    assert bring(secure.url("/m")) == ARCHIVE


def test_a_certificate_for_another_host_is_refused(authority: trustme.CA, bundle: str) -> None:
    with ScriptedServer(tls=context_of(authority.issue_cert("example.com"))) as server:
        with pytest.raises(FetchError, match=r"TLS to 127\.0\.0\.1:[0-9]+ failed .*not valid for '127.0.0.1'"):
            bring(server.url("/m"), ca_bundle=bundle)
        assert server.requests == []


def test_validation_is_switched_off_by_the_exact_word_only(
    secure: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert bring(secure.url("/m"), disable_cert_validation="true") == ARCHIVE
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING and one.name == "hubplug"]
    assert len(warnings) == 1
    assert f"127.0.0.1:{secure.port} is not verified" in warnings[0]
    for word in ("True", "1", "yes", "TRUE", "false", ""):
        with pytest.raises(FetchError, match="not trusted"):
            bring(secure.url("/m"), disable_cert_validation=word)


def test_a_word_without_effect_is_said_so(caplog: pytest.LogCaptureFixture, secure: ScriptedServer) -> None:
    with pytest.raises(FetchError):
        bring(secure.url("/m"), disable_cert_validation="1")
    assert "has no effect: only 'true' counts" in caplog.text


def test_an_unverified_connection_does_not_serve_a_verified_request(secure: ScriptedServer) -> None:
    assert bring(secure.url("/m"), verify=False) == ARCHIVE
    with pytest.raises(FetchError, match="not trusted"):
        bring(secure.url("/m"))


def test_a_redirect_does_not_inherit_that_verification_is_off(
    secure: ScriptedServer, other_secure: ScriptedServer
) -> None:
    secure.on("/m", redirect(other_secure.url("/x")))
    with pytest.raises(FetchError, match=f"TLS to 127.0.0.2:{other_secure.port} failed"):
        bring(secure.url("/m"), servers={secure.url("/"): {"verify": False}})
    assert other_secure.requests == []


def test_within_a_server_two_prefixes_do_not_share_a_connection(secure: ScriptedServer) -> None:
    secure.on("/open/m", redirect("/strict/m"))
    secure.on("/strict/m", Reply(body=ARCHIVE))
    with pytest.raises(FetchError, match="not trusted"):
        bring(secure.url("/open/m"), servers={secure.url("/open/"): {"verify": False}})
    assert [one.path for one in secure.requests] == ["/open/m"]


def test_a_client_certificate_is_shown(authority: trustme.CA, bundle: str, tmp_path: Path) -> None:
    context = context_of(authority.issue_cert("127.0.0.1"))
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    own = authority.issue_cert("client@example.com")
    own.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    own.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    with ScriptedServer(tls=context) as server:
        server.on("/m", Reply(body=ARCHIVE))
        assert bring(server.url("/m"), ca_bundle=bundle, client_cert=str(tmp_path / "both.pem")) == ARCHIVE
        two = [str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")]
        assert bring(server.url("/m"), ca_bundle=bundle, client_cert=two) == ARCHIVE
        with pytest.raises(FetchError):
            bring(server.url("/m"), ca_bundle=bundle, retries=0)


def test_https_to_http_is_refused_where_credentials_are_in_use(
    secure: ScriptedServer, server: ScriptedServer, bundle: str
) -> None:
    secure.on("/m", redirect(server.url("/x")))
    server.on("/x", Reply(body=ARCHIVE))
    for options, signing in [
        ({}, Signing(secure.url("/"), "canary")),
        ({}, Signing(server.url("/"), "canary")),
        ({"headers": {secure.url("/"): {"X-Api-Key": "canary"}}}, lambda url, redirected_from=None: None),
    ]:
        with pytest.raises(FetchError, match="redirects from https to http"):
            bring(secure.url("/m"), signing, ca_bundle=bundle, **options)
    assert server.requests == []


def test_https_to_http_without_credentials_is_followed_with_a_warning(
    secure: ScriptedServer, server: ScriptedServer, bundle: str, caplog: pytest.LogCaptureFixture
) -> None:
    secure.on("/m", redirect(server.url("/x")))
    server.on("/x", Reply(body=ARCHIVE))
    assert bring(secure.url("/m"), ca_bundle=bundle) == ARCHIVE
    assert "redirected from https to http" in caplog.text


def test_http_to_https_on_the_same_host_is_another_origin(
    secure: ScriptedServer, server: ScriptedServer, bundle: str
) -> None:
    server.on("/m", redirect(secure.url("/m")))
    signing = Signing(server.url("/"), "canary")
    assert (
        bring(server.url("/m"), signing, ca_bundle=bundle, headers={server.url("/"): {"X-Api-Key": "canary"}})
        == ARCHIVE
    )
    assert "canary" in server.requests[0].text
    assert "canary" not in secure.requests[0].text


def test_a_server_without_tls_behind_https(server: ScriptedServer) -> None:
    with pytest.raises(FetchError, match=f"TLS to 127.0.0.1:{server.port} failed"):
        bring(server.url("/m").replace("http:", "https:"), retries=0)


def test_dripping_over_tls_is_noticed(secure: ScriptedServer, bundle: str) -> None:
    secure.on("/m", Reply(body=ARCHIVE, drip=(1, 0.1), drip_from=20_000))
    with pytest.raises(FetchError, match="less than 1024 bytes/s"):
        bring(secure.url("/m"), ca_bundle=bundle, min_rate_window=0.6, retries=0)


def test_a_cut_body_over_tls_is_noticed(secure: ScriptedServer, bundle: str) -> None:
    secure.on("/m", Reply(body=ARCHIVE, cut_at=20_000))
    with pytest.raises(FetchError, match=f"stopped at 20,000 of {len(ARCHIVE):,} bytes"):
        bring(secure.url("/m"), ca_bundle=bundle, retries=0)


def test_the_issuer_is_read_from_a_certificate(authority: trustme.CA) -> None:
    pem = authority.issue_cert("127.0.0.1").cert_chain_pems[0].bytes().decode()
    assert issuer_in(ssl.PEM_cert_to_DER_cert(pem)) == "Example Corp"
