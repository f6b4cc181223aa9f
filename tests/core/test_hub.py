"""The way of a handle: every arrow of the picture, in order, and what stops it."""

from __future__ import annotations

import io
import logging
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hubplug
from hubplug.errors import (
    ArchiveError,
    ConfigError,
    HubplugError,
    IncompleteDownload,
    MissingError,
    NobodyAnswered,
    OfflineError,
    PluginError,
    ValidationError,
)
from hubplug.hookspecs import RunCache, RunExport, RunFetch
from hubplug.in_effect import current_hub
from hubplug.types import ArchiveStream, Handle, Plan, Source
from tests.core.small_plugins import TextFormat, TextSpec, toy_plugins

MakeHub = Callable[..., hubplug.Hub]


class Rewrites:
    """Asks for one handle instead of another."""

    def __init__(self, rules: dict[str, str]) -> None:
        self.rules = rules

    @hubplug.hookimpl
    def hubplug_resolve(self, handle: Handle) -> Handle | None:
        return handle.instead(self.rules[handle.text]) if handle.text in self.rules else None


class PassesOn:
    """A server that holds nothing itself and names another place."""

    def __init__(self, to: str, named_by_server: bool = True) -> None:
        self.to = to
        self.named_by_server = named_by_server

    @hubplug.hookimpl
    def hubplug_resolve(self, handle: Handle) -> Source | None:
        return Source(handle, handle.text) if handle.scheme in ("server", "gs") else None

    @hubplug.hookimpl
    def hubplug_fetch(self, source: Source) -> Plan[RunFetch] | None:
        if source.location.startswith("gs://"):
            data = io.BytesIO(b"TOYBALL\ngood gs")
            return Plan("read the bucket", lambda tree, auth_for: ArchiveStream(data, name=str(source)))
        if not source.location.startswith("server://"):
            return None
        handle = source.handle.instead(self.to, named_by_server=self.named_by_server)
        return Plan("ask the server", lambda tree, auth_for: handle, network=True)


def leftovers(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# Order


def test_the_hooks_of_a_load_are_called_in_this_order(hub: hubplug.Hub, log: list[str]) -> None:
    spec = hub.load_spec("toyball://a")
    assert isinstance(spec, TextSpec)
    assert spec.text == "good a"
    assert log == [
        "resolve toyball://a",
        "cache toyball://a",
        "fetch toyball://a",
        "auth AuthRequest('toyball://a')",
        "unpack toyball://a",
        "load_format toyball://a",  # is it a module at all? before it is published
        "load_format toyball://a",
    ]


def test_the_hooks_of_a_cache_hit_are_called_in_this_order(hub: hubplug.Hub, log: list[str]) -> None:
    hub.resolve("toyball://a")
    log.clear()
    hub.load_spec("toyball://a")
    assert log == ["resolve toyball://a", "cache toyball://a", "load_format toyball://a"]


def test_the_hooks_of_a_demanded_validation_are_called_in_this_order(make_hub: MakeHub, log: list[str]) -> None:
    hub = make_hub(validate={"toy://a": ["house"]})
    hub.resolve("toy://a")
    log.clear()
    hub.load_spec("toy://a")
    assert log == ["resolve toy://a", "cache toy://a", "load_format toy://a", "validate house"]


def test_the_hooks_of_an_export_are_called_in_this_order(hub: hubplug.Hub, log: list[str], tmp_path: Path) -> None:
    hub.export(hubplug.ExportRequest(TextSpec("good x"), str(tmp_path / "out")))
    assert log == ["export"]
    assert (tmp_path / "out" / "model.txt").read_text() == "good x"


def test_explaining_calls_hooks_in_this_order_and_no_plan(hub: hubplug.Hub, log: list[str], tmp_path: Path) -> None:
    before = leftovers(tmp_path)
    answers = hub.explain("toy://a")
    assert [(answer.hook, answer.member and answer.member.name) for answer in answers] == [
        ("hubplug_resolve", "Resolver[0]"),
        ("hubplug_cache", "Shelf[1]"),
        ("hubplug_fetch", "Fetcher[2]"),
        ("hubplug_auth", None),
    ]
    assert log == ["resolve toy://a", "cache toy://a", "fetch toy://a", "auth AuthRequest('toy://a')"]
    assert leftovers(tmp_path) == before


# What arrives


def test_a_module_of_single_files_arrives_with_its_provenance(hub: hubplug.Hub) -> None:
    module = hub.resolve("toy://user:canary@a?token=canary")
    assert (module.path / "model.txt").read_text() == "good a"
    provenance = module.provenance
    assert provenance is not None
    assert (provenance.handle, provenance.location) == ("toy://a?token=***", "toy://a?token=***")
    assert (provenance.archive_sha256, provenance.etag) == (None, None)
    assert [(record.path, record.size) for record in provenance.files] == [("model.txt", 6)]
    assert "canary" not in repr(provenance)


def test_an_archive_arrives_with_its_digest_and_tag(hub: hubplug.Hub) -> None:
    import hashlib

    provenance = hub.resolve("toyball://a").provenance
    assert provenance is not None
    assert provenance.archive_sha256 == hashlib.sha256(b"TOYBALL\ngood a").hexdigest()
    assert provenance.etag == '"1"'


def test_a_directory_is_used_in_place_and_no_cache_is_asked(make_hub: MakeHub, log: list[str], tmp_path: Path) -> None:
    class Local:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle) -> Source | None:
            return Source(handle, handle.text, in_place=True) if handle.text.startswith("/") else None

    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.txt").write_text("good m")
    hub = make_hub(Local())
    assert hub.load_spec(str(tmp_path / "m")).text == "good m"  # type: ignore[attr-defined]
    assert [line.split()[0] for line in log] == ["load_format"]
    assert [answer.hook for answer in hub.explain(str(tmp_path / "m"))] == ["hubplug_resolve"]


def test_what_must_not_be_cached_lives_as_long_as_the_process(make_hub: MakeHub, log: list[str]) -> None:
    class Memory:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle) -> Source | None:
            return Source(handle, "toy://a", cacheable=False) if handle.scheme == "memory" else None

    hub = make_hub(Memory())
    first, second = hub.resolve("memory://a"), hub.resolve("memory://a")
    assert first.path != second.path
    assert (first.path / "model.txt").read_text() == "good a"
    assert not any(line.startswith("cache") for line in log)


def test_without_a_cache_a_module_lives_as_long_as_the_process(tmp_path: Path) -> None:
    plugins = [p for p in toy_plugins(tmp_path, {"a": "good a"}) if not hasattr(p, "hubplug_cache")]
    module = hubplug.Hub({"chain": []}, plugins=plugins).resolve("toy://a")
    assert (module.path / "model.txt").read_text() == "good a"
    assert module.provenance is not None


# What stops it, and leaves nothing behind


class Cut:
    @hubplug.hookimpl
    def hubplug_fetch(self, source: Source) -> Plan[RunFetch]:
        data = io.BytesIO(b"TOYBALL\ngood\n...")
        return Plan("bring the half", lambda tree, auth_for: ArchiveStream(data, name=str(source)))


class NoModule:
    @hubplug.hookimpl
    def hubplug_fetch(self, source: Source) -> Plan[RunFetch]:
        def run(tree: Any, auth_for: Any) -> None:
            with tree.open("readme.html") as file:
                file.write(b"<html>")

        return Plan("bring a page", run)


class Unknown:
    @hubplug.hookimpl
    def hubplug_fetch(self, source: Source) -> Plan[RunFetch]:
        return Plan("bring what", lambda tree, auth_for: ArchiveStream(io.BytesIO(b"what"), name=str(source)))


class Escape:
    @hubplug.hookimpl
    def hubplug_fetch(self, source: Source) -> Plan[RunFetch]:
        def run(tree: Any, auth_for: Any) -> None:
            with tree.open("../escaped") as file:
                file.write(b"x")

        return Plan("escape", run)


@pytest.mark.parametrize(
    ("first", "handle", "kind", "message"),
    [
        ((), "toy://missing", MissingError, "toy://missing is not there"),
        ((Cut(),), "toy://a", IncompleteDownload, "toy://a ends in the middle"),
        ((NoModule(),), "toy://a", ArchiveError, "toy://a does not appear to be a valid module: there is no model.txt"),
        ((Unknown(),), "toy://a", ArchiveError, "What came from toy://a is not an archive that this chain can unpack"),
        ((Escape(),), "toy://a", hubplug.errors.UnsafeArchiveError, r"'\.\./escaped' is refused"),
    ],
)
def test_what_fails_leaves_nothing_behind(
    make_hub: MakeHub, tmp_path: Path, first: Any, handle: str, kind: type[HubplugError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        make_hub(*first).resolve(handle)
    assert leftovers(tmp_path / "shelf") == []
    assert not (tmp_path / "escaped").exists()


def test_the_archive_is_closed_when_unpacking_fails(make_hub: MakeHub) -> None:
    data = io.BytesIO(b"TOYBALL\ngood\n...")

    class Holds:
        @hubplug.hookimpl
        def hubplug_fetch(self, source: Source) -> Plan[RunFetch]:
            return Plan("bring", lambda tree, auth_for: ArchiveStream(data, name="x"))

    with pytest.raises(IncompleteDownload):
        make_hub(Holds()).resolve("toy://a")
    assert data.closed


def test_what_is_no_handle_at_all_is_refused_at_once(hub: hubplug.Hub) -> None:
    with pytest.raises(TypeError, match="A handle is a str"):
        hub.resolve(3)  # type: ignore[arg-type]
    with pytest.raises(hubplug.errors.HandleError):
        hub.resolve("")


# Instead


def test_a_handle_asked_for_instead_goes_through_the_chain_again(make_hub: MakeHub, log: list[str]) -> None:
    hub = make_hub(Rewrites({"corp://m": "corp://n", "corp://n": "toy://a"}))
    module = hub.resolve("corp://m")
    assert module.provenance is not None
    assert (module.provenance.handle, module.provenance.location) == ("corp://m", "toy://a")
    assert log[0] == "resolve toy://a"
    assert [answer.hook for answer in hub.explain("corp://m")][:3] == ["hubplug_resolve"] * 3


def test_a_loop_of_handles_is_named(make_hub: MakeHub) -> None:
    rules = {"corp://a?k=canary": "corp://b", "corp://b": "corp://a?k=canary"}
    with pytest.raises(PluginError) as raised:
        make_hub(Rewrites(rules)).resolve("corp://a?k=canary")
    assert raised.value.message == (
        "The handles redirect to each other in a loop: corp://a?k=*** -> corp://b -> corp://a?k=***"
    )


@pytest.mark.parametrize(("steps", "fine"), [(10, True), (11, False)])
def test_at_most_ten_handles_are_asked_for_instead(make_hub: MakeHub, steps: int, fine: bool) -> None:
    rules = {f"corp://{i}": f"corp://{i + 1}" for i in range(steps - 1)} | {f"corp://{steps - 1}": "toy://a"}
    hub = make_hub(Rewrites(rules))
    if fine:
        assert hub.resolve("corp://0").path.is_dir()
    else:
        with pytest.raises(PluginError, match="More than 10 redirects: corp://0 -> "):
            hub.resolve("corp://0")


def test_a_plugin_that_makes_a_handle_of_its_own_does_not_shake_off_trail_and_pin(make_hub: MakeHub) -> None:
    class Forgets:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle) -> Handle | Source | None:
            if handle.scheme == "corp":
                return Handle.parse("toyball://a")
            return Source(Handle.parse("toyball://other"), "toyball://a")

    hub = make_hub(Forgets())
    module = hub.resolve("corp://m")
    assert module.handle.original.text == "corp://m"
    with pytest.raises(hubplug.errors.DigestMismatch):
        hub.resolve("corp://m#sha256=" + "0" * 64)
    with pytest.raises(ConfigError, match="No plugin knows the profile 'demanded'"):
        make_hub(Forgets(), validate={"corp://m": ["demanded"]}).load_spec("corp://m")


def test_a_server_may_pass_on_to_an_allowed_scheme_and_the_cache_is_not_asked_again(
    make_hub: MakeHub, log: list[str]
) -> None:
    hub = make_hub(PassesOn("gs://bucket/m"))
    assert hub.load_spec("server://m").text == "good gs"  # type: ignore[attr-defined]
    assert [line for line in log if line.startswith("cache")] == ["cache server://m"]
    provenance = hub.resolve("server://m").provenance
    assert provenance is not None
    assert (provenance.handle, provenance.location) == ("server://m", "gs://bucket/m")


@pytest.mark.parametrize("named", ["file:///etc", "/etc", "toy://a", "https://other.example/m", "s3://bucket/m"])
def test_a_server_may_not_name_any_other_place(make_hub: MakeHub, tmp_path: Path, named: str) -> None:
    with pytest.raises(HubplugError, match="a server may only name gs://"):
        make_hub(PassesOn(named)).resolve("server://m")
    assert leftovers(tmp_path / "shelf") == []


def test_the_configuration_says_which_schemes_a_server_may_name(make_hub: MakeHub) -> None:
    assert make_hub(PassesOn("toy://a"), server_schemes=["gs", "Toy"]).resolve("server://m")
    with pytest.raises(HubplugError, match="a server may only name toy://"):
        make_hub(PassesOn("gs://b/m"), server_schemes=["toy"]).resolve("server://m")
    with pytest.raises(HubplugError, match="a server may name no other place"):
        make_hub(PassesOn("gs://b/m"), server_schemes=[]).resolve("server://m")
    with pytest.raises(HubplugError, match="a server may only name gs://"):
        make_hub(PassesOn("file:///etc"), server_schemes=["gs"]).resolve("server://m")


def test_a_plugin_may_pass_on_to_any_place_but_a_local_directory(make_hub: MakeHub) -> None:
    class Local:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle) -> Source | None:
            return Source(handle, handle.text, in_place=True) if handle.text.startswith("/") else None

    assert make_hub(PassesOn("toy://a", named_by_server=False)).resolve("server://m")
    with pytest.raises(PluginError, match="The fetch of server://m leads to the local directory /etc"):
        make_hub(Local(), PassesOn("/etc", named_by_server=False)).resolve("server://m")


def test_fetches_that_pass_on_in_a_loop_are_named(make_hub: MakeHub) -> None:
    with pytest.raises(PluginError, match="in a loop: server://m -> server://m"):
        make_hub(PassesOn("server://m", named_by_server=False)).resolve("server://m")


# Offline


def test_offline_a_cached_module_resolves(make_hub: MakeHub, tmp_path: Path) -> None:
    plugins = toy_plugins(tmp_path / "shelf", {"a": "good a"})
    here = hubplug.Hub({"chain": []}, plugins=plugins).resolve("toy://a")
    assert hubplug.Hub({"chain": []}, plugins=plugins, offline=True).resolve("toy://a").path == here.path


def test_offline_a_miss_says_what_would_have_been_done_and_who_was_looked_at(make_hub: MakeHub, tmp_path: Path) -> None:
    class ReadOnly:
        @hubplug.hookimpl
        def hubplug_cache(self, source: Source) -> hubplug.Declined:
            return hubplug.Declined("/mnt/models has no entry of it")

    with pytest.raises(OfflineError) as raised:
        make_hub(ReadOnly(), offline=True).resolve("toy://u:canary@a?t=canary")
    entry = tmp_path / "shelf" / Source(Handle.parse("toy://u:canary@a?t=canary"), "").key_sha256
    assert raised.value.message == (
        "toy://a?t=*** is not here, and hubplug is offline: it would have to bring toy://a?t=***; "
        f"ReadOnly[0]: /mnt/models has no entry of it; Shelf[2]: would fill {entry}"
    )
    assert "hubplug resolve 'toy://a?t=***'" in (raised.value.hint or "")
    assert leftovers(tmp_path / "shelf") == []


def test_offline_a_cache_that_needs_the_network_itself_is_refused(make_hub: MakeHub) -> None:
    class Remote:
        @hubplug.hookimpl
        def hubplug_cache(self, source: Source) -> Plan[RunCache]:
            return Plan("ask the bucket", lambda produce: pytest.fail("it ran"), network=True)

    with pytest.raises(OfflineError, match="it would have to ask the bucket"):
        make_hub(Remote(), offline=True).resolve("toy://a")


# Validation


def test_a_demanded_profile_holds_what_comes_from_under_its_prefix(make_hub: MakeHub) -> None:
    hub = make_hub(validate={"toy://": ["house"], "toy://b": ["house"]})
    assert hub.load_spec("toy://a")
    with pytest.raises(ValidationError) as raised:
        hub.load_spec("toy://b")
    assert raised.value.message == (
        "toy://b does not keep house, which the given configuration demands of it: "
        "house/good: the text 'bad b' does not say 'good'"
    )
    assert [finding.rule for finding in raised.value.findings] == ["house/good"]
    with pytest.raises(ValidationError):  # from the cache as well
        hub.load_spec("toy://b")


class Located:
    """Leads ``via://`` to another location, without naming a handle."""

    @hubplug.hookimpl
    def hubplug_resolve(self, handle: Handle) -> Source | None:
        return Source(handle, "toy://b") if handle.scheme == "via" else None


@pytest.mark.parametrize("prefix", ["corp://m", "via://m", "toy://b"])
def test_prefixes_are_matched_against_the_original_the_rewritten_and_the_final_url(
    make_hub: MakeHub, prefix: str
) -> None:
    hub = make_hub(Rewrites({"corp://m": "via://m"}), Located(), validate={prefix: ["house"]})
    for _ in range(2):
        with pytest.raises(ValidationError):
            hub.load_spec("corp://m")


def test_the_final_url_after_a_servers_word_is_matched_too(make_hub: MakeHub) -> None:
    hub = make_hub(PassesOn("gs://bucket/m"), validate={"gs://bucket/": ["unheard-of"]})
    for _ in range(2):
        with pytest.raises(ConfigError, match="No plugin knows the profile 'unheard-of'"):
            hub.load_spec("server://m")


def test_warnings_and_notes_do_not_stop_a_load(make_hub: MakeHub) -> None:
    class Mild:
        @hubplug.hookimpl
        def hubplug_validate(self, spec: Any, profile: str) -> list[hubplug.Finding]:
            return [hubplug.Finding("mild/x", "warning", "hm"), hubplug.Finding("mild/y", "note", "ah")]

    assert make_hub(Mild(), validate={"toy://a": ["mild"]}).load_spec("toy://a")


def test_all_plugins_are_asked_to_validate_and_their_findings_put_together(make_hub: MakeHub) -> None:
    class Also:
        @hubplug.hookimpl
        def hubplug_validate(self, spec: Any, profile: str) -> list[hubplug.Finding] | None:
            return [hubplug.Finding("also/x", "note", profile)] if profile == "house" else None

    found = make_hub(Also()).validate("toy://b", ["house"])
    assert [finding.rule for finding in found] == ["also/x", "house/good"]
    assert make_hub().validate(TextSpec("good"), ["house"]) == []


def test_a_profile_that_nobody_knows_is_an_error_that_says_who_was_asked(hub: hubplug.Hub) -> None:
    with pytest.raises(ConfigError, match=r"No plugin knows the profile 'hosue' \(asked: House\[5\]\)"):
        hub.validate("toy://a", ["hosue"])


# Export


def test_nothing_is_written_when_nobody_exports_such_a_module(hub: hubplug.Hub, tmp_path: Path) -> None:
    with pytest.raises(NobodyAnswered, match="No plugin takes a ModuleSpec for export"):
        hub.export(hubplug.ExportRequest(hubplug.ModuleSpec(), str(tmp_path / "out")))
    assert leftovers(tmp_path) == []


def test_what_the_session_raises_in_an_export_is_the_callers_to_see(make_hub: MakeHub, tmp_path: Path) -> None:
    class Uninitialized(Exception):
        pass

    class Fails:
        @hubplug.hookimpl
        def hubplug_export(self, request: Any) -> Plan[RunExport]:
            def run(dest: Path) -> None:
                (dest / "half").write_text("x")
                raise Uninitialized("variable w")

            return Plan("fail", run)

    with pytest.raises(Uninitialized, match="variable w"):
        make_hub(Fails()).export(hubplug.ExportRequest(TextSpec("x"), str(tmp_path / "out")))
    assert leftovers(tmp_path) == []


# The Hub in effect


def test_an_activated_hub_serves_the_module_level_functions_and_is_put_back(hub: hubplug.Hub) -> None:
    with hub.activate() as active:
        assert active is hub is current_hub()
        assert Path(hubplug.resolve("toy://a"), "model.txt").read_text() == "good a"
        assert hubplug.load_module_spec("toy://a").text == "good a"  # type: ignore[attr-defined]
        assert hubplug.validate("toy://a", ["house"]) == []
        assert hubplug.explain("toy://a")[0].hook == "hubplug_resolve"
        inner = hubplug.Hub({"chain": []}, plugins=[TextFormat()])
        with inner.activate():
            assert current_hub() is inner
        assert current_hub() is hub


def test_an_activated_hub_is_this_threads_only(
    hub: hubplug.Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "f.yaml"
    config.write_text("version: 1\nchain: []\n")
    monkeypatch.setenv("HUBPLUG_CONFIG", str(config))
    seen: list[hubplug.Hub] = []
    with hub.activate():
        thread = threading.Thread(target=lambda: seen.append(current_hub()))
        thread.start()
        thread.join()
    assert seen[0] is not hub


def test_the_default_hub_is_made_anew_when_its_variables_have_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "f.yaml"
    config.write_text("version: 1\nchain: []\n")
    monkeypatch.setenv("HUBPLUG_CONFIG", str(config))
    first = current_hub()
    assert current_hub() is first
    monkeypatch.setenv("SOMETHING_ELSE", "1")
    assert current_hub() is first
    monkeypatch.setenv("HUBPLUG_OFFLINE", "1")
    assert current_hub() is not first
    assert current_hub().config.offline
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "elsewhere"))
    assert current_hub().config.offline


def test_a_hub_pickles_as_its_configuration_and_plugins(hub: hubplug.Hub) -> None:
    path = hub.resolve("toy://a").path
    again = pickle.loads(pickle.dumps(hub))
    assert again.config == hub.config
    assert [m.name for m in again.chain.members] == [m.name for m in hub.chain.members]
    assert again.resolve("toy://a").path == path


def test_no_repr_of_a_hub_or_its_configuration_shows_an_option(make_hub: MakeHub) -> None:
    config = hubplug.settings.config.parse_config(
        {"version": 1, "chain": [], "plugins": {"x": {"options": {"token": "canary"}}}}, "f"
    )
    assert "canary" not in repr(config)
    assert "'the given configuration', chain=['Resolver[0]'" in repr(make_hub())


def test_the_members_of_one_kind_are_found_by_class(hub: hubplug.Hub) -> None:
    assert [name for name, _ in hub.instances(TextFormat)] == ["TextFormat[4]"]


def test_no_secret_reaches_a_log_or_an_error_on_any_way(
    make_hub: MakeHub, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    for first, name in [((), "a"), ((), "missing"), ((Cut(),), "b"), ((NoModule(),), "b"), ((Unknown(),), "c")]:
        for scheme in ("toy", "toyball", "nobody"):
            hub = make_hub(*first)
            handle = f"{scheme}://user:canary@{name}?token=canary#canary"
            shown += [f"{answer}" for answer in hub.explain(handle)] if scheme != "nobody" else []
            try:
                shown.append(repr(hub.resolve(handle)))
            except HubplugError as error:
                shown.append(f"{error} {error!r}")
    assert "canary" not in "\n".join([*shown, caplog.text])
    assert all("canary" not in text for text in leftovers(tmp_path))


# Resolvers of old programs


class OldStyle:
    def __init__(self, folder: object) -> None:
        self.folder = folder
        self.asked: list[str] = []

    def is_supported(self, handle: str) -> bool:
        return handle.startswith("old://")

    def __call__(self, handle: str) -> Any:
        self.asked.append(handle)
        return self.folder


def test_a_resolver_of_an_old_program_is_given_with_one_adapter_line(make_hub: MakeHub, tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text("good old")
    resolver = OldStyle(str(tmp_path))
    hub = make_hub(hubplug.OldResolver(resolver))
    assert hub.load_spec("old://m?token=x").text == "good old"  # type: ignore[attr-defined]
    assert resolver.asked == ["old://m?token=x"]
    assert hub.load_spec("toy://a").text == "good a"  # type: ignore[attr-defined]


def test_an_old_resolver_is_not_asked_offline_since_nobody_knows_what_it_opens(
    make_hub: MakeHub, tmp_path: Path
) -> None:
    resolver = OldStyle(str(tmp_path))
    with pytest.raises(OfflineError, match="old://m is not here"):
        make_hub(hubplug.OldResolver(resolver), offline=True).resolve("old://m")
    assert resolver.asked == []
    (tmp_path / "model.txt").write_text("good old")
    assert make_hub(hubplug.OldResolver(resolver, network=False), offline=True).resolve("old://m").path == tmp_path


def test_an_old_resolver_that_gives_no_path_is_named(make_hub: MakeHub) -> None:
    with pytest.raises(PluginError, match=r"'OldResolver\[0\]' .*ask OldStyle\): TypeError"):
        make_hub(hubplug.OldResolver(OldStyle(None))).resolve("old://m")


def test_each_of_two_old_resolvers_brings_its_own_handles(make_hub: MakeHub, tmp_path: Path) -> None:
    class Older(OldStyle):
        def is_supported(self, handle: str) -> bool:
            return handle.startswith("older://")

    first, second = OldStyle(str(tmp_path / "old")), Older(str(tmp_path / "older"))
    hub = make_hub(hubplug.OldResolver(first), hubplug.OldResolver(second))
    assert hub.resolve("older://m").path == tmp_path / "older"
    assert first.asked == []


def test_an_old_resolver_only_answers_for_its_own_handles_even_behind_others(tmp_path: Path) -> None:
    class Greedy(OldStyle):
        def is_supported(self, handle: str) -> bool:
            return True

    plugins = [*toy_plugins(tmp_path / "shelf", {"a": "good a"}), hubplug.OldResolver(Greedy(str(tmp_path)))]
    hub = hubplug.Hub({"chain": []}, plugins=[plugins[0], plugins[-1], *plugins[1:-1]])
    assert (hub.resolve("toy://a").path / "model.txt").read_text() == "good a"
    assert os.fspath(hub.resolve("anything").path) == str(tmp_path)


def test_a_spec_knows_the_hub_that_loaded_it_also_after_pickling(make_hub: Callable[..., hubplug.Hub]) -> None:
    hub = make_hub()
    spec = hub.load_spec("toy://a")
    assert spec.hub is hub
    copied = pickle.loads(pickle.dumps(spec))
    assert copied.text == spec.text
    assert [type(member.plugin) for member in copied.hub.chain.members] == [
        type(member.plugin) for member in hub.chain.members
    ]


def test_a_spec_that_no_hub_loaded_says_what_to_do(tmp_path: Path) -> None:
    spec = TextSpec("x")
    with pytest.raises(PluginError, match="was not loaded by a Hub") as caught:
        spec.export(str(tmp_path / "out"), checkpoint_path="x")
    assert "spec.hub" in str(caught.value.hint)


def test_a_spec_may_ask_the_hub_in_effect(make_hub: Callable[..., hubplug.Hub], tmp_path: Path) -> None:
    spec = TextSpec("x")
    spec.hub = hubplug.hub_in_effect
    copied = pickle.loads(pickle.dumps(spec))
    assert copied.hub is hubplug.hub_in_effect
    with make_hub().activate():
        copied.export(str(tmp_path / "out"), checkpoint_path="x")
    assert (tmp_path / "out" / "model.txt").read_text() == "x"
