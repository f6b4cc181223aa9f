"""Which URL is asked for: the format query, rewrite rules, mirrors, prefixes."""

from __future__ import annotations

from typing import Any

import pytest

from hubplug.errors import AccessError, ConfigError, FetchError, MissingError
from hubplug.hub import Hub
from hubplug.types import Declined, Handle, Plan, Source
from hubplug_http import Http
from tests.plugins.http.driving import ARCHIVE, bring, start
from tests.servers import Reply, ScriptedServer

NOW: dict[str, Any] = {"max_retry_wait": 0, "retries": 1}


def plan_of(url: str, **options: Any) -> str:
    """What the plan says it would do."""
    plugin = Http(**options)
    source = plugin.hubplug_resolve(Handle.parse(url))
    while isinstance(source, Handle):
        source = plugin.hubplug_resolve(source)
    assert isinstance(source, Source)
    plan = plugin.hubplug_fetch(source)
    assert isinstance(plan, Plan)
    return plan.what


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        ("/m/1", "/m/1?tf-hub-format=compressed"),
        ("/m/1?", "/m/1?tf-hub-format=compressed"),
        ("/m/1?a=b", "/m/1?a=b&tf-hub-format=compressed"),
        ("/m/1?a=b&", "/m/1?a=b&tf-hub-format=compressed"),
        ("/m/1?a=&b", "/m/1?a=&b&tf-hub-format=compressed"),
        ("/m/1?q=a%20b+c", "/m/1?q=a%20b+c&tf-hub-format=compressed"),
        ("/m/1?a=b#part", "/m/1?a=b&tf-hub-format=compressed"),
        ("/m/1?tf-hub-format=compressed", "/m/1?tf-hub-format=compressed"),
        ("/m/1/", "/m/1/?tf-hub-format=compressed"),
        ("/m.tar.gz", "/m.tar.gz"),
        ("/m.tgz", "/m.tgz"),
        ("/m.TAR", "/m.TAR"),
        ("/m.tar.gz?signature=x", "/m.tar.gz?signature=x"),
        ("/m.target", "/m.target?tf-hub-format=compressed"),
    ],
)
def test_the_format_query(asked: str, target: str, server: ScriptedServer) -> None:
    server.always(Reply(body=ARCHIVE))
    assert bring(server.url(asked)) == ARCHIVE
    assert server.requests[0].target == target


def test_a_prefix_can_do_without_the_format_query(server: ScriptedServer) -> None:
    server.always(Reply(body=ARCHIVE))
    bring(server.url("/signed/m?s=1"), servers={server.url("/signed/"): {"format_query": False}})
    bring(server.url("/m?s=1"), format_query=False)
    assert [one.target for one in server.requests] == ["/signed/m?s=1", "/m?s=1"]


@pytest.mark.parametrize(
    ("handle", "asked"),
    [
        (
            "https://hub.tensorflow.google.cn/google/nnlm/1",
            "https://gcs.tensorflow.google.cn/tfhub-modules/google/nnlm/1.tar.gz",
        ),
        ("https://hub.tensorflow.google.cn/a/1/", "https://gcs.tensorflow.google.cn/tfhub-modules/a/1/.tar.gz"),
        ("http://hub.tensorflow.google.cn/a/1", "http://hub.tensorflow.google.cn/a/1?tf-hub-format=compressed"),
        (
            "https://hub.tensorflow.google.cn.evil.example/a",
            "https://hub.tensorflow.google.cn.evil.example/a?tf-hub-format=compressed",
        ),
    ],
)
def test_by_default_the_plugin_rewrites_google_cn(handle: str, asked: str) -> None:
    assert plan_of(handle) == f"download {asked} as an archive"


def test_a_rewritten_handle_keeps_the_typed_one_as_its_cache_key(server: ScriptedServer) -> None:
    plugin = Http(rewrite=[{"from": "https://tfhub\\.dev/(.*)", "to": server.url("/old/\\1")}])
    typed = Handle.parse("https://tfhub.dev/google/elmo/3")
    instead = plugin.hubplug_resolve(typed)
    assert isinstance(instead, Handle)
    assert instead.text == server.url("/old/google/elmo/3")
    source = plugin.hubplug_resolve(instead)
    assert isinstance(source, Source)
    assert source.key == typed.text


def test_the_first_rule_that_matches_the_whole_handle_counts() -> None:
    rules = [
        {"from": "https://a\\.example/x", "to": "https://never.example/"},
        {"from": "https://(?P<host>a)\\.example/(x/.*)", "to": "https://\\g<host>2.example/\\2"},
        {"from": "https://a\\.example/.*", "to": "https://later.example/"},
    ]
    assert "https://a2.example/x/1?" in plan_of("https://a.example/x/1", rewrite=rules)


def test_a_rule_may_match_its_own_result(server: ScriptedServer) -> None:
    rule = {"from": f"{server.url('')}/(.*)", "to": server.url("/mirror/\\1")}
    assert plan_of(server.url("/m"), rewrite=[rule]).count("/mirror/") == 1


def test_a_rule_can_leave_the_format_query_out() -> None:
    rule = {"from": "https://a\\.example/(.*)", "to": "https://b.example/\\1", "format_query": False}
    assert plan_of("https://a.example/m", rewrite=[rule]) == "download https://b.example/m as an archive"


def test_a_rule_may_lead_to_another_scheme() -> None:
    plugin = Http(rewrite=[{"from": "https://a\\.example/(.*)", "to": "gs://bucket/\\1"}])
    instead = plugin.hubplug_resolve(Handle.parse("https://a.example/m"))
    assert isinstance(instead, Handle)
    assert (instead.text, instead.named_by_server) == ("gs://bucket/m", False)
    assert plugin.hubplug_resolve(instead) is None


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"from": "(", "to": "x"}, "rewrite\\[0\\].from: .* is not a regular expression"),
        ({"from": "a", "to": "\\1"}, "rewrite\\[0\\].to: .* does not fit"),
        ({"from": "(?P<a>a)", "to": "\\g<b>"}, "rewrite\\[0\\].to: .* does not fit"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Http(rewrite=[rule])


def test_an_instance_takes_only_its_prefixes() -> None:
    plugin = Http(prefixes=["https://hub.example.com/team"])
    assert isinstance(plugin.hubplug_resolve(Handle.parse("https://hub.example.com/team/m")), Source)
    for text in (
        "https://hub.example.com/teams/m",
        "https://other.example.com/team/m",
        "https://hub.example.com/team/../m",
    ):
        handle = Handle.parse(text)
        assert isinstance(plugin.hubplug_resolve(handle), Declined)
        assert isinstance(plugin.hubplug_fetch(Source(handle, text)), Declined)


@pytest.mark.parametrize("text", ["/a/path", "gs://bucket/m", "file:///m", "relative/path", "s3://bucket/m"])
def test_other_handles_are_not_its_business(text: str) -> None:
    handle = Handle.parse(text)
    assert Http().hubplug_resolve(handle) is None
    assert Http().hubplug_fetch(Source(handle, text)) is None


def mirrored(server: ScriptedServer, other: ScriptedServer, **options: Any) -> bytes:
    return bring(
        server.url("/hub/m/1?v=2"), prefixes=[server.url("/hub/")], mirrors=[other.url("/copy/")], **NOW, **options
    )


@pytest.mark.parametrize("reply", [Reply(500), Reply(503), Reply(body=ARCHIVE, cut_at=10)])
def test_a_mirror_is_asked_when_the_server_is_broken(
    reply: Reply, server: ScriptedServer, other: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.always(reply)
    other.always(Reply(body=ARCHIVE))
    assert mirrored(server, other) == ARCHIVE
    assert [one.target for one in other.requests] == ["/copy/m/1?v=2&tf-hub-format=compressed"]
    assert "trying the next mirror" in caplog.text


def test_a_mirror_is_asked_when_the_server_cannot_be_reached(other: ScriptedServer) -> None:
    other.always(Reply(body=ARCHIVE))
    for dead in ("http://127.0.0.1:1/", "http://no-such-host.invalid/"):
        assert bring(f"{dead}m", prefixes=[dead], mirrors=[other.url("/")], **NOW) == ARCHIVE


@pytest.mark.parametrize(
    ("reply", "kind"),
    [(Reply(401), AccessError), (Reply(403), AccessError), (Reply(404), MissingError), (Reply(410), MissingError)],
)
def test_a_mirror_is_not_asked_when_the_server_refuses(
    reply: Reply, kind: type[Exception], server: ScriptedServer, other: ScriptedServer
) -> None:
    server.always(reply)
    other.always(Reply(body=ARCHIVE))
    with pytest.raises(kind):
        mirrored(server, other)
    assert other.requests == []


def test_a_missing_module_is_looked_for_at_the_mirror_on_request(server: ScriptedServer, other: ScriptedServer) -> None:
    other.always(Reply(body=ARCHIVE))
    assert mirrored(server, other, missing="next") == ARCHIVE
    server.always(Reply(403))
    with pytest.raises(AccessError):
        mirrored(server, other, missing="next")


def test_when_all_mirrors_fail_the_error_names_them(server: ScriptedServer, other: ScriptedServer) -> None:
    server.always(Reply(500))
    other.always(Reply(502))
    with pytest.raises(FetchError) as caught:
        mirrored(server, other)
    assert "(502)" in caught.value.message
    assert f"Tried: {server.url('/hub/m/1')}?" in caught.value.message
    assert f"{other.url('/copy/m/1')}?" in caught.value.message


def test_a_bare_prefix_has_its_mirror_too(server: ScriptedServer, other: ScriptedServer) -> None:
    other.always(Reply(body=ARCHIVE))
    server.always(Reply(500))
    assert bring(server.url("/hub"), prefixes=[server.url("/hub/")], mirrors=[other.url("/copy/")], **NOW) == ARCHIVE
    assert other.requests[0].path == "/copy"


def test_the_uncompressed_protocol(server: ScriptedServer) -> None:
    server.on("/m", Reply(303, b"gs://bucket/m"))
    handle = start(server.url("/m#sha256=" + "0" * 64), load_format="UNCOMPRESSED")
    assert (handle.text, handle.named_by_server, handle.sha256) == ("gs://bucket/m", True, "0" * 64)
    assert handle.original.text == server.url("/m")
    assert server.requests[0].query == "tf-hub-format=uncompressed"


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(200, ARCHIVE), "status 200"),
        (Reply(303, b"https://bucket/m"), "does not begin with gs://"),
        (Reply(303, b" gs://bucket/m"), "does not begin with gs://"),
        (Reply(303, b"gs://bucket/m\nX: y\n"), "does not begin with gs://"),
        (Reply(303, b""), "does not begin with gs://"),
        (Reply(303, b"gs://" + b"x" * 1_000_000), "more than 4096 bytes"),
        (Reply(302), "status 302"),
    ],
    ids=["archive", "https", "blank", "two lines", "empty", "huge", "302"],
)
def test_a_server_that_has_only_archives(reply: Reply, words: str, server: ScriptedServer) -> None:
    server.on("/m", reply)
    with pytest.raises(
        FetchError, match=r"UNCOMPRESSED is set, but 127\.0\.0\.1:[0-9]+ serves archives only"
    ) as caught:
        start(server.url("/m"), load_format="UNCOMPRESSED")
    assert words in caught.value.message
    assert "unset TFHUB_MODEL_LOAD_FORMAT" in str(caught.value.hint)


@pytest.mark.parametrize("value", ["compressed", "auto", "", "TAR"])
def test_another_load_format_is_an_error(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = rf"load_format: expected one of 'AUTO', 'COMPRESSED', 'UNCOMPRESSED', got '{value}'"
    with pytest.raises(ConfigError, match=words):
        Hub({"chain": ["http"], "plugins": {"http": {"options": {"load_format": value}}}})
    monkeypatch.setenv("TFHUB_MODEL_LOAD_FORMAT", value or "unset")
    with pytest.raises(ConfigError, match=r"\(the environment variable TFHUB_MODEL_LOAD_FORMAT says so\)") as caught:
        Hub({"chain": ["http"]})
    assert caught.value.hint == "correct TFHUB_MODEL_LOAD_FORMAT, or unset it"


@pytest.mark.parametrize("value", ["AUTO", "COMPRESSED"])
def test_archives_are_the_default_format(value: str) -> None:
    assert "tf-hub-format=compressed" in plan_of("https://a.example/m", load_format=value)


def test_a_plan_shows_no_secret() -> None:
    what = plan_of(
        "https://me:canary@a.example/m?token=canary", prefixes=["https://a.example/"], mirrors=["https://b.example/"]
    )
    assert what == (
        "download https://a.example/m?token=***&tf-hub-format=compressed, else https://b.example/m?token=***&tf-hub-format=compressed "
        "as an archive"
    )


def test_a_server_that_only_names_google_storage_is_understood(server: ScriptedServer) -> None:
    server.on("/m", Reply(303, b"gs://bucket/m"))
    with pytest.raises(FetchError, match="has no archive") as caught:
        bring(server.url("/m"))
    assert "TFHUB_MODEL_LOAD_FORMAT=UNCOMPRESSED" in str(caught.value.hint)


def test_a_mirror_on_the_same_host_is_not_blamed_for_a_stall(server: ScriptedServer) -> None:
    server.on("/a/m", Reply(body=ARCHIVE, drip_head=(1, 0.5)))
    server.on("/b/m", Reply(body=ARCHIVE))
    options: dict[str, Any] = {"prefixes": [server.url("/a/")], "mirrors": [server.url("/b/")]}
    assert bring(server.url("/a/m"), read_timeout=3, retries=0, **options) == ARCHIVE
