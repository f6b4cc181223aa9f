"""``hf://``: revisions become commits, private and gated repositories, the cache without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import hubplug
from hubplug.errors import (
    AccessError,
    DigestMismatch,
    FetchError,
    HandleError,
    MissingError,
    OfflineError,
)
from hubplug.testing import Reply, ResolveContract, ScriptedServer, archive_of, redirect
from hubplug_fsspec import Fsspec
from tests.plugins.fsspec.hugging_face import REPOSITORY, TOKEN, StandIn

pytest.importorskip("huggingface_hub")

HANDLE = f"hf://{REPOSITORY}"
MakeHub = Callable[..., hubplug.Hub]


@pytest.fixture(autouse=True)
def _no_token_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants as constants

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))


@pytest.fixture
def storage() -> Iterator[ScriptedServer]:
    with ScriptedServer("127.0.0.2") as running:
        yield running


@pytest.fixture
def hugging_face(server: ScriptedServer, tiny_module: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn(server)
    stand_in.push("main", files_of(tiny_module))
    monkeypatch.setenv("HF_ENDPOINT", server.url(""))
    return stand_in


def files_of(folder: Path, inside: str = "") -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {inside + path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_a_branch_is_brought_as_the_commit_that_it_is(
    make_hub: MakeHub, hugging_face: StandIn, tiny_module: Path
) -> None:
    module = make_hub().resolve(HANDLE)
    commit = hugging_face.branches["main"]
    assert module.handle.text == f"hf://{REPOSITORY}@{commit}"
    assert files_of(tiny_module).items() <= files_of(module.path).items()
    assert make_hub().resolve(f"{HANDLE}@{commit}").path == module.path
    assert module.provenance is not None
    assert module.provenance.handle == module.handle.text


def test_a_folder_and_an_archive_of_a_tag(
    make_hub: MakeHub, hugging_face: StandIn, tiny_module: Path, tiny_archive: bytes
) -> None:
    commit = hugging_face.push("v2", {"m.tar.gz": tiny_archive, **files_of(tiny_module, "sub/folder/")})
    for handle in (f"{HANDLE}/sub/folder@v2", f"{HANDLE}@v2/sub/folder", f"{HANDLE}/m.tar.gz@v2"):
        module = make_hub().resolve(handle)
        assert commit in module.handle.text
        assert (module.path / "tfhub_module.pb").is_file()


def test_a_locked_revision_stays_and_offline_the_last_one_is_used(
    make_hub: MakeHub, hugging_face: StandIn, tiny_module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBPLUG_LOCK", str(tmp_path / "hubplug.lock"))
    make_hub().pin([HANDLE]).write()
    first = hugging_face.branches["main"]
    second = hugging_face.push("main", {**files_of(tiny_module), "NOTE": b"new"})
    assert first in make_hub(locked=True).resolve(HANDLE).handle.text
    monkeypatch.delenv("HUBPLUG_LOCK")
    assert second in make_hub().resolve(HANDLE).handle.text
    asked = len(hugging_face.server.requests)
    assert second in make_hub(offline=True).resolve(HANDLE).handle.text
    with pytest.raises(OfflineError):
        make_hub(offline=True).resolve(f"{HANDLE}@v9")
    assert len(hugging_face.server.requests) == asked


@pytest.mark.parametrize("where", ["HF_TOKEN", "storage_options"])
@pytest.mark.parametrize("kind", ["gated", "private"])
def test_the_users_token_opens_what_is_gated_or_private_and_stays_with_the_hub(
    kind: str,
    where: str,
    make_hub: MakeHub,
    hugging_face: StandIn,
    storage: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setattr(hugging_face, kind, True)
    hugging_face.storage = storage
    with pytest.raises((AccessError, MissingError)) as raised:
        make_hub().resolve(HANDLE)
    assert f"{hugging_face.server.url('/')}{REPOSITORY}" in str(raised.value.hint)
    assert "HF_TOKEN" in str(raised.value.hint)
    options = {}
    if where == "HF_TOKEN":
        monkeypatch.setenv("HF_TOKEN", TOKEN)
    else:
        options = {"fsspec": {"options": {"storage_options": {"hf": {"token": TOKEN}}}}}
    assert make_hub(plugins=options).resolve(HANDLE).path.is_dir()
    assert any(TOKEN in request.text for request in hugging_face.server.requests)
    assert storage.requests
    assert all(TOKEN not in request.text for request in storage.requests)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_of_the_api_takes_the_token_along(
    status: int,
    make_hub: MakeHub,
    hugging_face: StandIn,
    storage: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hugging_face.server.always(redirect(storage.url("/elsewhere"), status))
    with pytest.raises(hubplug.HubplugError):
        make_hub().resolve(HANDLE)
    assert storage.requests
    assert all(TOKEN not in request.text for request in storage.requests)


@pytest.mark.parametrize("handle", ["hf://team/nothing", f"{HANDLE}@no-such-branch", f"{HANDLE}/no/such/folder"])
def test_what_is_not_there_is_missing(handle: str, make_hub: MakeHub, hugging_face: StandIn) -> None:
    with pytest.raises(MissingError):
        make_hub().resolve(handle)


@pytest.mark.parametrize(
    "reply", [Reply(body=b"<html>"), Reply(body=b"{}"), Reply(500), Reply(body=b'{"id": "x", "sha": "main"}')]
)
def test_an_answer_that_makes_no_sense_is_an_error_of_one_line(
    reply: Reply, make_hub: MakeHub, hugging_face: StandIn
) -> None:
    hugging_face.server.always(reply)
    with pytest.raises(FetchError) as raised:
        make_hub().resolve(HANDLE)
    assert "\n" not in raised.value.message


def test_a_file_that_is_shorter_than_announced_is_not_kept(
    make_hub: MakeHub, hugging_face: StandIn, tiny_module: Path
) -> None:
    real = hugging_face.answer

    def short(request: object) -> Reply:
        reply = real(request)  # type: ignore[arg-type]
        return Reply(body=reply.body[:-1], etag='"1"', ranges=True) if "/resolve/" in request.path else reply  # type: ignore[attr-defined]

    hugging_face.server.always(short)
    with pytest.raises(hubplug.HubplugError):
        make_hub().resolve(HANDLE)
    hugging_face.server.always(real)
    assert make_hub().resolve(HANDLE).path.is_dir()


@pytest.mark.parametrize("handle", [HANDLE, f"{HANDLE}/m.tar"])
def test_a_file_that_has_not_the_digest_that_the_hub_says_is_not_kept(
    handle: str, make_hub: MakeHub, hugging_face: StandIn, tiny_module: Path
) -> None:
    if handle != HANDLE:
        hugging_face.push("main", {"m.tar": archive_of(tiny_module, "")})
    real = hugging_face.answer

    def flipped(request: object) -> Reply:
        reply = real(request)  # type: ignore[arg-type]
        if request.path.endswith(("saved_model.pb", ".tar")) and "/resolve/" in request.path:  # type: ignore[attr-defined]
            data = bytearray(reply.body)
            data[len(reply.body.rstrip(b"\0")) - 1] ^= 1  # of the last file in the archive, which has no checksum of it
            return Reply(body=bytes(data), etag='"1"', ranges=True, headers=reply.headers)
        return reply

    hugging_face.server.always(flipped)
    with pytest.raises(DigestMismatch, match=r"(saved_model\.pb|m\.tar): expected sha256"):
        make_hub().resolve(handle)
    hugging_face.server.always(real)
    assert make_hub().resolve(handle).path.is_dir()


@pytest.mark.parametrize(
    "text", ["team", "team/", "team/model@", "team/../x", "te am/model", "team/model@..", "team/model?x=1"]
)
def test_a_handle_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(HandleError):
        Fsspec().hubplug_resolve(hubplug.Handle.parse(f"hf://{text}"))  # type: ignore[attr-defined]


class TestHuggingFaceResolves(ResolveContract):
    @pytest.fixture
    def plugin(self, hugging_face: StandIn) -> Fsspec:
        return Fsspec()

    @pytest.fixture
    def handles(self) -> list[str]:
        return [f"{HANDLE}@{'0' * 40}"]

    @pytest.fixture
    def latest_handles(self) -> list[str]:
        return [HANDLE, f"{HANDLE}@main"]

    @pytest.fixture
    def unreachable_plugin(self, closed_port: int) -> Fsspec:
        return Fsspec(storage_options={"hf": {"endpoint": f"http://127.0.0.1:{closed_port}"}})
