"""A chain of plugins: its order, and what every kind of bad plugin gets."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hubplug
from hubplug.errors import ConfigError, HubplugError, MissingError, NobodyAnswered, PluginError
from hubplug.settings.entry_points import installed_plugins
from hubplug.settings.members import HOOKS
from hubplug.types import Declined, Handle, Source
from tests.core.small_plugins import Resolver

Install = Callable[..., None]
MakeHub = Callable[..., hubplug.Hub]


def problem(*plugins: object, kind: type[HubplugError] = PluginError) -> Any:
    with pytest.raises(kind) as raised:
        hubplug.Hub({"chain": []}, plugins=plugins)
    assert "\n" not in raised.value.message
    return raised.value


def names(hub: hubplug.Hub) -> list[str]:
    return [member.name for member in hub.chain.members]


# How it is asked


def test_the_order_of_the_list_is_the_order_of_the_calls(make_hub: MakeHub) -> None:
    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle) -> Declined:
            return Declined(self.name)

    answer = make_hub(Named("1"), Named("2"), Named("3")).chain.ask("hubplug_resolve", Handle.parse("toy://a"))
    assert [reason for _, reason in answer.declined] == ["1", "2", "3"]
    assert answer.member is not None
    assert answer.member.name == "Resolver[3]"


def test_the_first_answer_counts_and_nobody_is_asked_after_it(make_hub: MakeHub, log: list[str]) -> None:
    class First:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle) -> Source:
            return Source(handle, "toy://b")

    assert make_hub(First()).load_spec("toy://a").text == "bad b"  # type: ignore[attr-defined]
    assert not any(line.startswith("resolve") for line in log)


def test_an_exception_stops_the_chain_instead_of_falling_through(make_hub: MakeHub, log: list[str]) -> None:
    class PrivateServer:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle) -> None:
            raise MissingError("the private server is down")

    with pytest.raises(MissingError, match="the private server is down"):
        make_hub(PrivateServer()).resolve("toy://a")
    assert log == []


def test_when_nobody_answers_the_error_names_who_was_asked_and_why_they_declined(make_hub: MakeHub) -> None:
    class Silent:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle) -> None:
            return None

    with pytest.raises(NobodyAnswered) as raised:
        make_hub(Silent()).resolve("corp://user:canary@team/m?token=canary")
    assert raised.value.message == (
        "No plugin takes the handle 'corp://team/m?token=***' (asked hubplug_resolve of: Silent[0], Resolver[1]; "
        "Resolver[1]: only toy:// and toyball://, not corp)"
    )
    assert raised.value.hint


def test_two_equal_plugins_are_two(make_hub: MakeHub) -> None:
    @dataclasses.dataclass(frozen=True)
    class Same:
        x: int = 1

        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle) -> Declined:
            return Declined("same")

    answer = make_hub(Same(), Same()).chain.ask("hubplug_resolve", Handle.parse("toy://a"))
    assert [name for name, _ in answer.declined] == ["Same[0]", "Same[1]"]


def test_the_properties_of_a_plugin_are_left_alone() -> None:
    class Careful:
        @property
        def expensive(self) -> None:
            raise AssertionError("nobody asked for it")

        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle) -> None:
            return None

    assert hubplug.Hub({"chain": []}, plugins=[Careful()])


def test_a_hook_may_take_fewer_arguments_than_there_are(make_hub: MakeHub) -> None:
    class Everything:
        @hubplug.hookimpl
        def hubplug_validate(self, profile: str) -> list[hubplug.Finding] | None:
            return [hubplug.Finding("any/x", "note", profile)] if profile == "any" else None

    assert [finding.message for finding in make_hub(Everything()).validate("toy://a", ["any"])] == ["any"]


# What a bad plugin gets


def test_a_plugin_that_raises_is_named_with_hook_and_error(make_hub: MakeHub) -> None:
    class Broken:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle) -> None:
            raise KeyError("https://user:canary@h/?t=canary\nsecond line")

    with pytest.raises(PluginError) as raised:
        make_hub(Broken()).resolve("toy://a")
    assert raised.value.message == (
        "The plugin 'Broken[0]' of this program failed (hook hubplug_resolve): KeyError: 'https://h/?t=***"
        + raised.value.message.partition("***")[2]
    )
    assert re.search(rf"\(in {re.escape(__file__)}, line \d+\)$", raised.value.message)
    assert "canary" not in str(raised.value)
    assert "\n" not in raised.value.message
    assert isinstance(raised.value.__cause__, KeyError)


def test_a_plan_that_raises_is_named_with_hook_and_error(make_hub: MakeHub) -> None:
    class Broken:
        @hubplug.hookimpl
        def hubplug_fetch(self, source: Source) -> hubplug.Plan[None]:
            def run(tree: Any, auth_for: Any) -> None:
                raise ZeroDivisionError("division by zero")

            return hubplug.Plan("divide https://u:canary@h/", run)

    with pytest.raises(
        PluginError, match=r"'Broken\[0\]' .*plan of hubplug_fetch: divide https://h/\): ZeroDivis"
    ) as raised:
        make_hub(Broken()).resolve("toy://a")
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("hook", "value", "expected"),
    [
        ("hubplug_resolve", "toy://b", "str, expected Source or Handle or Plan, Declined or None"),
        ("hubplug_resolve", False, "bool, expected Source or Handle or Plan, Declined or None"),
        ("hubplug_cache", [], "list, expected Plan, Declined or None"),
        ("hubplug_fetch", b"", "bytes, expected Plan, Declined or None"),
        ("hubplug_unpack", True, "bool, expected Plan, Declined or None"),
        ("hubplug_load_format", {}, "dict, expected ModuleSpec, Declined or None"),
        ("hubplug_validate", "bad", "str, expected a list of Finding or None"),
        ("hubplug_validate", ["bad"], "list, expected a list of Finding or None"),
        ("hubplug_validate", False, "bool, expected a list of Finding or None"),
        ("hubplug_auth", ("user", "pw"), "tuple, expected a callable, Declined or None"),
        ("hubplug_export", 0, "int, expected Plan, Declined or None"),
        ("hubplug_publish", "gs://b/m", "str, expected Plan or Handle, Declined or None"),
    ],
)
def test_an_answer_of_the_wrong_type_is_refused(make_hub: MakeHub, hook: str, value: object, expected: str) -> None:
    specification = getattr(hubplug.hookspecs, hook)
    arguments = ", ".join(specification.__code__.co_varnames[: specification.__code__.co_argcount])
    scope: dict[str, Any] = {"value": value}
    exec(f"def {hook}(self, {arguments}): return value", scope)
    wrong = type("Wrong", (), {hook: hubplug.hookimpl(scope[hook])})()
    hub = make_hub(wrong)
    with pytest.raises(PluginError, match=f"'Wrong\\[0\\]' of this program answered {hook} with {expected} \\(in "):
        hub.load_spec("toyball://a")
        hub.validate("toyball://a", ["house"])
        hub.export(hubplug.ExportRequest(hub.load_spec("toyball://a"), "toy://nowhere"))


def test_a_decliner_may_refine_the_error_that_is_raised_when_nobody_answers(make_hub: MakeHub) -> None:
    class Lost(hubplug.errors.NobodyAnswered, KeyError):
        """What an old program catches."""

    class Other(hubplug.errors.NobodyAnswered):
        """What comes second."""

    def declining(kind: Any) -> object:
        class Declines:
            @hubplug.hookimpl
            def hubplug_resolve(self, handle: Handle) -> hubplug.Declined:
                return hubplug.Declined("not mine", error=kind)

        return Declines()

    with pytest.raises(KeyError, match="No plugin takes the handle 'nope://a'") as raised:
        make_hub(declining(None), declining(Lost), declining(Other)).resolve("nope://a")
    assert type(raised.value) is Lost
    make_hub(declining(Lost)).resolve("toy://a")
    for wrong in (KeyError, "Lost"):
        with pytest.raises(PluginError, match=r"Declined\.error is .*, expected a subclass of HubplugError"):
            make_hub(declining(wrong)).resolve("nope://a")


@pytest.mark.parametrize("value", ["/models", None, 3])
def test_a_plan_that_gives_the_wrong_type_is_refused(make_hub: MakeHub, value: object) -> None:
    class Wrong:
        @hubplug.hookimpl
        def hubplug_cache(self, source: Source) -> Any:
            return hubplug.Plan("look", lambda produce: value)

    with pytest.raises(
        PluginError, match=f"plan of hubplug_cache .* gave {type(value).__name__}, expected LocalModule"
    ):
        make_hub(Wrong()).resolve("toy://a")


def test_a_misspelt_hook_is_refused_with_the_nearest_name() -> None:
    class Misspelt:
        @hubplug.hookimpl
        def hubplug_reslove(self, handle: Handle) -> None:
            return None

    error = problem(Misspelt())
    assert error.message == (
        f"The plugin 'Misspelt[0]' of this program has 'hubplug_reslove', and there is no such hook (in {__file__})"
    )
    assert error.hint.startswith("did you mean 'hubplug_resolve'?")


def test_a_misspelt_prefix_is_refused_too() -> None:
    class Misspelt:
        @hubplug.hookimpl
        def hubplg_resolve(self, handle: Handle) -> None:
            return None

    assert "has 'hubplg_resolve', and there is no such hook" in problem(Misspelt()).message


def test_a_hook_without_the_marker_is_refused() -> None:
    class Unmarked:
        def hubplug_auth(self, request: Any) -> None:
            return None

    error = problem(Unmarked())
    assert "has 'hubplug_auth' without the marker" in error.message
    assert error.hint == "put @hubplug.hookimpl before it"


def test_a_plugin_without_any_hook_is_refused() -> None:
    class Empty:
        def resolve(self, handle: Handle) -> None:
            return None

    assert problem(Empty()).message == f"The plugin 'Empty[0]' of this program implements no hook (in {__file__})"


def test_wrong_arguments_of_a_hook_are_refused() -> None:
    class Wrong:
        @hubplug.hookimpl
        def hubplug_resolve(self, url: str) -> None:
            return None

    error = problem(Wrong())
    assert (
        "'Wrong[0]' of this program gives hubplug_resolve an argument 'url', and that hook has only handle"
        in error.message
    )
    assert "docs/hooks.md" in error.hint


def test_an_argument_with_a_default_is_refused_since_it_would_never_be_passed() -> None:
    class Defaulted:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle | None = None) -> None:
            return None

    class Keyword:
        @hubplug.hookimpl
        def hubplug_resolve(self, *, handle: Handle) -> None:
            return None

    for plugin in (Defaulted(), Keyword()):
        assert "an argument of hubplug_resolve a default or a keyword" in problem(plugin).message


@pytest.mark.parametrize("mark", ["tryfirst", "trylast", "wrapper", "hookwrapper"])
def test_nobody_jumps_the_queue_or_wraps_an_answer(mark: str) -> None:
    class Pushy:
        @hubplug.hookimpl(**{mark: True})
        def hubplug_resolve(self, handle: Handle) -> Any:
            yield

    error = problem(Pushy())
    assert f"marks hubplug_resolve as {mark}" in error.message
    assert "hubplug.yaml" in error.hint


def test_a_class_or_a_module_is_no_plugin_object() -> None:
    assert "is a type, not an object" in problem(Resolver).message
    assert "is a module, not an object" in problem(hubplug).message


# Distributions, real ones


PLUGIN = """
    import hubplug

    class Plugin:
        def __init__(self, *, mood: str = "calm", token: str = "") -> None:
            if mood == "angry":
                raise ValueError(f"cannot be {mood} with {token}")
            if mood == "picky":
                raise hubplug.errors.ConfigError("mood: picky moods are over", hint="be calm")

        @hubplug.hookimpl
        def hubplug_resolve(self, handle):
            return hubplug.Declined(type(self).__module__)
"""


def test_a_chain_names_installed_plugins_in_its_own_order(install: Install) -> None:
    install("corp-one", {"one": "corp_one:Plugin"}, PLUGIN)
    install("corp-two", {"two": "corp_two:Plugin"}, PLUGIN)
    hub = hubplug.Hub({"chain": ["two", "one"]})
    assert names(hub) == ["two", "one"]
    assert [member.distribution for member in hub.chain.members] == ["corp-two 1.0", "corp-one 1.0"]


def test_several_instances_of_a_plugin_differ_by_their_names(install: Install) -> None:
    install("corp-one", {"one": "corp_one:Plugin"}, PLUGIN)
    hub = hubplug.Hub({"chain": ["a", "one", "b"], "plugins": {"a": {"use": "one"}, "b": {"use": "one"}}})
    assert names(hub) == ["a", "one", "b"]
    assert len({id(member.plugin) for member in hub.chain.members}) == 3


def test_a_plugin_that_is_named_and_not_installed_is_an_error_with_the_nearest_name(install: Install) -> None:
    install("corp-auth", {"corp-auth": "corp_auth:Plugin"}, PLUGIN)
    with pytest.raises(ConfigError) as raised:
        hubplug.Hub({"chain": ["corp-atuh"]})
    assert raised.value.message == "the given configuration: chain: no plugin 'corp-atuh' is installed"
    assert "did you mean 'corp-auth'?" in (raised.value.hint or "")
    with pytest.raises(ConfigError, match=r"plugins\.mine\.use: no plugin 'corp-atuh' is installed"):
        hubplug.Hub({"chain": ["mine"], "plugins": {"mine": {"use": "corp-atuh"}}})


def test_a_plugin_that_cannot_be_imported_is_an_error_that_says_where_it_came_from(install: Install) -> None:
    install("corp-broken", {"broken": "corp_broken:Plugin"}, "raise RuntimeError('no licence')", version="2.5")
    with pytest.raises(PluginError) as raised:
        hubplug.Hub({"chain": ["broken"]})
    assert raised.value.message == (
        "the given configuration: chain: the plugin 'broken' (corp_broken:Plugin) of corp-broken 2.5 cannot be imported: "
        "RuntimeError: no licence"
    )
    assert raised.value.hint == "mend the distribution, or take broken out of the chain"


def test_a_plugin_that_needs_a_missing_package_says_what_to_install(install: Install) -> None:
    install("corp-needy", {"needy": "corp_needy:Plugin"}, "import a_package_nobody_has")
    with pytest.raises(PluginError, match=r"corp-needy 1\.0 cannot be imported: ModuleNotFoundError") as raised:
        hubplug.Hub({"chain": ["needy"]})
    assert (raised.value.hint or "").startswith("pip install a_package_nobody_has; or ")


def test_an_entry_point_to_a_name_that_is_not_there_is_an_error(install: Install) -> None:
    install("corp-one", {"one": "corp_one:Plugn"}, PLUGIN)
    with pytest.raises(
        PluginError, match=r"'one' \(corp_one:Plugn\) of corp-one 1\.0 cannot be imported: AttributeError"
    ):
        hubplug.Hub({"chain": ["one"]})


def test_an_entry_point_that_names_no_class_is_an_error(install: Install) -> None:
    install("corp-one", {"one": "corp_one:plugin"}, PLUGIN + "\n    plugin = Plugin()\n")
    with pytest.raises(
        PluginError, match=r"'one' \(corp_one:plugin\) of corp-one 1\.0 is a Plugin, and an entry point"
    ):
        hubplug.Hub({"chain": ["one"]})


def test_a_plugin_that_two_distributions_offer_is_an_error_that_names_both(install: Install) -> None:
    install("corp-one", {"same": "corp_one:Plugin"}, PLUGIN)
    install("corp-two", {"same": "corp_two:Plugin"}, PLUGIN, version="3")
    with pytest.raises(PluginError, match=r"chain: the plugin 'same' is offered by corp-") as raised:
        hubplug.Hub({"chain": ["same"]})
    assert "corp-one 1.0" in raised.value.message
    assert "corp-two 3" in raised.value.message
    assert raised.value.hint == "uninstall all but one of them"


def test_a_constructor_that_fails_is_named_and_its_secrets_are_not(install: Install) -> None:
    install("corp-one", {"one": "corp_one:Plugin"}, PLUGIN)
    options = {"mood": "angry", "token": "canary"}
    with pytest.raises(PluginError) as raised:
        hubplug.Hub({"chain": ["one"], "plugins": {"one": {"options": options}}})
    assert raised.value.message == (
        "The plugin 'one' (corp_one:Plugin) of corp-one 1.0 cannot be made from its options ['mood', 'token']: "
        "ValueError: cannot be angry with ***"
    )
    assert raised.value.hint == "look at plugins.one.options in the given configuration"


def test_a_constructor_that_refuses_an_option_speaks_for_itself(install: Install) -> None:
    install("corp-one", {"one": "corp_one:Plugin"}, "import hubplug.errors\n" + PLUGIN.replace("\n    ", "\n"))
    with pytest.raises(ConfigError) as raised:
        hubplug.Hub({"chain": ["one"], "plugins": {"one": {"options": {"mood": "picky"}}}})
    assert str(raised.value) == (
        "the given configuration: plugins.one.options: mood: picky moods are over\nhint: be calm"
    )


def test_a_misspelt_hook_of_a_distribution_names_the_distribution(install: Install) -> None:
    install("corp-one", {"one": "corp_one:Plugin"}, PLUGIN.replace("hubplug_resolve", "hubplug_rseolve"))
    with pytest.raises(PluginError, match=r"The plugin 'one' of corp-one 1\.0 has 'hubplug_rseolve'"):
        hubplug.Hub({"chain": ["one"]})


# Which come by themselves


@pytest.fixture
def third_parties(install: Install) -> None:
    """Three third-party plugins of two distributions, and hubplug's own distribution as it is on this machine."""
    install("zeta", {"alpha": "zeta:Plugin"}, PLUGIN)
    install("acme", {"omega": "acme:Plugin", "beta": "acme:Plugin"}, PLUGIN)


@pytest.mark.usefixtures("third_parties")
def test_a_star_stands_for_every_other_third_party_plugin() -> None:
    assert names(hubplug.Hub({"chain": ["omega", "*"]})) == ["omega", "beta", "alpha"]
    assert names(hubplug.Hub({"chain": ["*", "alpha"]})) == ["beta", "omega", "alpha"]
    assert names(hubplug.Hub({"chain": ["*"]})) == ["beta", "omega", "alpha"]


@pytest.mark.usefixtures("third_parties")
def test_a_star_leaves_out_what_is_there_under_another_name() -> None:
    hub = hubplug.Hub({"chain": ["*", "mine"], "plugins": {"mine": {"use": "beta"}}})
    assert names(hub) == ["omega", "alpha", "mine"]


@pytest.mark.usefixtures("third_parties")
def test_with_a_configuration_the_chain_is_exactly_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "hubplug.yaml"
    path.write_text("version: 1\nchain: [alpha]\n")
    assert names(hubplug.Hub(path)) == ["alpha"]
    assert names(hubplug.Hub({"chain": ["alpha"]})) == ["alpha"]


def effective_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    from hubplug.settings.config import load_config
    from hubplug.settings.plugins import effective_names

    monkeypatch.chdir(tmp_path)
    return effective_names(load_config(), installed_plugins())


@pytest.mark.usefixtures("third_parties")
def test_without_a_configuration_third_parties_come_first_by_distribution_and_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert effective_default(monkeypatch, tmp_path)[:4] == ["beta", "omega", "alpha", "auth"]


@pytest.mark.usefixtures("third_parties")
def test_third_parties_stay_out_when_autoload_is_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HUBPLUG_DISABLE_PLUGIN_AUTOLOAD", "1")
    assert effective_default(monkeypatch, tmp_path)[0] == "auth"


@pytest.mark.usefixtures("third_parties")
def test_one_plugin_is_switched_off_without_naming_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HUBPLUG_DISABLE_PLUGINS", "omega, file")
    found = effective_default(monkeypatch, tmp_path)
    assert found[:3] == ["beta", "alpha", "auth"]
    assert "file" not in found
    assert names(hubplug.Hub({"chain": ["*"], "disabled": ["beta"]})) == ["alpha"]


@pytest.mark.usefixtures("third_parties")
def test_a_misspelt_name_among_the_disabled_ones_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="disabled: no plugin 'omgea' is in the chain or installed") as raised:
        hubplug.Hub({"chain": ["*"], "disabled": ["omgea"]})
    assert "did you mean 'omega'?" in str(raised.value.hint)
    monkeypatch.setenv("HUBPLUG_DISABLE_PLUGINS", "nope")
    with pytest.raises(ConfigError, match="'nope'"):
        hubplug.Hub()


def test_a_plugin_with_a_required_option_says_where_it_came_from_and_the_way_out(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = PLUGIN.replace('token: str = ""', "server: str")
    install("corp-models", {"models": "corp_models:Plugin"}, code)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ConfigError, match=r"plugins.models.options.server: the plugin of corp-models 1\.0 requires this option"
    ) as raised:
        hubplug.Hub()
    assert "HUBPLUG_DISABLE_PLUGINS=models" in str(raised.value.hint)
    assert "plugins.models.options.server" in str(raised.value.hint)


def test_a_third_party_that_comes_by_itself_and_cannot_be_imported_is_fatal(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install("corp-broken", {"broken": "corp_broken:Plugin"}, "raise RuntimeError('no licence')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PluginError, match=r"corp-broken 1\.0 cannot be imported") as raised:
        hubplug.Hub()
    assert "HUBPLUG_DISABLE_PLUGINS=broken" in (raised.value.hint or "")
    monkeypatch.setenv("HUBPLUG_DISABLE_PLUGINS", "broken")
    assert "broken" not in names(hubplug.Hub())


def test_a_plugin_that_asks_for_the_default_hub_while_that_is_made_is_an_error(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = """
        import hubplug

        class Plugin:
            def __init__(self):
                hubplug.resolve("/m")

            @hubplug.hookimpl
            def hubplug_auth(self, request):
                return None
        """
    install("corp-eager", {"eager": "corp_eager:Plugin"}, code)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PluginError, match=r"corp-eager 1\.0 cannot be made"):
        hubplug.resolve("/m")


def test_every_hook_has_one_answer_type_and_a_place_in_the_chain() -> None:
    from hubplug.chain import _ANSWERS

    assert {*_ANSWERS, "hubplug_validate"} == set(HOOKS)
    assert HOOKS == (
        "hubplug_resolve",
        "hubplug_auth",
        "hubplug_send",
        "hubplug_cache",
        "hubplug_entries",
        "hubplug_fetch",
        "hubplug_unpack",
        "hubplug_load_format",
        "hubplug_validate",
        "hubplug_export",
        "hubplug_publish",
    )
