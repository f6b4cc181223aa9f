"""hubplug.lock and ``#sha256=``: nothing that differs from its pin is ever used, whatever path it came by."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hubplug
from hubplug.errors import ConfigError, DigestMismatch
from hubplug.files.lock_file import tree_digest
from hubplug.types import FileRecord, Handle, Source
from tests.core.small_plugins import toy_plugins

MakeHub = Callable[..., hubplug.Hub]

GOOD = hashlib.sha256(b"TOYBALL\ngood a").hexdigest()
OTHER = "0" * 64


@pytest.fixture
def texts() -> dict[str, str]:
    """What the server holds; a test may change it."""
    return {"a": "good a", "b": "bad b"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "hubplug.yaml").write_text("version: 1\nchain: []\n")
    return tmp_path / "project"


def hub_in(folder: Path, texts: dict[str, str], shelf: str = "shelf", **settings: Any) -> hubplug.Hub:
    lines = ["version: 1", "chain: []", *(f"{key}: {json.dumps(value)}" for key, value in settings.items())]
    (folder / "hubplug.yaml").write_text("\n".join(lines))
    return hubplug.Hub(folder / "hubplug.yaml", plugins=toy_plugins(folder / shelf, texts))


def test_an_archive_with_the_pinned_digest_is_fine(hub: hubplug.Hub) -> None:
    assert hub.resolve(f"toyball://a#sha256={GOOD}").path.is_dir()


def test_an_archive_with_another_digest_is_refused_and_not_kept(hub: hubplug.Hub, tmp_path: Path) -> None:
    with pytest.raises(DigestMismatch) as raised:
        hub.resolve(f"toyball://a#sha256={OTHER}")
    assert raised.value.message == (
        f"toyball://a: expected the archive with sha256 {OTHER}, got {GOOD}; it is not used"
    )
    assert raised.value.hint
    assert list((tmp_path / "shelf").iterdir()) == []


def test_single_files_have_no_archive_digest_to_be_compared(hub: hubplug.Hub) -> None:
    with pytest.raises(DigestMismatch, match="got files of which no digest is known"):
        hub.resolve(f"toy://a#sha256={GOOD}")


def test_a_directory_used_in_place_cannot_be_pinned(make_hub: MakeHub, tmp_path: Path) -> None:
    class Local:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle) -> Source:
            return Source(handle, handle.text, in_place=True)

    with pytest.raises(DigestMismatch, match="no digest is known"):
        make_hub(Local()).resolve(f"{tmp_path}#sha256={GOOD}")


def test_a_cache_that_answers_with_something_else_is_not_believed(make_hub: MakeHub, tmp_path: Path) -> None:
    class Careless:
        """Does not look at the pin."""

        @hubplug.hookimpl
        def hubplug_cache(self, source: Source) -> hubplug.Plan[hubplug.LocalModule]:
            return hubplug.Plan("use it", lambda produce: hubplug.LocalModule(tmp_path, source.handle))

    assert make_hub(Careless()).resolve("toyball://a").path == tmp_path
    with pytest.raises(DigestMismatch):
        make_hub(Careless()).resolve(f"toyball://a#sha256={GOOD}")


def test_pinning_writes_what_was_fetched_beside_the_configuration(folder: Path, texts: dict[str, str]) -> None:
    pins = hub_in(folder, texts).pin(["toyball://a", "toy://u:canary@b?t=canary"])
    pins.write()
    text = (folder / "hubplug.lock").read_text()
    assert "canary" not in text
    modules = json.loads(text)["modules"]
    assert sorted(modules) == ["toy://b?t=***", "toyball://a"]
    assert modules["toyball://a"]["archive_sha256"] == GOOD
    assert modules["toy://b?t=***"]["archive_sha256"] is None
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_the_lock_file_is_elsewhere_when_the_environment_says_so(
    folder: Path, texts: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HUBPLUG_LOCK", str(tmp_path / "other.lock"))
    hub_in(folder, texts).pin(["toyball://a"]).write()
    assert (tmp_path / "other.lock").is_file()
    assert not (folder / "hubplug.lock").exists()


def test_a_lock_file_that_is_named_and_not_there_is_warned_of(
    folder: Path,
    texts: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub_in(folder, texts).resolve("toyball://a")
    monkeypatch.setenv("HUBPLUG_LOCK", str(tmp_path / "other.lock"))
    hub_in(folder, texts).pin(["toyball://a"])
    assert caplog.messages == []
    hub_in(folder, texts).resolve("toyball://a")
    assert caplog.messages == [
        f"There is no {tmp_path / 'other.lock'}, which HUBPLUG_LOCK names: nothing is checked of toyball://a"
    ]


@pytest.mark.parametrize("handle", ["toyball://a", "toy://a"])
def test_what_has_changed_since_it_was_pinned_is_refused(folder: Path, texts: dict[str, str], handle: str) -> None:
    hub_in(folder, texts).pin([handle]).write()
    assert hub_in(folder, texts, "fresh").resolve(handle)
    texts["a"] = "good but another"
    with pytest.raises(DigestMismatch, match=f"{handle}: expected the (archive|tree) with sha256"):
        hub_in(folder, texts, "fresh2").resolve(handle)


def test_an_old_entry_that_differs_from_the_pinned_tree_is_refused(folder: Path, texts: dict[str, str]) -> None:
    hub = hub_in(folder, texts)
    shelf = hub.chain.members[1].plugin
    hub.resolve("toy://a")
    texts["a"] = "good but another"
    hub_in(folder, texts, "fresh").pin(["toy://a"]).write()
    again = hubplug.Hub(folder / "hubplug.yaml", plugins=[shelf, *toy_plugins(folder / "x", texts)])
    with pytest.raises(DigestMismatch, match="expected the tree with sha256"):
        again.resolve("toy://a")


def test_pinning_again_takes_the_new_content(folder: Path, texts: dict[str, str]) -> None:
    hub_in(folder, texts).pin(["toyball://a", "toyball://b"]).write()
    texts["a"] = "good but another"
    hub_in(folder, texts, "fresh", locked=True).pin(["toyball://a"]).write()
    assert hub_in(folder, texts, "fresh2", locked=True).resolve("toyball://a")
    assert sorted(json.loads((folder / "hubplug.lock").read_text())["modules"]) == ["toyball://a", "toyball://b"]


def test_a_typed_pin_that_disagrees_with_the_lock_file_is_an_error(folder: Path, texts: dict[str, str]) -> None:
    hub_in(folder, texts).pin(["toyball://a"]).write()
    with pytest.raises(DigestMismatch, match=f"asks for the archive with sha256 {OTHER}, and .* pins {GOOD}"):
        hub_in(folder, texts).resolve(f"toyball://a#sha256={OTHER}")


def test_two_handles_that_only_differ_in_their_secrets_are_told_apart(folder: Path, texts: dict[str, str]) -> None:
    hub_in(folder, texts).pin(["toyball://a?t=one"]).write()
    with pytest.raises(DigestMismatch, match="is not listed"):
        hub_in(folder, texts, locked=True).resolve("toyball://a?t=two")


def test_an_unlisted_handle_is_allowed_with_a_warning(
    folder: Path, texts: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    hub_in(folder, texts).pin(["toyball://a"]).write()
    with caplog.at_level(logging.WARNING, "hubplug"):
        hub_in(folder, texts).resolve("toyball://b?t=canary")
    (record,) = caplog.records
    assert record.getMessage() == (
        f"toyball://b?t=*** is not listed in {folder / 'hubplug.lock'}: its content is not checked"
    )


def test_without_a_lock_file_nothing_is_said(
    folder: Path, texts: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "hubplug"):
        hub_in(folder, texts).resolve("toyball://b")
    assert caplog.records == []


@pytest.mark.parametrize("present", [True, False])
def test_an_unlisted_handle_is_refused_when_locked(folder: Path, texts: dict[str, str], present: bool) -> None:
    if present:
        hub_in(folder, texts).pin(["toyball://a"]).write()
    with pytest.raises(DigestMismatch, match=r"toyball://b .*and the configuration says locked: true") as raised:
        hub_in(folder, texts, locked=True).resolve("toyball://b")
    assert raised.value.hint == "hubplug lock 'toyball://b'"


def test_a_pin_holds_for_a_handle_that_is_asked_for_instead(folder: Path, texts: dict[str, str]) -> None:
    class Corp:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle) -> Handle | None:
            return handle.instead("toyball://a") if handle.scheme == "corp" else None

    def hub(shelf: str) -> hubplug.Hub:
        return hubplug.Hub(folder / "hubplug.yaml", plugins=[Corp(), *toy_plugins(folder / shelf, texts)])

    hub("one").pin(["corp://m"]).write()
    texts["a"] = "good but another"
    with pytest.raises(DigestMismatch, match="corp://m: expected the archive"):
        hub("two").resolve("corp://m")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"version": 2, "modules": {}}', '{"version": 1}', '{"version": 1, "modules": {"a": {}}}',
     '{"version": 1, "modules": []}', '{"version": 1, "modules": {"a": 3}}', "\udcff"],
)  # fmt: skip
def test_a_damaged_lock_file_is_an_error_that_names_it(folder: Path, texts: dict[str, str], text: str) -> None:
    (folder / "hubplug.lock").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=r"hubplug\.lock is not a lock file of version 1") as raised:
        hub_in(folder, texts)
    assert raised.value.hint


def test_a_lock_file_that_cannot_be_written_is_an_error(folder: Path, texts: dict[str, str]) -> None:
    pins = hub_in(folder, texts).pin(["toyball://a"])
    (folder / "hubplug.lock").mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        pins.write()
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_what_is_used_in_place_has_no_record_to_be_pinned(make_hub: MakeHub, tmp_path: Path) -> None:
    class Local:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle) -> Source:
            return Source(handle, handle.text, in_place=True)

    with pytest.raises(ConfigError, match="has no record of its files"):
        make_hub(Local()).pin([str(tmp_path)])


def test_the_digest_of_a_tree_depends_on_every_path_size_and_content_but_not_on_the_order() -> None:
    a, b = FileRecord("a", 1, "x"), FileRecord("b", 2, "y")
    digests = {
        tree_digest(files)
        for files in ([a, b], [a], [b], [], [FileRecord("c", 1, "x"), b], [FileRecord("a", 2, "x"), b])
    }
    assert len(digests) == 6
    assert tree_digest([a, b]) == tree_digest([b, a])
    assert tree_digest([]) == hashlib.sha256(b"").hexdigest()
