"""What `hubplug explain` says about the credentials of a store: what its client will use, no secret, and no socket."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from click.testing import CliRunner

from hubplug.cli.main import hubplug
from hubplug.hub import Hub
from hubplug_fsspec._credentials import describe_credentials

SECRET = "CANARY-k8Zq-secret"


@pytest.mark.parametrize(
    ("scheme", "options", "said"),
    [
        ("gs", {}, "what gcsfs finds: Google's default credentials, else the metadata service"),
        ("gs", {"project": "p", "endpoint_url": "http://127.0.0.1:1"}, "what gcsfs finds: "),
        ("gs", {"token": "anon"}, "anonymous requests, as storage_options say"),
        ("gs", {"token": "google_default"}, "Google's default credentials, as storage_options say"),
        ("gs", {"token": SECRET}, "storage_options of the plugin fsspec: token"),
        ("s3", {}, "what s3fs finds: the variables AWS_*"),
        ("s3", {"anon": True}, "anonymous requests, as storage_options say"),
        ("s3", {"anon": False}, "what s3fs finds: "),
        ("s3", {"secret": SECRET, "key": "k"}, "storage_options of the plugin fsspec: key, secret"),
        ("oss", {}, "what fsspec's file system of oss finds by itself"),
        ("memory", {}, "none: it is in this process"),
    ],
)
def test_the_credentials_of_a_store_are_named(scheme: str, options: dict[str, Any], said: str) -> None:
    described = describe_credentials(scheme, options)
    assert described.startswith(said)
    assert SECRET not in described


@pytest.mark.parametrize("arguments", [["gs://bucket/m.tar.gz"], ["--export", "gs://bucket/m"]])
def test_explain_shows_them_instead_of_unsigned_requests_and_opens_no_socket(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    options = {"fsspec": {"options": {"storage_options": {"gs": {"token": SECRET}}}}}
    with Hub({"chain": ["fsspec", "archive", "tf1"], "plugins": options}).activate():
        shown = CliRunner().invoke(hubplug, ["explain", *arguments], catch_exceptions=False).output
        rows = json.loads(CliRunner().invoke(hubplug, ["explain", *arguments, "--format", "json"]).output)
    assert shown.splitlines()[-1] == "auth     fsspec: storage_options of the plugin fsspec: token"
    assert rows[-1]["hook"] == "hubplug_auth"
    assert rows[-1]["plan"] == "storage_options of the plugin fsspec: token"
    assert "unsigned" not in shown
    assert SECRET not in shown
