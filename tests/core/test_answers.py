"""What a plugin answers is checked where it is made, and the plugin that gave it is named: never the next one in the way."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hubplug
from hubplug.errors import PluginError
from hubplug.hookspecs import RunFetch
from hubplug.types import ArchiveStream, Declined, Finding, Handle, LocalModule, Plan, Source
from tests.core.small_plugins import TextFormat, TextSpec

MakeHub = Callable[..., hubplug.Hub]
HANDLE = Handle.parse("toy://a")


class Guilty:
    """A plugin whose hooks do what a test says."""

    def __init__(self, **hooks: Callable[..., Any]) -> None:
        self.hooks = hooks

    def of(self, hook: str, *arguments: Any) -> Any:
        return self.hooks[hook](*arguments) if hook in self.hooks else None

    @hubplug.hookimpl
    def hubplug_resolve(self, handle: Handle) -> Any:
        return self.of("resolve", handle)

    @hubplug.hookimpl
    def hubplug_auth(self, request: Any) -> Any:
        return self.of("auth", request)

    @hubplug.hookimpl
    def hubplug_cache(self, source: Source) -> Any:
        return self.of("cache", source)

    @hubplug.hookimpl
    def hubplug_fetch(self, source: Source) -> Any:
        return self.of("fetch", source)

    @hubplug.hookimpl
    def hubplug_unpack(self, archive: ArchiveStream) -> Any:
        return self.of("unpack", archive)

    @hubplug.hookimpl
    def hubplug_load_format(self, module: LocalModule) -> Any:
        return self.of("load_format", module)

    @hubplug.hookimpl
    def hubplug_validate(self, spec: Any, profile: str) -> Any:
        return self.of("validate", spec, profile)

    @hubplug.hookimpl
    def hubplug_export(self, request: Any) -> Any:
        return self.of("export", request)

    @hubplug.hookimpl
    def hubplug_publish(self, handle: Handle) -> Any:
        return self.of("publish", handle)


class Stream:
    """An open stream that gives what a test says, once."""

    def __init__(self, *given: Any) -> None:
        self.given = list(given)

    def read(self, size: int) -> Any:
        value = self.given.pop(0) if self.given else b""
        if isinstance(value, Exception):
            raise value
        return value

    def close(self) -> None:
        pass


def write_one(tree: Any, name: str = "model.txt") -> None:
    with tree.open(name) as file:
        file.write(b"good")


def fetching(run: Callable[..., Any]) -> dict[str, Any]:
    return {"fetch": lambda source: Plan("fetch", run)}


def streaming(*given: Any) -> dict[str, Any]:
    return fetching(lambda tree, auth_for: ArchiveStream(Stream(*given), name="ball"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Source("toy://a", "x"), "Source.handle is str, expected Handle"),  # type: ignore[arg-type]
        (lambda: Source(HANDLE, 7), "Source.location is int, expected str"),  # type: ignore[arg-type]
        (lambda: Source(HANDLE, Path("x")), "Source.location is PosixPath, expected str"),  # type: ignore[arg-type]
        (lambda: Source(HANDLE, "x", in_place="no"), "Source.in_place is str, expected bool"),  # type: ignore[arg-type]
        (lambda: Source(HANDLE, "x", cache_key=b"k"), "Source.cache_key is bytes, expected str"),  # type: ignore[arg-type]
        (lambda: LocalModule("x", HANDLE), "LocalModule.path is str, expected Path"),  # type: ignore[arg-type]
        (lambda: LocalModule(Path("x"), HANDLE, {}), "LocalModule.provenance is dict"),  # type: ignore[arg-type]
        (lambda: ArchiveStream(b"", name="x"), "a stream of bytes, which has no read"),  # type: ignore[arg-type]
        (lambda: ArchiveStream(io.BytesIO(), name=None), "ArchiveStream.name is NoneType"),  # type: ignore[arg-type]
        (lambda: ArchiveStream(io.BytesIO(), name="x", size="7"), "ArchiveStream.size is str"),  # type: ignore[arg-type]
        (lambda: Plan(None, print), "Plan.what is NoneType, expected str"),  # type: ignore[arg-type]
        (lambda: Plan("go", None), "Plan.run is NoneType, expected a function"),  # type: ignore[arg-type]
        (lambda: Plan("go", print, network=1), "Plan.network is int, expected bool"),  # type: ignore[arg-type]
        (lambda: Finding("a/b", "Error", "x"), "Finding.level is 'Error', expected one of error, warning, note"),  # type: ignore[arg-type]
        (lambda: Finding("a/b", "fatal", "x"), "Finding.level is 'fatal'"),  # type: ignore[arg-type]
        (lambda: Finding("a/b", "error", None), "Finding.message is NoneType"),  # type: ignore[arg-type]
        (lambda: Declined(7), "Declined.reason is int, expected str"),  # type: ignore[arg-type]
        (lambda: Declined("x", error=KeyError), "expected a subclass of HubplugError"),  # type: ignore[arg-type]
    ],
)
def test_a_value_of_the_wrong_type_cannot_be_made(make: Callable[[], object], message: str, make_hub: MakeHub) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()
    with pytest.raises(PluginError, match=r"The plugin 'Guilty\[0\]' .*" + message):
        make_hub(Guilty(resolve=lambda handle: make())).resolve("toy://a")


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        (streaming("text"), r"stream of ball.*gave str, expected bytes"),
        (streaming(b"TOYBALL\n", OSError("lost")), r"stream of ball.*OSError: lost"),
        (streaming(ValueError("bad")), r"stream of ball.*ValueError: bad"),
        (fetching(lambda tree, auth_for: None), "fetched nothing, and gave neither"),
        (fetching(lambda tree, auth_for: (write_one(tree), Handle.parse("toy://b"))[1]), "and then gave Handle"),
        (
            fetching(lambda tree, auth_for: (write_one(tree), ArchiveStream(Stream(b"TOYBALL\n"), name="x"))[1]),
            "and then gave ArchiveStream",
        ),
        (
            {"cache": lambda source: Plan("use it", lambda produce: produce(Path()), hit=True)},
            "said that it has toyball://a, and had it fetched",
        ),
        ({"unpack": lambda archive: Plan("unpack", lambda tree: archive.read(9) and None)}, "unpacked nothing of"),
        ({"auth": lambda request: lambda signed: None}, "has a signer that returned NoneType"),
        ({"auth": lambda request: lambda signed: {}["token"]}, "signing a request.*KeyError"),
    ],
)
def test_the_plugin_that_gave_it_is_named(
    hooks: dict[str, Any], message: str, make_hub: MakeHub, tmp_path: Path
) -> None:
    class Asks:
        """A fetcher that signs, as http does."""

        @hubplug.hookimpl
        def hubplug_fetch(self, source: Source) -> Plan[RunFetch]:
            def run(tree: Any, auth_for: Any) -> ArchiveStream:
                if signer := auth_for(source.location):
                    signer(self)
                return ArchiveStream(Stream(b"TOYBALL\ngood"), name="ball")

            return Plan("ask", run)

    with pytest.raises(PluginError, match=r"The plugin 'Guilty\[0\]' .*" + message):
        make_hub(Guilty(**hooks), Asks()).resolve("toyball://a")


@pytest.mark.parametrize("answer", ["", "fine", {}, {"a": 1}, True, [None], range(0)], ids=repr)
def test_validation_does_not_fail_open_on_what_is_no_list_of_findings(answer: object, make_hub: MakeHub) -> None:
    hub = make_hub(Guilty(validate=lambda spec, profile: answer), validate={"toy://a": ["house"]})
    with pytest.raises(PluginError, match=r"The plugin 'Guilty\[0\]' .*expected a list of Finding"):
        hub.load_spec("toy://a")


def test_an_export_that_wrote_nothing_is_a_mistake_of_the_writer(make_hub: MakeHub, tmp_path: Path) -> None:
    hub = make_hub(Guilty(export=lambda request: Plan("write", lambda dest: None)))
    with pytest.raises(PluginError, match=r"The plugin 'Guilty\[0\]' .*wrote nothing"):
        hub.export(hubplug.ExportRequest(TextSpec("x"), str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_a_publisher_that_never_had_the_module_written_is_named(make_hub: MakeHub) -> None:
    hub = make_hub(Guilty(publish=lambda handle: Plan("publish", lambda produce: None)))
    with pytest.raises(PluginError, match=r"The plugin 'Guilty\[0\]' .*without having had the module written"):
        hub.export(hubplug.ExportRequest(TextSpec("x"), "toy://out"))


@pytest.mark.parametrize("made", [None, object()], ids=["None", "object"])
def test_what_instantiate_returns_is_checked(made: object, make_hub: MakeHub) -> None:
    class Odd(TextSpec):
        def instantiate(self, name: str, trainable: bool, tags: frozenset[str]) -> Any:
            return made

    with pytest.raises(PluginError, match=r"Odd.instantiate returned (NoneType|object), which has no 'apply'"):
        hubplug.Module(Odd("x"))


def test_a_plugin_says_which_hubplug_it_needs(make_hub: MakeHub) -> None:
    class FromTheFuture(TextFormat):
        needs_hubplug = "99.1"

    with pytest.raises(
        PluginError, match=r"'FromTheFuture\[0\]' .* needs hubplug 99.1 or newer, and this is 0\."
    ) as caught:
        make_hub(FromTheFuture())
    assert "pip install" in str(caught.value.hint)


@pytest.mark.parametrize("version", ["0", "0.1", "0.1.0"])
def test_a_plugin_that_needs_no_newer_hubplug_is_fine(version: str, make_hub: MakeHub) -> None:
    make_hub(type("Present", (TextFormat,), {"needs_hubplug": version})())


@pytest.mark.parametrize("version", ["one", 1, None, "1.x"])
def test_a_version_that_is_none_is_an_error(version: object, make_hub: MakeHub) -> None:
    with pytest.raises(PluginError, match="needs_hubplug"):
        make_hub(type("Odd", (TextFormat,), {"needs_hubplug": version})())
