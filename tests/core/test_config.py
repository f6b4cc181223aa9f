"""hubplug.yaml: where it is looked for, what is refused in it, and what the environment says over it."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hubplug
from hubplug.errors import ConfigError, PluginError
from hubplug.settings.config import DEFAULT, Config, environment_fingerprint, load_config, parse_config
from hubplug.settings.entry_points import installed_plugins, load_entry_point
from hubplug.settings.members import hooks_of_class
from hubplug.settings.options import option_parameters
from hubplug.settings.trust import guarded_options

ROOT = Path(__file__).resolve().parents[2]
Install = Callable[..., None]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def problem(data: object) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        parse_config(data, "f.yaml")
    assert "\n" not in raised.value.message
    return raised.value


@pytest.fixture
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_the_repositorys_hubplug_yaml_is_the_built_in_default() -> None:
    from hubplug.settings.strict_yaml import read_yaml

    assert read_yaml(ROOT / "hubplug.yaml") == DEFAULT


def test_every_setting_of_the_default_has_a_comment() -> None:
    lines = (ROOT / "hubplug.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"[a-z]+:", line):
            assert lines[number - 1].startswith("#"), line


def test_a_file_is_looked_for_in_five_places_in_order(
    working_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in = load_config()
    assert (built_in.path, built_in.where, built_in.trusted) == (None, "the built-in configuration", True)

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    users = write(tmp_path / "config" / "hubplug" / "hubplug.yaml", "version: 1\n")
    assert (load_config().path, load_config().trusted) == (users, True)

    found = write(working_directory / "hubplug.yaml", "version: 1\n")
    assert (load_config().path, load_config().trusted) == (found, False)

    named = write(tmp_path / "named.yaml", "version: 1\n")
    monkeypatch.setenv("HUBPLUG_CONFIG", str(named))
    assert (load_config().path, load_config().trusted) == (named, True)

    argument = write(tmp_path / "argument.yaml", "version: 1\n")
    assert (load_config(argument).path, load_config(str(argument)).trusted) == (argument, True)


@pytest.mark.parametrize("how", ["argument", "HUBPLUG_CONFIG"])
def test_a_named_file_that_is_not_there_is_an_error(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "missing.yaml"
    monkeypatch.setenv("HUBPLUG_CONFIG", str(missing))
    with pytest.raises(ConfigError, match=f"missing.yaml.*{how}") as raised:
        load_config(missing if how == "argument" else None)
    assert raised.value.hint


def test_an_unknown_section_is_an_error_with_the_nearest_name() -> None:
    error = problem({"version": 1, "plugin": {}})
    assert error.message == "f.yaml: plugin: there is no such key"
    assert error.hint is not None
    assert error.hint.startswith("did you mean 'plugins'? possible: chain, chains, ")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "f.yaml: expected a mapping, got nothing"),
        ([1], "f.yaml: expected a mapping, got a list"),
        ({}, "f.yaml: version: expected 1, got None"),
        ({"version": 2}, "f.yaml: version: expected 1, got 2"),
        ({"version": True}, "f.yaml: version: expected a whole number, got True"),
        ({"version": "1"}, "f.yaml: version: expected a whole number, got '1'"),
        ({"version": 1, "chain": "cache"}, "f.yaml: chain: expected a list, each item a string, got a string"),
        ({"version": 1, "chain": None}, "f.yaml: chain: expected a list, each item a string, got nothing"),
        ({"version": 1, "chain": ["a", False]}, "f.yaml: chain[1]: expected a string, got False"),
        ({"version": 1, "chain": ["a", ""]}, "f.yaml: chain: a name is empty"),
        ({"version": 1, "chain": ["a", {"b": 1}]}, "f.yaml: chain[1]: expected a string, got a mapping"),
        ({"version": 1, "chain": ["a", "b", "a"]}, "f.yaml: chain: 'a' is there twice"),
        ({"version": 1, "chains": {"x": ["a", "a"]}}, "f.yaml: chains.x: 'a' is there twice"),
        ({"version": 1, "chains": {"x": "a"}}, "f.yaml: chains.x: expected a list, each item a string, got a string"),
        ({"version": 1, "chains": {True: ["a"]}}, "f.yaml: chains: expected a string as key, got True"),
        ({"version": 1, "offline": "yes"}, "f.yaml: offline: expected true or false, got 'yes'"),
        ({"version": 1, "offline": 1}, "f.yaml: offline: expected true or false, got 1"),
        ({"version": 1, "server_schemes": "gs"}, "f.yaml: server_schemes: expected a list, each item a string, got a string"),
        ({"version": 1, "server_schemes": ["s3://"]}, "f.yaml: server_schemes: 's3://' is not a scheme"),
        ({"version": 1, "server_schemes": ["gs", "FILE"]}, "f.yaml: server_schemes: a server may not name a local path"),
        ({"version": 1, "locked": None}, "f.yaml: locked: expected true or false, got nothing"),
        ({"version": 1, "plugins": {"p": None}}, "f.yaml: plugins.p: expected a mapping, got nothing"),
        ({"version": 1, "plugins": {"p": {"options": []}}}, "f.yaml: plugins.p.options: expected a mapping, got a list"),
        ({"version": 1, "plugins": {"p": {"use": 3}}}, "f.yaml: plugins.p.use: expected a string, got 3"),
        ({"version": 1, "plugins": {"p": {"option": {}}}}, "f.yaml: plugins.p.option: there is no such key"),
        ({"version": 1, "validate": {"https://h/": "safe"}}, "f.yaml: validate['https://h/']: expected a list, each item a string, got a string"),
        ({"version": 1, "validate": {"h.example/": ["safe"]}}, "f.yaml: validate: 'h.example/' is not a URL prefix: it has no scheme"),
        ({"version": 1, "validate": {"/models": ["safe"]}}, "f.yaml: validate: '/models' is not a URL prefix: it has no scheme"),
        ({"version": 1, "validate": {"https://h/?canary": ["safe"]}}, "f.yaml: validate: 'https://h/?***' is not a URL prefix: it has a query or fragment"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_an_error_with_file_and_key_path(data: Any, message: str) -> None:
    assert problem(data).message == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 1\nchain: [a]\nchain: [b]\n", "line 3: the key 'chain' is there twice"),
        ("version: 1\nplugins:\n  a: {}\n  b: {}\n  a: {}\n", "line 5: the key 'a' is there twice"),
        ("version: 1\nplugins: {http: {options: {x: 1, x: 2}}}\n", "line 2: the key 'x' is there twice"),
        ("version: [1\n", "is not YAML"),
        ("version: !!python/object/apply:os.system [x]\n", "is not YAML"),
        ("a: \x00\n", "is not YAML"),
        ("", "expected a mapping, got nothing"),
    ],
)
def test_a_file_that_is_not_what_it_seems_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "f.yaml", text)
    with pytest.raises(ConfigError, match=message) as raised:
        load_config(path)
    assert str(path) in raised.value.message
    assert "\n" not in raised.value.message


def test_a_file_that_cannot_be_read_as_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"version: \xff\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(path)


def test_equal_keys_that_come_from_a_merge_are_fine(tmp_path: Path) -> None:
    text = """
        version: 1
        chains:
          a: &a [x]
          b: *a
        plugins:
          one: &one {use: cache, options: {dir: /a}}
          two: {<<: *one, use: file}
    """
    config = load_config(write(tmp_path / "f.yaml", text))
    assert config.plugins["two"].use == "file"
    assert config.plugins["two"].options == {"dir": "/a"}


def test_an_alternative_chain_is_chosen_by_argument_or_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "f.yaml", "version: 1\nchain: [a]\nchains: {frozen: [b, c], other: [d]}\n")
    assert load_config(path).chain == ("a",)
    monkeypatch.setenv("HUBPLUG_CHAIN", "frozen")
    assert load_config(path).chain == ("b", "c")
    assert load_config(path, chain="other").chain == ("d",)
    monkeypatch.setenv("HUBPLUG_CHAIN", "")
    assert load_config(path).chain == ("a",)


def test_a_chain_that_is_not_there_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    path = write(tmp_path / "f.yaml", "version: 1\nchains: {frozen: [b]}\n")
    with pytest.raises(ConfigError, match="there is no chain 'frosen'") as raised:
        load_config(path, chain="frosen")
    assert raised.value.hint == "did you mean 'frozen'? possible: frozen"


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("true", True), ("ON", True), ("0", False), ("no", False), ("", False)]
)
def test_offline_is_switched_by_the_environment(
    value: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBPLUG_OFFLINE", value)
    path = write(tmp_path / "f.yaml", "version: 1\noffline: false\n")
    assert load_config(path).offline is expected
    assert load_config({}).offline is expected
    assert load_config(path, offline=not expected).offline is (not expected)


def test_an_empty_switch_leaves_what_the_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBPLUG_OFFLINE", "")
    assert load_config(write(tmp_path / "f.yaml", "version: 1\noffline: true\n")).offline is True


@pytest.mark.parametrize("name", ["HUBPLUG_OFFLINE"])
def test_a_switch_that_is_neither_on_nor_off_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "maybe")
    with pytest.raises(ConfigError, match=f"{name} is a switch, and 'maybe' is neither on nor off") as raised:
        load_config({})
    assert raised.value.hint == f"set {name}=1, or unset it"


def test_a_dict_stands_for_a_file_and_is_named_as_what_it_is() -> None:
    config = load_config({"chain": ["a"], "chains": {"x": ["b"]}}, chain="x")
    assert (config.chain, config.where, config.path, config.given) == (("b",), "the given configuration", None, True)
    with pytest.raises(ConfigError, match=r"^the given configuration: chian: there is no such key"):
        hubplug.Hub({"chian": []})


def test_a_config_is_given_alone() -> None:
    with pytest.raises(ConfigError, match="give it alone"):
        hubplug.Hub(Config(chain=()), offline=True)


@pytest.mark.parametrize("limits", [{"max_bites": 1}, {"max_bytes": "1"}, {"max_bytes": True}, {"max_bytes": 0}])
def test_a_limit_that_cannot_be_meant_is_an_error_with_its_key_path(limits: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"limits\.{next(iter(limits))}: "):
        hubplug.Hub({"chain": [], "limits": limits})


RECORDER = """
    import hubplug
    from collections.abc import Mapping, Sequence

    class Recorder:
        environment = {"place": "TFHUB_TEST_PLACE"}
        trusted_options = ("token", "commands")
        def __init__(self, *, place: str = "", token: str = "", read_only: bool = False,
                     commands: Sequence[str] = (), rules: Sequence[Mapping[str, object]] = ()) -> None:
            self.place, self.token, self.read_only, self.rules = place, token, read_only, rules
        @staticmethod
        def takes_everything(options):
            return not options.get("read_only")
        @hubplug.hookimpl
        def hubplug_resolve(self, handle):
            return None
"""


@pytest.fixture
def recorder(install: Install) -> None:
    install("recorder", {"rec": "recorder:Recorder"}, RECORDER)


def options_of(hub: hubplug.Hub) -> list[Any]:
    return [member.plugin for member in hub.chain.members]


@pytest.mark.usefixtures("recorder")
def test_a_reference_is_expanded_from_the_environment_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "there")
    options = {"place": "/x/${PLACE}/y", "rules": [{"a": ["${PLACE}${PLACE}"], "b": 3}]}
    (plugin,) = options_of(hubplug.Hub({"chain": ["rec"], "plugins": {"rec": {"options": options}}}))
    assert (plugin.place, plugin.rules) == ("/x/there/y", [{"a": ["therethere"], "b": 3}])


@pytest.mark.usefixtures("recorder")
def test_a_reference_to_an_unset_variable_is_an_error_with_its_key_path() -> None:
    options = {"rules": [{"a": 1}, {"token": "${CORP_TOKEN}"}]}
    with pytest.raises(ConfigError) as raised:
        hubplug.Hub({"chain": ["rec"], "plugins": {"rec": {"options": options}}})
    assert raised.value.message == (
        "the given configuration: plugins.rec.options.rules[1].token: the environment variable 'CORP_TOKEN' is not set"
    )
    assert raised.value.hint == "set CORP_TOKEN, or write the value itself"


@pytest.mark.usefixtures("recorder")
def test_a_hub_pickles_with_its_references_unexpanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORP_TOKEN", "canary")
    hub = hubplug.Hub({"chain": ["rec"], "plugins": {"rec": {"options": {"token": "${CORP_TOKEN}"}}}})
    pickled = pickle.dumps(hub)
    assert b"canary" not in pickled
    monkeypatch.setenv("CORP_TOKEN", "another")
    (plugin,) = options_of(pickle.loads(pickled))
    assert plugin.token == "another"


@pytest.mark.usefixtures("recorder")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokne": "x"}, r"plugins\.rec\.options\.tokne: there is no such option"),
        ({"place": 3}, r"plugins\.rec\.options\.place: expected a string, got 3"),
        ({"read_only": "no"}, r"plugins\.rec\.options\.read_only: expected true or false, got 'no'"),
        ({"rules": "canary"}, r"plugins\.rec\.options\.rules: expected a list, each item a mapping, got a string"),
        ({"token": 123456}, r"plugins\.rec\.options\.token: expected a string, got '\*\*\*'"),
    ],
)
def test_an_option_that_does_not_fit_is_an_error_with_its_key_path(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        hubplug.Hub({"chain": ["rec"], "plugins": {"rec": {"options": options}}})


@pytest.mark.usefixtures("recorder")
def test_a_file_that_was_merely_found_may_neither_hold_credentials_nor_read_the_environment(
    working_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME_TOKEN", "canary")
    for options in ("{token: abc}", "{commands: [rm]}", "{place: '${HOME_TOKEN}'}", "{rules: [{a: '${HOME_TOKEN}'}]}"):
        path = write(
            working_directory / "hubplug.yaml", f"version: 1\nchain: [rec]\nplugins: {{rec: {{options: {options}}}}}\n"
        )
        with pytest.raises(ConfigError, match="merely found in the working directory") as raised:
            hubplug.Hub()
        assert raised.value.hint == f"if you trust it, name it: HUBPLUG_CONFIG={path}"
        assert "canary" not in str(raised.value)
        assert hubplug.Hub(path).config.trusted


@pytest.mark.usefixtures("recorder")
def test_a_file_that_was_merely_found_may_set_what_is_no_credential(working_directory: Path) -> None:
    write(working_directory / "hubplug.yaml", "version: 1\nchain: [rec]\nplugins: {rec: {options: {place: here}}}\n")
    (plugin,) = options_of(hubplug.Hub())
    assert plugin.place == "here"


SIGNERS = """
    import hubplug

    class Signer:
        untrusted_options = ("color",)
        def __init__(self, *, server: str = "", color: str = "", later: str = "") -> None:
            pass
        @hubplug.hookimpl
        def hubplug_auth(self, request):
            return None

    class Heir(Signer):
        trusted_options = ("color",)
        untrusted_options = ()
"""


@pytest.mark.parametrize(
    ("options", "fine"),
    [
        ("{server: 'https://h/'}", False),
        ("{later: x}", False),
        ("{color: red}", True),
        ("{color: '${HOME}'}", False),
        ("{}", True),
    ],
)
def test_a_file_that_was_merely_found_may_not_set_the_options_of_a_plugin_that_signs_requests(
    options: str, fine: bool, install: Install, working_directory: Path
) -> None:
    install("signers", {"signer": "signers:Signer", "heir": "signers:Heir"}, SIGNERS)
    for name in ("signer", "heir"):
        text = f"version: 1\nchain: [mine]\nplugins: {{mine: {{use: {name}, options: {options}}}}}\n"
        path = write(working_directory / "hubplug.yaml", text)
        if fine and (name == "signer" or options == "{}"):
            hubplug.Hub()
        else:
            with pytest.raises(ConfigError, match="merely found in the working directory") as raised:
                hubplug.Hub()
            assert raised.value.hint == f"if you trust it, name it: HUBPLUG_CONFIG={path}"
        assert hubplug.Hub(path).config.trusted


def test_every_option_of_every_plugin_that_signs_is_a_trusted_one_unless_its_class_says_otherwise() -> None:
    for name, (entry_point, *_) in installed_plugins().items():
        kind = load_entry_point(entry_point)
        if "hubplug_auth" in hooks_of_class(kind):
            free = set(option_parameters(kind)[0]) - guarded_options(kind)
            assert free == set(getattr(kind, "untrusted_options", ())), name
    assert "rules" in guarded_options(load_entry_point(installed_plugins()["auth"][0]))


@pytest.mark.parametrize(
    ("declaration", "words"),
    [
        ("trusted_options = ('tokne',)", "names 'tokne' in trusted_options, and it has no such option"),
        ("untrusted_options = ('tokne',)", "names 'tokne' in untrusted_options, and it has no such option"),
        ("environment = {'tokne': 'X'}", "names 'tokne' in environment, and it has no such option"),
        ("trusted_options = 'token'", "declares trusted_options as a string"),
    ],
)
def test_what_a_class_declares_of_an_option_that_it_does_not_have_is_an_error(
    declaration: str, words: str, install: Install
) -> None:
    code = f"""
        import hubplug
        class Slip:
            {declaration}
            def __init__(self, *, token: str = "") -> None:
                pass
            @hubplug.hookimpl
            def hubplug_resolve(self, handle):
                return None
    """
    install("slips", {"slip": "slips:Slip"}, code)
    with pytest.raises(PluginError, match=words) as raised:
        hubplug.Hub({"chain": ["slip"]})
    assert "slips 1.0" in raised.value.message
    assert raised.value.hint


@pytest.mark.parametrize(
    ("grant", "harmless"),
    [
        ("server_schemes: [gs, s3]", "server_schemes: []"),
        ("limits: {max_ratio: 100000}", "limits: {max_ratio: 10}"),
        ("plugins: {fsspec: {options: {schemes: [gs, sftp]}}}", "plugins: {fsspec: {options: {parallel: 2}}}"),
    ],
)
def test_a_file_that_was_merely_found_may_not_widen_what_is_allowed(
    grant: str, harmless: str, working_directory: Path
) -> None:
    path = write(working_directory / "hubplug.yaml", f"version: 1\nchain: [fsspec]\n{grant}\n")
    with pytest.raises(ConfigError, match="merely found in the working directory") as raised:
        hubplug.Hub()
    assert raised.value.hint == f"if you trust it, name it: HUBPLUG_CONFIG={path}"
    assert hubplug.Hub(path).config.trusted
    write(path, f"version: 1\nchain: [fsspec]\n{harmless}\n")
    assert not hubplug.Hub().config.trusted


def test_a_relative_xdg_config_home_does_not_make_a_file_the_users_own(
    working_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (working_directory / "config" / "hubplug").mkdir(parents=True)
    write(working_directory / "config" / "hubplug" / "hubplug.yaml", "version: 1\nchain: [cache]\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", "config")
    monkeypatch.setenv("HOME", str(working_directory / "home"))
    assert load_config().path is None


@pytest.mark.usefixtures("recorder")
def test_the_environment_moves_the_first_writable_instance_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFHUB_TEST_PLACE", "moved")
    plugins = {
        "shared": {"use": "rec", "options": {"read_only": True, "place": "shared"}},
        "first": {"use": "rec", "options": {"place": "first"}},
        "second": {"use": "rec", "options": {"place": "second"}},
    }
    hub = hubplug.Hub({"chain": ["shared", "first", "second"], "plugins": plugins})
    assert [plugin.place for plugin in options_of(hub)] == ["shared", "moved", "second"]


@pytest.mark.usefixtures("recorder")
def test_a_read_only_instance_after_a_writable_one_is_an_error_since_it_would_never_be_asked() -> None:
    plugins = {"shared": {"use": "rec", "options": {"read_only": True}}}
    with pytest.raises(ConfigError, match="chain: 'shared' stands after 'rec', which answers for everything") as raised:
        hubplug.Hub({"chain": ["rec", "shared"], "plugins": plugins})
    assert raised.value.hint == "put shared before rec"
    assert hubplug.Hub({"chain": ["shared", "rec"], "plugins": plugins})


def test_an_option_that_happens_to_be_called_read_only_means_nothing_to_the_core(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _, after = RECORDER.partition("        @staticmethod\n")
    install("recorder", {"rec": "recorder:Recorder"}, before + after.partition('"read_only")\n')[2])
    monkeypatch.setenv("TFHUB_TEST_PLACE", "moved")
    plugins = {"other": {"use": "rec", "options": {"read_only": True}}}
    hub = hubplug.Hub({"chain": ["rec", "other"], "plugins": plugins})
    assert [plugin.place for plugin in options_of(hub)] == ["moved", "moved"]


@pytest.mark.usefixtures("recorder")
def test_options_under_a_misspelt_name_are_not_passed_over() -> None:
    with pytest.raises(ConfigError, match=r"plugins\.rce: no chain names it") as raised:
        hubplug.Hub({"chain": ["rec"], "plugins": {"rce": {"options": {"token": "x"}}}})
    assert raised.value.hint is not None
    assert raised.value.hint.startswith("did you mean 'rec'?")


def test_only_the_variables_of_tensorflow_hub_and_ours_make_the_default_hub_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = environment_fingerprint()
    monkeypatch.setenv("SOMETHING_ELSE", "1")
    assert environment_fingerprint() == before
    monkeypatch.setenv("TFHUB_MODEL_LOAD_FORMAT", "AUTO")
    assert environment_fingerprint() != before


def test_a_working_directory_that_is_gone_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert load_config().path is None
    os.chdir("/")


def test_a_file_that_was_merely_found_takes_away_nothing_that_the_users_own_file_demands(
    working_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    own = "version: 1\noffline: true\nlocked: true\nvalidate: {'https://a/': [safe], 'https://b/': [complete]}\n"
    write(tmp_path / "config" / "hubplug" / "hubplug.yaml", own)
    weaker = "version: 1\noffline: false\nlocked: false\nvalidate: {'https://a/': [complete], 'https://c/': [safe]}\n"
    found = write(working_directory / "hubplug.yaml", weaker)
    config = load_config()
    assert (config.path, config.offline, config.locked) == (found, True, True)
    expected = {"https://a/": ("safe", "complete"), "https://b/": ("complete",), "https://c/": ("safe",)}
    assert config.validate == expected
    named = load_config(found)
    assert (named.offline, named.locked, list(named.validate)) == (False, False, ["https://a/", "https://c/"])


def test_the_users_own_file_is_not_passed_over_where_it_is_damaged(
    working_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    own = write(tmp_path / "config" / "hubplug" / "hubplug.yaml", "version: 1\nvalidate: [\n")
    write(working_directory / "hubplug.yaml", "version: 1\n")
    with pytest.raises(ConfigError, match=re.escape(str(own))):
        load_config()
