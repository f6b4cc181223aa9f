"""``hubplug publish --sign``: what is published is signed, whole, and by nobody's leave but the key's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import hubplug
from hubplug.cli.main import hubplug as command
from hubplug.errors import ConfigError, ExportError, OccupiedError, OfflineError, ValidationError
from hubplug.files.signatures import SigningKey
from hubplug.testing import write_tiny_module
from hubplug_format import ModuleBuilder, write_module
from hubplug_hosting import ModuleServer, publish_module
from hubplug_signing import Signing
from tests.plugins.signing.keys import PASSWORD, Authority, Key


@pytest.fixture
def module(tmp_path: Path) -> Path:
    return write_tiny_module(tmp_path / "module")


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_what_is_published_and_signed_is_served_and_loaded_where_that_is_demanded(module, keys, demanding, tmp_path):
    before = names(module)
    done = CliRunner().invoke(
        command, ["publish", str(module), str(tmp_path / "models/m/1"), "--sign", str(keys / "models.key")]
    )
    assert done.exit_code == 0, done.output
    assert names(module) == before  # the empty directory is still there
    with ModuleServer(tmp_path / "models") as server:
        assert demanding(server.url).load_spec(f"{server.url}m/1").get_signature_names() == ["default"]
        other = demanding(server.url, {"key": str(keys / "other.pub")})
        with pytest.raises(ValidationError, match="signed/foreign"):
            other.load_spec(f"{server.url}m/1")


def test_a_tree_that_is_published_to_a_url_is_signed(module, keys, demanding, tmp_path):
    place = (tmp_path / "place").as_uri()
    memory = f"memory://signing-{tmp_path.name}/m/1"
    hub = hubplug.Hub()
    publish_module(hub, str(module), memory, key=SigningKey(keys / "models.key"))
    assert demanding("memory://").load_spec(memory)
    published = publish_module(hub, str(module), f"{place}/m/1", key=SigningKey(keys / "models.key"))
    assert demanding().load_spec(published.place)


def test_a_signature_that_is_there_is_replaced(signed, keys, demanding, tmp_path):
    publish_module(hubplug.Hub(), str(signed), str(tmp_path / "models/m/1"), key=SigningKey(keys / "other.key"))
    rule = {"key": str(keys / "other.pub")}
    assert demanding("", rule).load_spec(str(tmp_path / "models/m/1.tar.gz"))
    again = publish_module(hubplug.Hub(), str(signed), str(tmp_path / "models/m/2"))
    assert demanding().load_spec(again.place)  # and without a key, it is kept


def test_what_is_not_safe_or_has_a_place_that_is_taken_is_not_signed(module, keys, tmp_path):
    builder = ModuleBuilder()
    name = builder.placeholder("name", "string", [])
    builder.signature(inputs={"name": name}, outputs={"default": builder.node("ReadFile", [name], {}, shape=[])})
    write_module(tmp_path / "reader", builder)
    key = SigningKey(keys / "models.key")
    with pytest.raises(ValidationError, match="safe/reads-files") as caught:
        publish_module(hubplug.Hub(), str(tmp_path / "reader"), str(tmp_path / "models/r/1"), key=key)
    assert "/tmp/hubplug-" not in caught.value.message
    publish_module(hubplug.Hub(), str(module), str(tmp_path / "models/m/1"), key=key)
    with pytest.raises(OccupiedError):
        publish_module(hubplug.Hub(), str(module), str(tmp_path / "models/m/1"), key=key)


@pytest.mark.parametrize("name", ["Model.sig", "model.sig/file"])
def test_a_name_in_the_way_of_the_signature_is_named_where_it_is(name, module, keys, tmp_path):
    (module / name).parent.mkdir(exist_ok=True)
    (module / name).write_text("x")
    with pytest.raises(ExportError, match=str(module)) as caught:
        publish_module(hubplug.Hub(), str(module), str(tmp_path / "models/m/1"), key=SigningKey(keys / "models.key"))
    assert "/hubplug-" not in str(caught.value)
    assert "rename" in (caught.value.hint or "")


def test_a_chain_without_the_plugin_signs_nothing(module, keys, tmp_path):
    hub = hubplug.Hub({"disabled": ["signing"]})
    with pytest.raises(ConfigError, match="No plugin of the chain signs"):
        publish_module(hub, str(module), str(tmp_path / "models/m/1"), key=SigningKey(keys / "models.key"))
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("kind", ["missing", "public", "text", "rsa", "curve"])
def test_a_key_that_cannot_sign_is_named(kind, module, keys, tmp_path):
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = tmp_path / "key"
    if kind == "public":
        key.write_bytes((keys / "models.pub").read_bytes())
    elif kind == "text":
        key.write_text("no key")
    elif kind == "rsa":
        made = rsa.generate_private_key(65537, 2048)
        key.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    elif kind == "curve":
        key = Key(tmp_path, "curve", curve=ec.SECP256K1()).private
    with pytest.raises(ConfigError, match=str(key)):
        publish_module(hubplug.Hub(), str(module), str(tmp_path / "models/m/1"), key=SigningKey(key))
    assert not (tmp_path / "models").exists()


# Passwords


@pytest.fixture
def publish(module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs the command and gives what it printed; the password is nowhere in it."""

    def run(*options: str, status: int = 0, **variables: str) -> str:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        done = CliRunner().invoke(command, ["publish", str(module), str(tmp_path / "models/m/1"), *options])
        assert done.exit_code == status, done.output
        assert PASSWORD not in done.output
        return done.output

    return run


def test_a_password_comes_from_a_variable_that_is_named(publish, demanding, tmp_path):
    key = Key(tmp_path, "locked", password=PASSWORD)
    publish("--sign", str(key.private), "--password-env", "SECRET", SECRET=PASSWORD)
    assert demanding("", {"key": str(key.public)}).load_spec(str(tmp_path / "models/m/1.tar.gz"))


def test_without_a_terminal_no_password_is_asked_for(publish, tmp_path):
    key = Key(tmp_path, "locked", password=PASSWORD)
    assert "--password-env" in publish("--sign", str(key.private), status=2)
    assert "not set" in publish("--sign", str(key.private), "--password-env", "NO_SUCH_VARIABLE", status=2)
    said = publish("--sign", str(key.private), "--password-env", "SECRET", status=2, SECRET=f"{PASSWORD}x")
    assert "does not open" in said


@pytest.mark.parametrize(
    "options",
    [
        ("--certificate", "c"),
        ("--password-env", "P"),
        ("--keyless", "--sign", "k"),
        ("--keyless", "--certificate", "c"),
    ],
)
def test_options_that_do_not_go_together_are_a_mistake(options, publish):
    assert "Usage" in publish(*options, status=2)


# Certificates and Sigstore


def test_a_module_is_signed_with_a_certificate(publish, demanding, tmp_path):
    authority = Authority(tmp_path)
    key = Key(tmp_path, "release")
    certificate = authority.issue(key, "Model release")
    publish("--sign", str(key.private), "--certificate", str(certificate))
    rule = {"certificates": str(authority.roots), "name": "Model release"}
    assert demanding("", rule).load_spec(str(tmp_path / "models/m/1.tar.gz"))


def test_a_certificate_of_another_key_is_refused(publish, keys, tmp_path):
    certificate = Authority(tmp_path).issue(Key(tmp_path, "release"), "Model release")
    assert "does not match" in publish("--sign", str(keys / "models.key"), "--certificate", str(certificate), status=2)
    assert "no certificates" in publish(
        "--sign", str(keys / "models.key"), "--certificate", str(keys / "models.pub"), status=2
    )


def test_offline_nothing_is_signed_without_a_key(module, tmp_path):
    with pytest.raises(OfflineError, match="Sigstore"):
        publish_module(hubplug.Hub(offline=True), str(module), str(tmp_path / "models/m/1"), key=SigningKey(None))


# The same as others read and write it


def test_the_signature_is_one_of_model_signing_and_the_other_way_round(signed, keys, demanding):
    public, private = str(keys / "models.pub"), str(keys / "models.key")
    tool, signature = [sys.executable, "-m", "model_signing"], str(signed / "model.sig")
    done = subprocess.run(
        [*tool, "verify", "key", str(signed), "--signature", signature, "--public_key", public], capture_output=True
    )
    assert done.returncode == 0, done.stderr
    (signed / "model.sig").unlink()
    done = subprocess.run(
        [*tool, "sign", "key", str(signed), "--signature", signature, "--private_key", private], capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert demanding().load_spec(str(signed))
    (signed / ".git").mkdir()
    (signed / ".git/config").write_text("not signed by that tool")
    with pytest.raises(ValidationError, match=r"signed without .\.git/config."):
        demanding().load_spec(str(signed))


def test_what_no_signature_covers_is_not_signed(signed, keys):
    (signed / "variables/link").symlink_to("variables.index")
    with pytest.raises(ExportError, match="symbolic link"):
        Signing().sign_module(signed, SigningKey(keys / "models.key"), offline=True)
