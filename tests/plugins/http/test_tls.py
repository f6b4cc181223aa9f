"""Certificates: who is trusted, for which server, and that switching the check off stays where it was asked for."""

from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from hubplug.errors import ConfigError, FetchError
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


VARIABLES = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"]


@pytest.fixture
def hashed(bundle: str, tmp_path: Path) -> str:
    """A directory as OpenSSL wants it: its lookup is by the hash of the subject, which c_rehash makes names of."""
    (tmp_path / "hashed").mkdir()
    command = ["openssl", "x509", "-noout", "-subject_hash", "-in", bundle]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    (tmp_path / "hashed" / f"{name}.0").symlink_to(bundle)
    return str(tmp_path / "hashed")


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")


@needs_openssl
def test_a_certificate_that_signs_itself_is_refused_and_named(tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/O=Somebody/CN=Its own",
         "-keyout", tmp_path / "key", "-out", tmp_path / "certificate"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    with ScriptedServer("127.0.0.1", tls=context) as running, pytest.raises(FetchError, match="issuer 'Its own' not t"):
        bring(running.url("/m"))


@pytest.mark.parametrize("variable", VARIABLES[:3])
def test_a_variable_names_a_bundle(
    variable: str, secure: ScriptedServer, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, bundle)
    assert bring(secure.url("/m")) == ARCHIVE


@needs_openssl
def test_ssl_cert_dir_holds_alone_in_a_list_and_beside_ssl_cert_file(
    secure: ScriptedServer, hashed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "unrelated.pem")
    monkeypatch.setenv("SSL_CERT_DIR", hashed)
    assert bring(secure.url("/m")) == ARCHIVE
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "unrelated.pem"))
    assert bring(secure.url("/m")) == ARCHIVE
    monkeypatch.setenv("SSL_CERT_DIR", f"/no/such/directory:{hashed}")
    assert bring(secure.url("/m")) == ARCHIVE
    monkeypatch.delenv("SSL_CERT_DIR")
    with pytest.raises(FetchError, match="not trusted"):
        bring(secure.url("/m"))


@pytest.mark.parametrize("first", range(3))
def test_the_first_variable_counts(
    first: int, secure: ScriptedServer, bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "unrelated.pem")
    for place, variable in enumerate(VARIABLES[:3]):
        monkeypatch.setenv(variable, bundle if place == first else str(tmp_path / "unrelated.pem"))
        if place < first:
            monkeypatch.setenv(variable, "")
    assert bring(secure.url("/m")) == ARCHIVE
    monkeypatch.setenv(VARIABLES[first], str(tmp_path / "unrelated.pem"))
    with pytest.raises(FetchError, match="not trusted"):
        bring(secure.url("/m"))
    assert bring(secure.url("/m"), ca_bundle=bundle) == ARCHIVE


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_bundle_that_is_not_there_is_said_at_once(
    variable: str, secure: ScriptedServer, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setenv(variable, "/no/such/bundle")
    with pytest.raises(ConfigError, match=f"^{variable} names '/no/such/bundle', and there is no such file") as caught:
        bring(secure.url("/m"))
    assert variable in str(caught.value.hint)
    assert (secure.connections, caplog.records) == (0, [])
    server.on("/m", Reply(body=ARCHIVE))
    assert bring(server.url("/m")) == ARCHIVE
    assert bring(secure.url("/m"), verify=False) == ARCHIVE


@pytest.mark.parametrize(
    "content", [b"", b"canary", b"-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----\n"]
)
@pytest.mark.parametrize("variable", [*VARIABLES[:3], "ca_bundle"])
def test_a_bundle_without_certificates_is_said_at_once(
    variable: str, content: bytes, secure: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bundle").write_bytes(content)
    monkeypatch.setenv(variable, str(tmp_path / "bundle"))
    options = {"ca_bundle": str(tmp_path / "bundle")} if variable == "ca_bundle" else {}
    with pytest.raises(ConfigError, match=f"^{variable} names .*, which holds no certificates") as caught:
        bring(secure.url("/m"), **options)
    assert "canary" not in str(caught.value)
    assert secure.connections == 0


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


@pytest.fixture
def client(authority: trustme.CA, tmp_path: Path) -> str:
    """The file of a client's certificate and key."""
    authority.issue_cert("client@example.com").private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    return str(tmp_path / "client.pem")


@pytest.fixture
def curious(authority: trustme.CA) -> Iterator[tuple[ScriptedServer, list[bool]]]:
    """A second host that asks for a client certificate, and for each request whether it got one."""
    got: list[bool] = []
    context = context_of(authority.issue_cert("127.0.0.2"))
    context.verify_mode = ssl.CERT_OPTIONAL
    authority.configure_trust(context)
    context.sslsocket_class = type(
        "Noting",
        (ssl.SSLSocket,),
        {"do_handshake": lambda self, *a: (ssl.SSLSocket.do_handshake(self, *a), got.append(bool(self.getpeercert())))},
    )
    with ScriptedServer("127.0.0.2", tls=context) as running:
        running.on("/x", Reply(body=ARCHIVE))
        yield running, got


def test_a_client_certificate_is_not_presented_to_whom_a_redirect_leads(
    secure: ScriptedServer, curious: tuple[ScriptedServer, list[bool]], bundle: str, client: str
) -> None:
    there, got = curious
    secure.on("/m", redirect(there.url("/x")))
    both = {"ca_bundle": bundle, "client_cert": client}
    ways = [
        ({}, False),
        ({"prefixes": [secure.url("/")]}, False),
        ({"servers": {there.url("/"): {"retries": 1}}}, False),
        ({"servers": {there.url("/"): {"client_cert": client}}}, True),
        ({"prefixes": [secure.url("/"), there.url("/x/y")]}, True),
    ]
    for options, presented in ways:
        got.clear()
        assert bring(secure.url("/m"), **both, **options) == ARCHIVE
        assert got == [presented], options
    got.clear()
    assert bring(there.url("/x"), **both) == ARCHIVE
    assert got == [True]


def test_not_verifying_an_instances_servers_is_about_them_only(
    secure: ScriptedServer, other_secure: ScriptedServer
) -> None:
    secure.on("/m", redirect(other_secure.url("/x")))
    own = {"prefixes": [secure.url("/")]}
    with pytest.raises(FetchError, match=f"TLS to 127.0.0.2:{other_secure.port} failed"):
        bring(secure.url("/m"), verify=False, **own)
    assert bring(secure.url("/m"), disable_cert_validation="true", **own) == ARCHIVE


@needs_openssl
@pytest.mark.parametrize("together", [True, False])
def test_an_encrypted_client_key_is_an_error_and_no_question(
    together: bool, secure: ScriptedServer, bundle: str, client: str, tmp_path: Path
) -> None:
    plain, locked, cert = Path(client), tmp_path / "locked.pem", tmp_path / "cert.pem"
    command = ["openssl", "pkey", "-in", client, "-aes256", "-passout", "pass:canary", "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    text = plain.read_text()
    cert.write_text(text[text.index("-----BEGIN CERTIFICATE") :])
    (tmp_path / "both.pem").write_text(cert.read_text() + locked.read_text())
    files = str(tmp_path / "both.pem") if together else [str(cert), str(locked)]
    with pytest.raises(ConfigError, match="is encrypted, and hubplug does not ask for a pass phrase") as caught:
        bring(secure.url("/m"), ca_bundle=bundle, client_cert=files)
    assert "openssl pkey" in str(caught.value.hint)
    assert secure.connections == 0


@pytest.mark.parametrize("content", [b"", b"canary"])
def test_a_client_certificate_that_is_none_is_said_at_once(
    content: bytes, secure: ScriptedServer, bundle: str, tmp_path: Path
) -> None:
    (tmp_path / "client.pem").write_bytes(content)
    with pytest.raises(ConfigError, match=r"^client_cert: '.*client.pem' cannot be used"):
        bring(secure.url("/m"), ca_bundle=bundle, client_cert=str(tmp_path / "client.pem"))
    assert secure.connections == 0


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
