"""``hubplug bom``: valid CycloneDX 1.6, the same bytes each time, and no secrets."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import hubplug
from hubplug.cli.main import hubplug as command
from hubplug.errors import ConfigError, ExportError, ValidationError
from hubplug.testing import Reply, archive_of
from hubplug_signing._bom import bill_of_materials
from tests.plugins.hosting.trees import make_module, make_saved_model


def check(bill: dict[str, Any]) -> None:
    """Against the official schema, which this package brings."""
    schema = pytest.importorskip("cyclonedx.schema", reason="cyclonedx-python-lib is not installed")
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None


def properties(bill: dict[str, Any]) -> dict[str, str]:
    return {one["name"].removeprefix("hubplug:"): one["value"] for one in bill["metadata"]["component"]["properties"]}


@pytest.fixture
def module(tmp_path: Path) -> Path:
    return make_module(tmp_path / "module")


@pytest.mark.parametrize("make", [make_module, make_saved_model])
def test_a_bill_is_valid_and_names_every_file_with_its_digest(make, tmp_path):
    module = make(tmp_path / "publisher/model/3")
    bill = bill_of_materials(hubplug.Hub(), str(module))
    check(bill)
    files = {path.relative_to(module).as_posix(): path for path in module.rglob("*") if path.is_file()}
    assert {one["name"]: one["hashes"][0]["content"] for one in bill["components"]} == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()
    }
    model = bill["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "model", "3")
    assert model["modelCard"]["modelParameters"]["inputs"]
    assert properties(bill)["profile:complete"] in ("kept", "not kept")


def test_where_a_module_came_from_is_in_it_and_no_secret(module, server):
    archive = archive_of(module)
    server.always(Reply(body=archive, etag='"1"'))
    handle = server.url("/publisher/model/1.tar.gz?token=canary-token")
    bill = bill_of_materials(hubplug.Hub(), handle)
    check(bill)
    sha256 = hashlib.sha256(archive).hexdigest()
    (reference,) = bill["metadata"]["component"]["externalReferences"]
    assert reference["type"] == "distribution"
    assert reference["hashes"] == [{"alg": "SHA-256", "content": sha256}]
    said = properties(bill)
    assert said["pinned-handle"].endswith(f"#sha256={sha256}")
    assert said["fetched"] == bill["metadata"]["timestamp"]
    assert bill["metadata"]["component"]["group"] == "publisher"
    assert "canary-token" not in json.dumps(bill)
    assert ".hubplug.json" not in [one["name"] for one in bill["components"]]


def test_the_same_module_gives_the_same_bytes_at_the_time_that_is_said(module, monkeypatch, tmp_path):
    def made(name: str) -> bytes:
        done = CliRunner().invoke(command, ["bom", str(module), "-o", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        return (tmp_path / name).read_bytes()

    first = made("a.json")
    assert made("b.json") == first
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    second = made("c.json")
    assert json.loads(second)["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    os.utime(module / "saved_model.pb", (1, 1))
    assert made("d.json") == second
    (module / "assets/vocabulary.txt").write_bytes(b"other")
    assert json.loads(made("e.json"))["serialNumber"] != json.loads(second)["serialNumber"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(ConfigError, match="SOURCE_DATE_EPOCH"):
        bill_of_materials(hubplug.Hub(), str(module))


def test_the_licence_is_what_is_said_or_what_the_module_says(module):
    def licences(said: str | None = None) -> list[Any]:
        bill = bill_of_materials(hubplug.Hub(), str(module), said)
        check(bill)
        return bill["metadata"]["component"].get("licenses", [])

    assert licences() == []
    (module / "LICENSE").write_text("...")
    assert licences() == [{"license": {"name": "as in the file LICENSE"}}]
    (module / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# Words\n")
    assert licences() == [{"license": {"name": "apache-2.0"}}]
    assert licences("MIT OR Apache-2.0") == [{"expression": "MIT OR Apache-2.0"}]


def test_the_findings_are_in_it(signed, demanding):
    bill = bill_of_materials(demanding(), str(signed))
    check(bill)
    said = properties(bill)
    assert said["profile:signed"] == "kept"
    assert "models.pub" in said["finding:signed/by"]
    assert said["profile:safe"] == "kept"
    unknown = properties(bill_of_materials(hubplug.Hub(), str(signed)))
    assert unknown["profile:signed"] == "not checked"
    assert "by its own account" in unknown["signature"]


def test_a_module_that_is_refused_has_no_bill(signed, demanding):
    (signed / "model.sig").unlink()
    with pytest.raises(ValidationError, match="signed/unsigned"):
        bill_of_materials(demanding(), str(signed))


def test_what_is_in_a_module_cannot_spoil_the_bill(tmp_path):
    module = make_module(tmp_path / 'odd "name" \u202e', evil="\x1b[31m\n</script>")
    (module / "assets/\u202eodd <name>").write_text("x")
    bill = bill_of_materials(hubplug.Hub(), str(module))
    check(bill)
    assert "\u202e" not in json.dumps(bill, ensure_ascii=False)
    (module / "assets/link").symlink_to("vocabulary.txt")
    with pytest.raises(ExportError, match="symbolic link"):
        bill_of_materials(hubplug.Hub(), str(module))


def test_files_whose_names_look_alike_are_two(module):
    for name, text in (("\u202ex", "1"), ("\\u202ex", "2")):
        (module / "assets" / name).write_text(text)
    (module / os.fsdecode(b"assets/\xff")).write_text("3")
    bill = bill_of_materials(hubplug.Hub(), str(module))
    check(bill)
    references = [one["bom-ref"] for one in bill["components"]]
    assert len(set(references)) == len(references)
    assert bill["dependencies"] == [{"ref": "module", "dependsOn": references}]


def test_the_command_prints_it(module):
    done = CliRunner().invoke(command, ["bom", str(module)])
    assert done.exit_code == 0, done.output
    check(json.loads(done.stdout))
