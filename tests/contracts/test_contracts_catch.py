"""Contracts that cannot fail are worth nothing: each is shown a plugin that breaks it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hubplug
from hubplug.entries import CacheEntries, CacheEntry, find_faults
from hubplug.errors import FetchError, FormatError, MissingError, PluginError
from hubplug.spec import ExportRequest
from hubplug.testing import (
    AuthContract,
    CacheContract,
    ExportContract,
    FetchContract,
    LoadFormatContract,
    PublishContract,
    ResolveContract,
    UnpackContract,
    ValidateContract,
    watching,
)
from hubplug.testing._cache import Producer
from hubplug.testing._contract import CANARY
from hubplug.types import ArchiveStream, Finding, Handle, LocalModule, Plan, Source
from tests.core.small_plugins import TextSpec

caught = pytest.raises((AssertionError, PluginError, pytest.fail.Exception))


def plugin(hook: str, answer: Callable[..., Any]) -> object:
    """An object with one hook."""
    names = (
        getattr(hubplug.hookspecs, hook).__code__.co_varnames[:1] if hook != "hubplug_validate" else ("spec", "profile")
    )
    scope: dict[str, Any] = {"answer": answer}
    exec(f"def {hook}(self, {', '.join(names)}): return answer({', '.join(names)})", scope)
    return type("Plugin", (), {hook: hubplug.hookimpl(scope[hook])})()


def test_the_right_hook_is_demanded() -> None:
    other = plugin("hubplug_auth", lambda request: None)
    with caught:
        ResolveContract().test_it_fits_into_a_chain(other)


def test_deciding_with_deeds_is_caught(tmp_path: Path) -> None:
    def writes(handle: Handle) -> Source:
        (tmp_path / "x").write_text("x")
        return Source(handle, handle.text)

    with pytest.raises(AssertionError, match="decides, and only its plan acts"):
        ResolveContract().test_it_answers_for_its_handles(plugin("hubplug_resolve", writes), ["corp://m"])


def test_sockets_processes_and_files_are_noticed_and_reading_is_not(tmp_path: Path) -> None:
    import socket
    import subprocess
    import sys

    with watching() as deeds, socket.socket() as one:
        one.connect_ex(("127.0.0.1", 9))
        subprocess.run([sys.executable, "-c", ""], check=True)
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "f").write_text("x")
    kinds = [deed.kind for deed in deeds]
    assert {"network", "process", "write"} <= set(kinds)
    with watching() as deeds:
        (tmp_path / "d" / "f").read_text()
        (tmp_path / "d").stat()
        list(tmp_path.iterdir())
    assert deeds == []
    (tmp_path / "after").write_text("x")
    assert deeds == []


def test_byte_code_of_what_is_imported_is_no_deed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_module_of_this_test.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    with watching() as deeds:
        import_module("a_module_of_this_test")
    assert list(tmp_path.glob("__pycache__/*.pyc"))
    assert deeds == []
    with watching() as deeds, os.fdopen(os.open(tmp_path / "written", os.O_CREAT | os.O_WRONLY), "w") as file:
        file.write("x")
    assert [deed.kind for deed in deeds] == ["write"]


@pytest.mark.parametrize(
    ("test", "answer"),
    [
        ("test_it_answers_for_its_handles", lambda handle: None),
        ("test_it_answers_for_its_handles", lambda handle: handle.text),
        ("test_it_declines_what_it_does_not_know", lambda handle: Source(handle, handle.text)),
        ("test_it_declines_what_it_does_not_know", lambda handle: False),
        ("test_it_answers_the_same_every_time", lambda handle, c=iter("ab"): Source(handle, next(c))),
        ("test_it_keeps_the_pin_and_where_the_handle_came_from", lambda handle: Handle.parse("https://h/m")),
        ("test_it_shows_no_secret", lambda handle: hubplug.Declined(f"not {handle.text}")),
    ],
)
def test_resolve(test: str, answer: Callable[..., Any]) -> None:
    with caught:
        getattr(ResolveContract(), test)(plugin("hubplug_resolve", answer), ["corp://m"])


@pytest.mark.parametrize("body", [b"{}", b"[]"])
def test_resolve_what_is_latest(body: bytes) -> None:
    def trusting(handle: Handle) -> Plan[Any]:
        def run(auth_for: Any) -> Handle:
            return handle.instead(f"corp://m/{auth_for.send('https://h/m').json()['newest']}")

        return Plan("ask", run, network=True)

    with caught:
        ResolveContract().test_an_answer_that_makes_no_sense_is_the_mistake_of_the_server(
            plugin("hubplug_resolve", trusting), ["corp://m"], body
        )


class _Header:
    def __init__(self, value: str) -> None:
        self.value = value

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = self.value
        return request

    def __repr__(self) -> str:
        return f"Header({self.value})"


def test_auth() -> None:
    contract, url = AuthContract(), "https://models.example/team/m"
    foreign = AuthContract.foreign_urls.__wrapped__(contract, url)  # type: ignore[attr-defined]
    everywhere = plugin("hubplug_auth", lambda request: _Header(CANARY))
    unchanged = plugin("hubplug_auth", lambda request: lambda prepared: prepared)
    by_text = plugin("hubplug_auth", lambda request: _Header("x") if "models.example" in request.url else None)
    with caught:
        contract.test_it_signs_its_requests(unchanged, url)
    contract.test_it_signs_its_requests(everywhere, url)
    for careless in (everywhere, by_text):
        with caught:
            contract.test_it_declines_other_hosts(careless, foreign)
        with caught:
            contract.test_a_credential_does_not_follow_a_redirect(careless, url, foreign)
    with caught:
        contract.test_it_shows_no_secret(everywhere, url, CANARY)


def test_fetch(tmp_path: Path) -> None:
    contract = FetchContract()
    source = Source(Handle.parse("corp://m"), "corp://m")

    def planned(run: Callable[..., Any], what: str = "bring it") -> object:
        return plugin("hubplug_fetch", lambda source: Plan(what, run))

    def leaves(tree: Any, auth_for: Any) -> None:
        (tree.root / "half").write_text("x")
        raise MissingError("not there")

    def connects(tree: Any, auth_for: Any) -> Any:
        import socket

        with socket.socket() as one:
            one.connect_ex(("127.0.0.1", 9))
        return ArchiveStream(io.BytesIO(b"x"), name="x")

    with caught:
        contract.test_it_declines_what_it_does_not_know(planned(leaves), [source])
    with caught:
        contract.test_it_brings_an_archive_or_a_tree_or_names_another_handle(
            planned(lambda tree, auth_for: None), source, tmp_path
        )
    with caught:
        contract.test_nothing_there_is_an_error_of_one_line_that_leaves_nothing_behind(
            planned(leaves), source, tmp_path
        )
    with pytest.raises(AssertionError, match="network=True"):
        contract.test_a_plan_that_opens_sockets_says_so(planned(connects), source, tmp_path)

    def mistakes(tree: Any, auth_for: Any) -> Any:
        raise MissingError("no module there")

    def hints(tree: Any, auth_for: Any) -> Any:
        (tree.root / "half").write_text("x")
        raise FetchError("not there")

    request = SimpleNamespace(getfixturevalue=lambda name: source)
    for wrong in (mistakes, hints, connects):
        (tmp_path / wrong.__name__).mkdir()
        gone = plugin("hubplug_fetch", lambda source, run=wrong: Plan("bring it", run, network=True))
        with caught:
            contract.test_a_server_that_is_gone_is_an_error_of_one_line_and_not_a_missing_module(
                gone, source, tmp_path / wrong.__name__, request
            )
    tells = plugin("hubplug_fetch", lambda source: Plan(f"bring {source.location}", connects))
    with caught:
        contract.test_it_shows_no_secret(tells, source, source, tmp_path)


def test_unpack(tmp_path: Path) -> None:
    contract = UnpackContract()

    def lenient(archive: ArchiveStream) -> Plan[None]:
        def run(tree: Any) -> None:
            with tree.open("all") as file:
                file.write(archive.read(1 << 20))

        return Plan("take it", run)

    def consumes(archive: ArchiveStream) -> Plan[None]:
        archive.read(1)
        return lenient(archive)

    def ignores_the_end(archive: ArchiveStream) -> Plan[None]:
        return Plan("take some", lambda tree: archive.read(2) and None)

    data = b"0123456789" * 10
    with pytest.raises(pytest.fail.Exception, match="were taken for the whole"):
        contract.test_a_truncated_archive_never_passes_for_a_whole_one(
            plugin("hubplug_unpack", lenient), data, tmp_path
        )
    with caught:
        contract.test_deciding_consumes_nothing(plugin("hubplug_unpack", consumes), data)
    with caught:
        contract.test_it_reads_to_the_last_byte_so_that_the_digest_covers_all(
            plugin("hubplug_unpack", ignores_the_end), data, tmp_path
        )
    with caught:
        contract.test_it_declines_what_it_does_not_know(plugin("hubplug_unpack", lenient), [b"x"])


def test_cache(tmp_path: Path) -> None:
    contract = CacheContract()
    source = CacheContract.source.__wrapped__(contract)  # type: ignore[attr-defined]

    def forgetful(source: Source) -> Plan[LocalModule]:
        def run(produce: Any) -> LocalModule:
            dest = tmp_path / "cache" / source.key.replace("/", "_").replace(":", "_")
            dest.mkdir(parents=True, exist_ok=True)
            for old in dest.rglob("*"):
                if old.is_file():
                    old.unlink()
            return LocalModule(dest, source.handle, produce(dest))

        return Plan(f"fill {source.key}", run)

    def first_come(source: Source) -> Plan[LocalModule]:
        def run(produce: Any) -> LocalModule:
            dest = tmp_path / "first come"
            dest.mkdir(exist_ok=True)
            taken.append(LocalModule(dest, source.handle, taken[0].provenance if taken else produce(dest)))
            return taken[0]

        return Plan("give what came first", run, hit=bool(taken))

    taken: list[LocalModule] = []
    cache, mixes_up = plugin("hubplug_cache", forgetful), plugin("hubplug_cache", first_come)
    produce = CacheContract.produce.__wrapped__(contract, source, tmp_path)  # type: ignore[attr-defined]
    assert isinstance(produce, Producer)
    with pytest.raises((AssertionError, PluginError, hubplug.HubplugError, OSError)):
        contract.test_the_first_run_produces_and_the_next_ones_do_not(lambda: cache, source, produce)
    with caught:
        contract.test_modules_of_two_sources_are_kept_side_by_side(lambda: mixes_up, source, produce, tmp_path)
    with caught:
        contract.test_the_same_files_from_two_sources_have_two_provenances(lambda: mixes_up, source, produce)
    with caught:
        contract.test_a_failure_leaves_no_entry_behind(cache, source, produce, tmp_path / "cache", ValueError)
    with caught:
        contract.test_no_secret_of_a_handle_is_shown_or_stored(cache, produce, tmp_path / "cache")


class Shelf:
    """Keeps modules, and says of them what ``changed`` makes of the truth."""

    def __init__(self, place: Path, changed: Callable[[Shelf, CacheEntries], CacheEntries]) -> None:
        self.place, self.changed = place, changed
        self.kept: dict[str, CacheEntry] = {}

    @hubplug.hookimpl
    def hubplug_cache(self, source: Source) -> Plan[Any]:
        known = self.kept.get(source.key_sha256)
        if known is not None:
            module = LocalModule(known.path, source.handle, known.provenance)
            return Plan("use", lambda produce: module, hit=True)

        def run(produce: Any) -> LocalModule:
            path = self.place / f"{len(list(self.place.iterdir()))}"
            path.mkdir()
            self.kept[source.key_sha256] = CacheEntry(source.key_sha256, path, produce(path))
            return LocalModule(path, source.handle, self.kept[source.key_sha256].provenance)

        return Plan("fill", run)

    @hubplug.hookimpl
    def hubplug_entries(self) -> CacheEntries:
        return self.changed(self, CacheEntries(self.place, lambda: list(self.kept.values())))


ENTRIES: list[tuple[str, Callable[[Shelf, CacheEntries], CacheEntries]]] = [
    ("what_is_kept_is_listed_with_its_provenance", lambda shelf, true: replace(true, list=list)),
    (
        "what_is_kept_is_listed_with_its_provenance",
        lambda shelf, true: replace(true, list=lambda: [replace(e, provenance=None) for e in true.list()]),
    ),
    (
        "each_source_is_an_entry_though_the_files_are_the_same",
        lambda shelf, true: replace(true, list=lambda: [replace(e, key="one") for e in true.list()]),
    ),
    (
        "a_bit_that_flipped_is_found_and_the_entry_can_be_mended",
        lambda shelf, true: replace(true, verify=lambda entry: []),
    ),
    (
        "a_bit_that_flipped_is_found_and_the_entry_can_be_mended",
        lambda shelf, true: replace(true, verify=lambda entry: find_faults(entry)),
    ),
    (
        "what_is_removed_is_gone_and_the_rest_is_whole",
        lambda shelf, true: replace(true, remove=lambda entries, grace: {}),
    ),
    (
        "what_is_removed_is_gone_and_the_rest_is_whole",
        lambda shelf, true: replace(true, remove=lambda entries, grace: shelf.kept.clear() or {}),  # type: ignore[func-returns-value]
    ),
]


@pytest.mark.parametrize(("test", "changed"), ENTRIES)
def test_entries(test: str, changed: Callable[[Shelf, CacheEntries], CacheEntries], tmp_path: Path) -> None:
    contract = CacheContract()
    source = CacheContract.source.__wrapped__(contract)  # type: ignore[attr-defined]
    produce = CacheContract.produce.__wrapped__(contract, source, tmp_path)  # type: ignore[attr-defined]
    (tmp_path / "shelf").mkdir()
    shelf = Shelf(tmp_path / "shelf", changed)
    with caught:
        getattr(contract, f"test_{test}")(lambda: shelf, source, produce)


def test_load_format(tmp_path: Path) -> None:
    contract = LoadFormatContract()
    takes_all = plugin("hubplug_load_format", lambda module: TextSpec("x"))
    with caught:
        contract.test_it_declines_what_it_does_not_know(takes_all, tmp_path)
    with pytest.raises(pytest.fail.Exception):
        contract.test_a_graph_variant_that_is_not_there_is_an_error(takes_all, tmp_path)


def test_validate() -> None:
    contract, spec = ValidateContract(), TextSpec("x")

    def raises(spec: Any, profile: str) -> None:
        raise FormatError("bad module")

    always = plugin("hubplug_validate", lambda spec, profile: [Finding("rule", "error", "bad")])
    never = plugin("hubplug_validate", lambda spec, profile: [])
    silent = plugin("hubplug_validate", lambda spec, profile: None)
    with caught:
        contract.test_it_declines_a_profile_that_it_does_not_know(always, spec)
    with caught:
        contract.test_a_good_module_has_no_errors(always, spec, "house")
    with caught:
        contract.test_a_good_module_has_no_errors(silent, spec, "house")
    with caught:
        contract.test_a_bad_module_has_errors_and_raises_nothing(never, spec, "house")
    with pytest.raises(FormatError):
        contract.test_a_bad_module_has_errors_and_raises_nothing(plugin("hubplug_validate", raises), spec, "house")
    with caught:
        contract.test_a_finding_names_its_rule_and_says_something(always, spec, "house")


def test_export(tmp_path: Path) -> None:
    contract = ExportContract()
    target = ExportRequest(TextSpec("x"), str(tmp_path / "m"))

    def in_place(request: ExportRequest) -> Plan[None]:
        def run(dest: Path) -> None:
            Path(request.path).mkdir()
            (dest / "x").write_text("x")

        return Plan("write", run)

    writer = plugin("hubplug_export", in_place)
    with caught:
        contract.test_it_declines_a_module_of_another_kind(writer, tmp_path)
    with caught:
        contract.test_it_writes_into_the_staging_directory_and_nowhere_else(writer, target, tmp_path)


def test_publish(tmp_path: Path) -> None:
    contract, handle = PublishContract(), "corp://m"
    places: dict[str, dict[str, bytes]] = {}

    def planned(run: Callable[..., Any], what: str = "put it there") -> object:
        return plugin("hubplug_publish", lambda handle: Plan(what, run))

    def content(place: str) -> dict[str, bytes]:
        return places.get(place, {})

    def careless(produce: Any) -> None:
        dest = tmp_path / str(len(list(tmp_path.iterdir())))
        dest.mkdir()
        try:
            produce(dest)
        finally:
            found = {str(path.relative_to(dest)): path.read_bytes() for path in dest.rglob("*") if path.is_file()}
            places[handle] = found
            for path in dest.rglob("*"):
                if path.is_file():
                    path.unlink()

    def forgets_directories(produce: Any) -> None:
        dest = tmp_path / "flat"
        dest.mkdir()
        produce(dest)
        places[handle] = {path.name: path.read_bytes() for path in dest.iterdir() if path.is_file()}

    def connects(produce: Any) -> Any:
        import socket

        with socket.socket() as one:
            one.connect_ex(("127.0.0.1", 9))

    with caught:
        contract.test_it_declines_what_it_does_not_know(planned(careless), ["unheard-of://m"])
    with caught:
        contract.test_it_publishes_every_file(planned(forgets_directories), handle, content)
    with caught:
        contract.test_it_publishes_every_file(planned(lambda produce: None), handle, content)
    with caught:
        contract.test_it_writes_over_nothing_and_looks_before_anything_is_produced(planned(careless), handle, content)
    with caught:
        contract.test_a_module_that_cannot_be_produced_leaves_nothing(planned(careless), handle, content, ValueError)
    with pytest.raises(AssertionError, match="network=True"):
        contract.test_a_plan_that_opens_sockets_says_so(planned(connects), handle)
    tells = plugin("hubplug_publish", lambda handle: Plan(f"put it to {handle.text}", careless))
    with caught:
        contract.test_it_shows_no_secret(tells, handle)
