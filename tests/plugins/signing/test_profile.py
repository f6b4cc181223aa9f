"""The profile ``signed``: everything in a module is covered, by whom it should be, or the module is refused."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

import hubplug
from hubplug.errors import ConfigError, ValidationError
from hubplug.files.signatures import SigningKey
from hubplug.testing import Reply, archive_of
from hubplug_signing import Signing
from tests.plugins.signing.conftest import write_signable_module
from tests.plugins.signing.keys import Authority, Key


def refused(hub: hubplug.Hub, handle: object) -> str:
    with pytest.raises(ValidationError) as caught:
        hub.load_spec(str(handle))
    return caught.value.message


def test_a_module_that_is_signed_as_demanded_is_loaded(signed, demanding):
    assert demanding().load_spec(str(signed)).get_signature_names() == ["default"]
    assert demanding().load_spec(signed.as_uri())
    (finding,) = demanding().validate(str(signed), ["signed"])
    assert (finding.rule, finding.level) == ("signed/by", "note")
    assert "models.pub" in finding.message


def _flip(module: Path, name: str) -> None:
    data = bytearray((module / name).read_bytes())
    data[-1] ^= 1
    (module / name).chmod(0o644)
    (module / name).write_bytes(data)


def _symlink(module: Path) -> None:
    (module / "variables/variables.index").rename(module.parent / "elsewhere")
    (module / "variables/variables.index").symlink_to(module.parent / "elsewhere")


def _write(module: Path, name: str, data: bytes = b"x") -> None:
    (module / name).parent.mkdir(parents=True, exist_ok=True)
    (module / name).write_bytes(data)


SPOILT = {
    "a flipped bit": (lambda m: _flip(m, "saved_model.pb"), "altered.*saved_model.pb"),
    "another checkpoint": (lambda m: _flip(m, "variables/variables.data-00000-of-00001"), "altered.*variables.data"),
    "an extra file": (lambda m: _write(m, "assets/extra.txt"), "altered.*signed without 'assets/extra.txt'"),
    "an extra hidden file": (lambda m: _write(m, ".keep"), "altered.*signed without"),
    "a renamed file": (lambda m: (m / "saved_model.pb").rename(m / "Saved_model.pb"), "saved_model.pb is missing"),
    "a symbolic link": (_symlink, "not-covered.*symbolic link"),
    "a link to a directory": (lambda m: (m / "more").symlink_to(m / "variables"), "not-covered.*symbolic link"),
    "a pipe": (lambda m: os.mkfifo(m / "pipe"), "not-covered.*neither a file"),
    "an empty directory": (lambda m: (m / "assets/empty").mkdir(parents=True), "not-covered.*'assets/empty' is empty"),
    "a file of git": (lambda m: _write(m, ".git/config"), "altered.*'.git/config'"),
    "a .gitattributes": (lambda m: _write(m, ".gitattributes"), "altered"),
    "a manifest that no cache wrote": (lambda m: _write(m, ".hubplug.json"), "altered.*'.hubplug.json'"),
    "a manifest that is a directory": (lambda m: _write(m, ".hubplug.json/payload"), "not-covered.*hubplug.json/payload"),
    "a manifest in other letters": (lambda m: _write(m, ".HUBPLUG.json"), "not-covered"),
    "a manifest in a directory": (lambda m: _write(m, "variables/.hubplug.json"), "altered"),
    "a second signature": (lambda m: _write(m, "Model.sig"), "altered.*'Model.sig'"),
    "a signature in a directory": (lambda m: _write(m, "variables/model.sig"), "altered"),
}  # fmt: skip


@pytest.mark.parametrize("how", SPOILT)
def test_whatever_is_done_to_a_signed_module_it_is_refused(how, signed, demanding):
    spoil, said = SPOILT[how]
    spoil(signed)
    with pytest.raises(hubplug.errors.HubplugError, match=said):
        demanding().load_spec(str(signed))


def test_a_missing_file_is_named(signed, demanding):
    (signed / "variables/variables.index").rename(signed / "variables/variables.index2")
    findings = demanding().validate(str(signed), ["signed"])
    assert "signed without 'variables/variables.index2'" in findings[0].message
    assert "signed with 'variables/variables.index'" in findings[0].message


def test_a_module_that_a_link_names_is_the_module(signed, demanding, tmp_path):
    (tmp_path / "newest").symlink_to(signed.name)
    assert demanding().load_spec(str(tmp_path / "newest"))
    (signed / "new").write_text("x")
    with pytest.raises(ValidationError, match="signed/altered"):
        demanding().load_spec(str(tmp_path / "newest"))


def test_of_a_whole_scheme_a_signature_can_be_demanded(signed, demanding, keys):
    with pytest.raises(ValidationError, match="signed/foreign"):
        demanding("file://", {"key": str(keys / "other.pub")}).load_spec(str(signed))

    class Corp:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle):
            return handle.instead(str(signed)) if handle.scheme == "corp" else None

    rules = [{"prefix": "corp://", "key": str(keys / "other.pub")}]
    plugins = {"signing": {"options": {"signers": rules}}}
    hub = hubplug.Hub({"validate": {"corp://": ["signed"]}, "plugins": plugins}, plugins=[Corp()])
    with pytest.raises(ValidationError, match="signed/foreign"):
        hub.load_spec("corp://team/m")


def test_a_hard_link_counts_as_the_file_that_it_is(signed, demanding, tmp_path):
    os.link(signed / "saved_model.pb", tmp_path / "second name")
    assert demanding().load_spec(str(signed))


def _as_directory(signature: Path) -> None:
    signature.unlink()
    _write(signature, "payload")


def _as_link(signature: Path) -> None:
    signature.rename(signature.parent.parent / "moved.sig")
    signature.symlink_to(signature.parent.parent / "moved.sig")


def _edited(**changes: object):
    def edit(signature: Path) -> None:
        bundle = json.loads(signature.read_bytes())
        for path, value in changes.items():
            target = bundle
            *above, last = path.split("__")
            for step in above:
                target = target[step]
            target[last] = value
        signature.write_text(json.dumps(bundle))

    return edit


def _other_payload(signature: Path) -> None:
    bundle = json.loads(signature.read_bytes())
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"]).replace(b'"method": "files"', b'"method":  "files"')
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    signature.write_text(json.dumps(bundle))


SIGNATURES = {
    "none": (Path.unlink, "signed/unsigned.*not signed.*publish --sign"),
    "empty": (lambda s: s.write_bytes(b""), "signed/damaged"),
    "cut": (lambda s: s.write_bytes(s.read_bytes()[:-20]), "signed/damaged"),
    "not JSON": (lambda s: s.write_bytes(b"\x00\xff"), "signed/damaged"),
    "another JSON": (lambda s: s.write_text("[1]"), "signed/damaged"),
    "nested deeply": (lambda s: s.write_text("[" * 200_000), "signed/damaged.*nested"),
    "huge": (lambda s: os.truncate(s, 1 << 40), "signed/damaged.*8,388,608"),
    "a directory": (_as_directory, "signed/damaged.*not a file"),
    "a link": (_as_link, "signed/damaged.*not a file"),
    "of another media type": (_edited(mediaType="application/json"), "signed/damaged.*media type"),
    "a message signature": (_edited(dsseEnvelope={"messageSignature": {}}), "signed/damaged"),
    "of nothing known": (_edited(verificationMaterial={"tlogEntries": []}), "signed/damaged"),
    "of two kinds": (_edited(verificationMaterial__certificate={"rawBytes": ""}), "signed/damaged"),
    "of a key without a hint": (_edited(verificationMaterial__publicKey={}), "signed/damaged.*hint"),
    "by another key": (_edited(verificationMaterial__publicKey={"hint": "00" * 32}), "signed/foreign.*0000.*models.pub"),
    "keyless, of nobody": (_edited(verificationMaterial={"certificate": {"rawBytes": "AAAA"}}), "signed/(foreign|damaged)"),
    "of a signed payload that was edited": (_other_payload, "signed/invalid.*models.pub"),
    "of another payload type": (_edited(dsseEnvelope__payloadType="text/plain"), "signed/damaged"),
    "without signatures": (_edited(dsseEnvelope__signatures=[]), "signed/damaged"),
}  # fmt: skip


@pytest.mark.parametrize("how", SIGNATURES)
def test_a_signature_that_is_none_is_told_apart_and_refused(how, signed, demanding):
    spoil, said = SIGNATURES[how]
    spoil(signed / "model.sig")
    with pytest.raises(ValidationError, match=said):
        demanding().load_spec(str(signed))


def test_every_flipped_bit_of_a_signature_is_refused_or_means_the_same(signed, demanding):
    hub = demanding()
    signature = signed / "model.sig"
    original = signature.read_bytes()
    accepted = 0
    for position in range(0, len(original), 7):
        data = bytearray(original)
        data[position] ^= 1 << (position % 8)
        signature.write_bytes(data)
        if hub.validate(str(signed), ["signed"])[0].rule == "signed/by":
            accepted += 1  # in what nobody reads: keyid, tlogEntries
    assert accepted <= 3


def test_a_signature_of_another_version_is_none_of_this_one(signed, demanding, keys, tmp_path):
    other = write_signable_module(tmp_path / "other", scale=3.0)
    Signing().sign_module(other, SigningKey(keys / "models.key"), offline=True)
    shutil.copy(other / "model.sig", signed / "model.sig")
    assert "signed/altered" in refused(demanding(), signed)


def test_who_signs_with_another_key_is_refused(signed, demanding, keys):
    Signing().sign_module(signed, SigningKey(keys / "other.key"), offline=True)
    said = refused(demanding(), signed)
    assert "signed/foreign" in said
    assert "models.pub" in said


def test_a_payload_can_be_smuggled_under_no_second_name(signed, demanding, keys):
    """model-signing reads the bundle with another parser, to which these names mean the same."""
    bundle = json.loads((signed / "model.sig").read_bytes())
    envelope = json.loads(json.dumps(bundle["dsseEnvelope"]))
    statement = json.loads(base64.b64decode(envelope["payload"]))
    statement["predicate"]["resources"].append({"name": "assets/extra", "algorithm": "sha256", "digest": "00" * 32})
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    _write(signed, "assets/extra")
    for first, second in (("dsseEnvelope", "dsse_envelope"), ("dsse_envelope", "dsseEnvelope")):
        (signed / "model.sig").write_text(json.dumps({**bundle, first: bundle["dsseEnvelope"], second: envelope}))
        refused(demanding(), signed)


# Where rules come from


def test_without_a_rule_for_its_prefix_a_module_is_refused(signed, tmp_path):
    hub = hubplug.Hub({"validate": {tmp_path.as_uri(): ["signed"]}})
    said = refused(hub, signed)
    assert "signed/no-signer" in said
    assert "hubplug.yaml" in said


def test_of_prefixes_the_longest_counts_and_rules_with_one_are_alternatives(signed, demanding, keys, tmp_path):
    good, other = str(keys / "models.pub"), str(keys / "other.pub")
    above, exact = tmp_path.as_uri(), signed.as_uri()

    def hub(*rules: tuple[str, str]) -> hubplug.Hub:
        signers = [{"prefix": prefix, "key": key} for prefix, key in rules]
        return hubplug.Hub({"validate": {above: ["signed"]}, "plugins": {"signing": {"options": {"signers": signers}}}})

    assert hub((above, other), (exact, good)).load_spec(str(signed))
    refused(hub((above, good), (exact, other)), signed)
    assert hub((exact, other), (exact, good)).load_spec(str(signed))


def test_a_prefix_is_the_same_however_it_is_written(signed, keys, server):
    server.always(Reply(body=archive_of(signed)))
    prefix = server.url("")
    for names in (("models.pub", "other.pub"), ("other.pub", "models.pub")):
        signers = [
            {"prefix": written, "key": str(keys / name)}
            for written, name in zip((prefix, f"{prefix.upper()}/"), names, strict=True)
        ]
        plugins = {"signing": {"options": {"signers": signers}}}
        hub = hubplug.Hub({"validate": {prefix: ["signed"]}, "plugins": plugins})
        assert hub.load_spec(server.url("/m"))


def test_where_a_system_has_no_files_in_memory_a_temporary_one_will_do(signed, demanding, monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    assert demanding().load_spec(str(signed))
    _flip(signed, "saved_model.pb")
    assert "signed/altered" in refused(demanding(), signed)


def test_where_two_rules_hold_for_the_places_of_a_module_both_have_to_be_content(signed, keys, server):
    server.always(Reply(body=archive_of(signed)))

    class Corp:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle):
            return handle.instead(server.url("/m")) if handle.scheme == "corp" else None

    def hub(*names: str) -> hubplug.Hub:
        signers = [
            {"prefix": prefix, "key": str(keys / name)}
            for prefix, name in zip(("corp://m", server.url("/")), names, strict=True)
        ]
        config = {"validate": {"corp://m": ["signed"]}, "plugins": {"signing": {"options": {"signers": signers}}}}
        return hubplug.Hub(config, plugins=[Corp()])

    assert hub("models.pub", "models.pub").load_spec("corp://m")
    refused(hub("models.pub", "other.pub"), "corp://m")
    refused(hub("other.pub", "models.pub"), "corp://m")


@pytest.mark.parametrize("content", [None, "", "no key", "private", "directory"])
def test_a_key_file_that_cannot_be_used_refuses_all(content, signed, demanding, keys, tmp_path):
    key = tmp_path / "configured.pub"
    if content == "private":
        shutil.copy(keys / "models.key", key)
    elif content == "directory":
        key.mkdir()
    elif content is not None:
        key.write_text(content)
    hub = demanding("", {"key": str(key)})
    said = refused(hub, signed)
    assert "signed/not-checked" in said
    assert str(key) in said
    if content == "private":
        assert "private key" in said
    ((_, plugin),) = hub.instances(Signing)
    assert str(key) in plugin.find_problems()[0]


def test_without_the_library_nothing_is_signed(signed, demanding, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] in ("model_signing", "OpenSSL")]:
        monkeypatch.delitem(sys.modules, name)
    for missing in ("OpenSSL", "model_signing"):
        monkeypatch.setitem(sys.modules, missing, None)
        said = refused(demanding(), signed)
        assert "signed/not-checked" in said
        assert "hubplug[signing]" in said


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({}, "one kind of signer"),
        ({"key": "a", "identity": "b"}, "one kind of signer"),
        ({"key": ""}, "key: expected"),
        ({"key": "a", "name": "b"}, "name: this is for another kind"),
        ({"certificates": "a"}, "name: expected"),
        ({"identity": "a"}, "issuer: expected"),
        ({"key": "a", "prefix": "hub.example.com/"}, "prefix: expected the beginning of a URL"),
        ({"key": "a", "prefix": "https://hub.example.com/?x"}, "prefix: expected the beginning of a URL"),
    ],
)
def test_a_rule_that_names_nobody_is_an_error(rule, said, demanding):
    with pytest.raises(ConfigError, match=said):
        demanding("https://hub.example.com/", rule)


def test_a_file_that_was_merely_found_names_no_keys(tmp_path, monkeypatch, keys):
    (tmp_path / "hubplug.yaml").write_text(
        f"version: 1\nplugins: {{signing: {{options: {{signers: [{{prefix: 'https://h/', key: {keys}/other.pub}}]}}}}}}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HUBPLUG_CONFIG", raising=False)
    with pytest.raises(ConfigError, match="merely found"):
        hubplug.Hub()


# Where modules come from


def test_a_module_is_checked_when_it_is_fetched_and_each_time_it_is_taken_from_the_cache(signed, demanding, server):
    server.always(Reply(body=archive_of(signed)))
    hub = demanding(server.url("/"))
    assert hub.load_spec(server.url("/m"))
    assert hub.load_spec(server.url("/m"))
    assert len(server.requests) == 1
    entry = hub.resolve(server.url("/m")).path
    # An entry as tensorflow_hub writes it, of which the cache itself knows nothing.
    (entry / ".hubplug.json").unlink()
    assert hub.load_spec(server.url("/m"))
    _flip(entry, "saved_model.pb")
    assert "signed/altered" in refused(hub, server.url("/m"))
    assert len(server.requests) == 1


def test_an_unsigned_module_of_a_server_is_refused(tiny_archive, demanding, server):
    server.always(Reply(body=tiny_archive))
    assert "signed/unsigned" in refused(demanding(server.url("/")), server.url("/m"))


def test_a_signature_that_is_exchanged_in_the_cache_is_noticed(signed, demanding, keys, server):
    server.always(Reply(body=archive_of(signed)))
    hub = demanding(server.url("/"))
    hub.load_spec(server.url("/m"))
    entry = hub.resolve(server.url("/m")).path
    Signing().sign_module(signed, SigningKey(keys / "other.key"), offline=True)
    (entry / ".hubplug.json").unlink()
    (entry / "model.sig").chmod(0o644)
    shutil.copy(signed / "model.sig", entry / "model.sig")
    assert "signed/foreign" in refused(hub, server.url("/m"))


# Certificates and identities


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    (tmp_path / "ca").mkdir()
    return Authority(tmp_path / "ca")


def sign_with_certificate(module: Path, authority: Authority, name: str, email: str = "", **usage: bool) -> None:
    key = Key(authority.folder, name.replace(" ", "-"))
    certificate = authority.issue(key, name, email, **usage)
    Signing().sign_module(module, SigningKey(key.private, certificate), offline=True)


@pytest.mark.parametrize("name", ["Model release", "release@example.com", "*"])
def test_a_certificate_counts_by_the_name_that_it_has(name, signed, demanding, authority):
    sign_with_certificate(signed, authority, "Model release", "release@example.com")
    assert demanding("", {"certificates": str(authority.roots), "name": name}).load_spec(str(signed))


def test_a_certificate_of_someone_else_from_the_same_authority_is_refused(signed, demanding, authority):
    sign_with_certificate(signed, authority, "www.example.com")
    said = refused(demanding("", {"certificates": str(authority.roots), "name": "Model release"}), signed)
    assert "signed/foreign" in said
    assert "www.example.com" in said


def test_a_certificate_of_the_same_name_from_another_authority_is_refused(signed, demanding, authority, tmp_path):
    (tmp_path / "forged").mkdir()
    sign_with_certificate(signed, Authority(tmp_path / "forged"), "Model release")
    rule = {"certificates": str(authority.roots), "name": "Model release"}
    assert "signed/invalid" in refused(demanding("", rule), signed)


@pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated:DeprecationWarning")  # of model-signing
def test_a_certificate_that_may_not_sign_is_refused(signed, demanding, authority):
    sign_with_certificate(signed, authority, "Model release", signs=False)
    rule = {"certificates": str(authority.roots), "name": "Model release"}
    assert "cannot be used for signing" in refused(demanding("", rule), signed)


def test_what_a_certificate_says_is_shown_harmlessly(signed, demanding, authority):
    sign_with_certificate(signed, authority, "evil\x1b[31m\nname")
    said = refused(demanding("", {"certificates": str(authority.roots), "name": "Model release"}), signed)
    assert "\x1b" not in said
    assert "\n" not in said


def test_a_signature_of_another_kind_is_foreign(signed, demanding, authority):
    rule = {"certificates": str(authority.roots), "name": "Model release"}
    assert "signed/foreign" in refused(demanding("", rule), signed)
    rule = {"identity": "me@example.com", "issuer": "https://accounts.example.com"}
    assert "signed/foreign" in refused(demanding("", rule), signed)


@pytest.mark.parametrize("data", [b"", b"no certificate", bytes(range(256))])
def test_a_certificate_that_is_none_is_a_damaged_signature(data, signed, demanding, authority):
    sign_with_certificate(signed, authority, "Model release")
    chain = {"certificates": [{"rawBytes": base64.b64encode(data).decode()}]}
    _edited(verificationMaterial={"x509CertificateChain": chain})(signed / "model.sig")
    rule = {"certificates": str(authority.roots), "name": "*"}
    assert re.search("signed/(damaged|invalid)", refused(demanding("", rule), signed))
    assert Signing().signature_of(signed).state == "refused"


def test_who_signed_can_be_asked_where_the_library_is_not_installed(signed, authority, keys, monkeypatch):
    sign_with_certificate(signed, authority, "Model release")
    for missing in ("cryptography", "model_signing", "OpenSSL"):
        for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, missing, None)
    rules = {"prefix": "https://h/", "key": str(keys / "models.pub")}
    assert Signing().signature_of(signed).state == "not verified"
    assert Signing(signers=[rules]).signature_of(signed).state == "not verified"


def test_offline_no_server_is_asked_what_sigstore_trusts(signed, demanding, authority):
    sign_with_certificate(signed, authority, "me@example.com")
    bundle = json.loads((signed / "model.sig").read_bytes())
    chain = bundle["verificationMaterial"].pop("x509CertificateChain")
    bundle["verificationMaterial"]["certificate"] = chain["certificates"][0]
    (signed / "model.sig").write_text(json.dumps(bundle))
    rule = {"identity": "me@example.com", "issuer": "https://accounts.example.com"}
    said = refused(demanding("", rule, offline=True), signed)
    assert "signed/not-checked" in said
    assert "trust_config" in said
