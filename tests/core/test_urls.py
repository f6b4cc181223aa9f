"""What may be shown of a URL, and which URLs lie under a prefix."""

from __future__ import annotations

import pytest

from hubplug.errors import HandleError
from hubplug.types import Handle
from hubplug.urls import (
    covering,
    find_prefix_error,
    find_url_error,
    normal_form,
    origin_of,
    redact,
    redact_all,
    under_prefix,
)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/m/1", "https://example.com/m/1"),
        ("https://user:canary@example.com/m/1", "https://example.com/m/1"),
        ("https://canary@example.com:8080/m/1", "https://example.com:8080/m/1"),
        ("https://a@b:canary@example.com/m/1", "https://example.com/m/1"),
        ("https://example.com/m?token=canary&x=canary", "https://example.com/m?token=***&x=***"),
        ("https://example.com/m?canary", "https://example.com/m?***"),
        ("https://example.com/m?", "https://example.com/m"),
        ("https://example.com/m#canary", "https://example.com/m"),
        ("https://example.com?token=canary", "https://example.com?token=***"),
        ("https://example.com/m?token=canary=canary", "https://example.com/m?token=***"),
        ("s3://key:canary@bucket/m", "s3://bucket/m"),
        ("https://example.com/scope@1/m", "https://example.com/scope@1/m"),
        (
            "https://proxy.example.com/https://user:canary@example.com/m",
            "https://proxy.example.com/https://example.com/m",
        ),
        (" https://user:canary@example.com/m?x=canary", " https://example.com/m?x=***"),
        ("simplecache::https://user:canary@example.com/m", "simplecache::https://example.com/m"),
        ("https://user:can/ary@example.com/m", "https://***@example.com/m"),
        ("https://user:can#ary@example.com/m", "https://***@example.com/m"),
        ("https://user:can?ary@example.com/m", "https://***@example.com/m"),
        ("https://user:can//a?r#y@example.com:8080/m?t=canary", "https://***@example.com:8080/m?t=***"),
        ("https://user:can@ary/x@example.com/m", "https://***@example.com/m"),
        ("https://user:12/canary@example.com/m", "https://***@example.com/m"),
        ("https://user:12?canary@example.com/m", "https://***@example.com/m"),
        ("https://user:pa://canary@example.com/m", "https://***@example.com/m"),
        ("https://canary#x@example.com/m", "https://***@example.com/m"),
        ("s3://key:can/ary@bucket/m", "s3://***@bucket/m"),
        ("https:/user:canary@example.com/m", "https:/***@example.com/m"),
        ("http:user:can/ary@example.com/m", "http:***@example.com/m"),
        ("https://user:canary", "https://user:***"),
        ("https://[::1]:8080/scope@1/m", "https://[::1]:8080/scope@1/m"),
        ("https://127.0.0.1:8080/scope@1/m", "https://127.0.0.1:8080/scope@1/m"),
        ("https://localhost:8080/m?mail=a@b", "https://localhost:8080/m?mail=***"),
        ("https://example.com:8080/m?mail=a@b", "https://example.com:8080/m?mail=***"),
        ("/models/a?b=c#d", "/models/a?b=c#d"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redact(url) == shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "cannot reach https://user:can/ary@example.com/m, nor https://user:pa://canary@example.com/ today",
        "cannot reach https://user:canary@example.com/m?token=canary today",
        "'https://user:canary@example.com/m' and 'https://example.com/?q=canary'",
        "https://a.example,https://user:canary@b.example/",
        "HTTPSConnectionPool(host='h', port=443): Max retries exceeded with url: /m?token=canary (Caused by x)",
        "GET /m?a=1&token=canary",
    ],
)
def test_every_url_within_a_text_is_redacted(text: str) -> None:
    assert "ary" in text
    assert "ary" not in redact_all(text)
    assert redact_all("no url here: 1 = 1? yes & no") == "no url here: 1 = 1? yes & no"


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("https://h/team", "https://h/team"),
        ("https://h/team/", "https://h/team"),
        ("https://h/team", "https://h/team/"),
        ("https://h/team/m/1", "https://h/team"),
        ("https://h/team/m?x=1", "https://h/team"),
        ("https://h/", "https://h"),
        ("https://h", "https://h/"),
        ("https://H/team", "https://h/team"),
        ("HTTPS://h/team", "https://h/team"),
        ("https://h:443/team", "https://h/team"),
        ("http://h:80/team", "http://h/team"),
        ("https://h./team", "https://h/team"),
        ("https://user:pw@h/team", "https://h/team"),
        ("https://h/%74eam/m", "https://h/team"),
        ("https://h/x/../team/m", "https://h/team"),
        ("https://h//team/./m", "https://h/team"),
        ("corp://team/model/3", "corp://team/"),
        ("gs://bucket/a/b", "gs://bucket/a"),
        ("https://[::1]:8000/m", "https://[::1]:8000/"),
        ("https://[0:0::1]/m", "https://[::1]/"),
        ("http://[::ffff:127.0.0.1]/m", "http://127.0.0.1/"),
        ("http://xn--bcher-kva.example/m", "http://bücher.example/"),
        ("http://BÜCHER.example/m", "http://bücher.example/"),
        ("http://bu\u0308cher.example/m", "http://bücher.example/"),
        ("http://bücher\u3002example/m", "http://XN--bcher-kva.Example./"),
        ("http://\uff45xample.com/m", "http://example.com/"),
        ("http://faß.example/m", "http://xn--fa-hia.example/"),
        ("http://2130706433/m", "http://127.0.0.1/"),
        ("http://0x7f.1./m", "http://127.0.0.1/"),
        ("http://0177.0.0.01/m", "http://127.0.0.1/"),
        ("http://127。0。0。1/m", "http://127.0.0.1/"),
        ("http://h:0080/m", "http://h/"),
        ("http://h:/m", "http://h/"),
        ("http://h/%7eme/%2e/m", "http://h/~me"),
        ("http://h/b%c3%bccher/m", "http://h/bücher"),
        ("http://my_host/m", "http://MY_HOST/"),
        ("gs://bücher/m", "gs://xn--bcher-kva/"),
        ("corp://team:model/3", "corp://Team:model/"),
        ("gs://bucket/a/../b/c", "gs://bucket/b"),
        ("gs://bucket/m", "GS://"),
        ("hf://org/m", "hf:///"),
        ("file:///srv/m", "file://"),
    ],
)
def test_a_url_lies_under_a_prefix_of_its_origin_and_leading_components(url: str, prefix: str) -> None:
    assert under_prefix(url, prefix)


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("https://h/teams", "https://h/team"),
        ("https://h/tea", "https://h/team"),
        ("https://h/Team", "https://h/team"),
        ("https://h.evil.example/team", "https://h/team"),
        ("https://evil.example/h/team", "https://h/team"),
        ("https://sub.h/team", "https://h/team"),
        ("http://h/team", "https://h/team"),
        ("https://h:8443/team", "https://h/team"),
        ("https://h/team", "https://h:8443/team"),
        ("https://h@evil.example/team", "https://h/team"),
        ("https://evil.example\\@h/team", "https://h/team"),
        ("https://h\\.evil.example/team", "https://h/team"),
        ("https://h/team\n", "https://h/team"),
        ("https://h\t/team", "https://h/team"),
        ("https://h/team/../other", "https://h/team"),
        ("https://h/team/%2e%2e/other", "https://h/team"),
        ("https://h/team/..%2fother", "https://h/team"),
        ("https://h/a?/team", "https://h/team"),
        ("https://h/a#/team", "https://h/team"),
        ("https://h/%ff/m", "https://h/%fe"),
        ("https://h/team/..%5cother", "https://h/team"),
        ("https://h/team/..;x/other", "https://h/team"),
        ("https://h/team/%252e%252e/x", "https://h/x"),
        ("https://xn--bcher-kva.example.evil/m", "https://bücher.example/"),
        ("https://[", "https://h"),
        ("https://h:port/team", "https://h/team"),
        ("/h/team", "https://h/team"),
        ("/models/a", "/models"),
        ("https://h/team", "h/team"),
        ("https://h/team", ""),
        ("https://h/team", "https://"),
        ("gs://team/m", "gs:///team"),
        ("", "https://h"),
    ],
)
def test_a_url_does_not_lie_under_a_prefix_that_only_looks_alike(url: str, prefix: str) -> None:
    assert not under_prefix(url, prefix)


@pytest.mark.parametrize(
    "prefix", ["https://h/", "https://h:8443/a%20b", "gs://", "gs://bucket/a b", "file:///srv/models/"]
)
def test_a_prefix_is_scheme_host_port_and_path(prefix: str) -> None:
    assert find_prefix_error(prefix) is None


@pytest.mark.parametrize(
    ("prefix", "problem"),
    [
        ("h.example/", "no scheme"),
        ("/models", "no scheme"),
        ("https://", "host"),
        ("https:///models", "host"),
        ("https://h/a b", "space"),
        ("https://h\\@g/", "backslash"),
        ("https://me@h/", "user name or password"),
        ("https://me:canary@h/", "user name or password"),
        ("gs://me@bucket/", "user name or password"),
        ("https://h/?x=1", "query or fragment"),
        ("https://h/team#x", "query or fragment"),
        ("hf://team?x", "query or fragment"),
    ],
)
def test_what_would_be_of_no_effect_in_a_prefix_is_an_error(prefix: str, problem: str) -> None:
    said = find_prefix_error(prefix)
    assert said is not None
    assert problem in said
    assert "canary" not in said


def test_an_origin_is_scheme_host_and_port_in_their_normal_form() -> None:
    assert origin_of("HTTPS://User@Example.COM./x") == ("https", "example.com", 443)
    assert origin_of("https://example.com:8443/x") == ("https", "example.com", 8443)
    assert origin_of("gs://bucket/x") == ("gs", "bucket", None)


def test_a_url_that_programs_read_differently_is_named_as_such() -> None:
    assert find_url_error("https://a\\@b/m") == "its host has a backslash"
    assert find_url_error("https://a/m\r\nHost: b") == "it has a control character"
    assert find_url_error("https://a/x\\y?z\\") is None
    assert find_url_error("https://a?x\\y/") is None


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTPS://Example.COM.:443", "https://example.com/"),
        ("http://user:P%40w@H:80/a/./b/../c?X=%7e&y#z", "http://user:P%40w@h/a/c?X=%7e&y"),
        ("http://a@b@c/", "http://a@b@c/"),
        ("http://h//a//../%2E%2e/b%2fc%zz", "http://h//b%2Fc%25zz"),
        ("http://h/../..", "http://h/"),
        ("http://h/a/.", "http://h/a/"),
        ("http://[FE80::1%25eth0]:8080/", "http://[fe80::1%25eth0]:8080/"),
        ("http://1.2.3.4./", "http://1.2.3.4/"),
        ("http://h/ü |?ü", "http://h/%C3%BC%20%7C?ü"),
        ("GS://Bucket/A/../b#c", "gs://Bucket/A/../b#c"),
        ("/a/../b", "/a/../b"),
    ],
)
def test_the_normal_form_is_the_same_whatever_it_is_made_from(url: str, normal: str) -> None:
    assert normal_form(url) == normal
    assert normal_form(normal) == normal


@pytest.mark.parametrize(
    "address",
    [
        "h:port", "h:+1", "h:1_0", "h:-1", "h:0", "h:65536", "h:" + "9" * 5000, "h:\uff11", "h:\u0661", "h:1:2", "", ":80",
        ".", "..", "a..b", ".a", "a_b..", "h%2e", "%68", "h h", "h<", "a|b", "*", "x" * 64, "x." * 200, "\u00ad",
        "a℀b", "xn--ü", "ü" * 70, "\ud800", "ü\u200d", "[", "[]", "[::1", "::1]", "[::1]x", "[::1]:x", "[1.2.3.4]", "[g::]",
        "[v1.x]", "[::1%25]", "256.1.1.1", "1.2.3.4.5", "h.0x", "h.1", "0x7g", "4294967296", "08.1.1.1",
    ],
)  # fmt: skip
def test_an_address_without_a_normal_form_is_refused_without_being_quoted(address: str) -> None:
    for url in (f"https://{address}/m", f"https://me:canary@{address}/m"):
        if address == "0x7g":
            continue  # a name like any other
        assert find_url_error(url)
        assert not under_prefix(url, "https://h/")
        assert covering(url, ["https://h/", url]) is None
        with pytest.raises(HandleError) as raised:
            Handle.parse(url)
        assert "canary" not in str(raised.value)
        with pytest.raises(ValueError) as reason:
            normal_form(url)
        assert not any(part in str(reason.value) for part in ("canary", "port:", "9999", "xxx"))


@pytest.mark.parametrize("character", ["/", "?", "#"])
@pytest.mark.parametrize(
    "pattern", ["https://user:can{}ary@example.com/m", "HTTP://user:{}canary@h", "http://u:ca{}n@ry@h/"]
)
def test_a_handle_whose_password_a_parser_would_cut_in_two_is_refused_and_not_shown(
    pattern: str, character: str
) -> None:
    with pytest.raises(HandleError) as raised:
        Handle.parse(pattern.format(character))
    assert "%2F" in str(raised.value)
    for piece in ("can", "ary", "n@ry", "user"):
        assert piece not in str(raised.value).replace("character", "")


def test_the_closest_of_several_prefixes_is_the_one_with_the_most_components() -> None:
    prefixes = ["https://h:443/%74%65%61%6d/", "https://H/team/a", "https://h/team/b/c"]
    assert covering("https://h/team/a/b", prefixes) == "https://H/team/a"
    assert covering("https://h/team/x", prefixes) == "https://h:443/%74%65%61%6d/"
    assert covering("https://other/team/x", prefixes) is None
    assert covering("gs://bucket/m", ["gs://", "gs://bucket"]) == "gs://bucket"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://h/m?tf-hub-format=compressed", "https://h/m?tf-hub-format=compressed"),
        ("https://h/m?token=s&tf-hub-format=uncompressed", "https://h/m?token=***&tf-hub-format=uncompressed"),
        ("https://h/m?tf-hub-format=s3cr3t", "https://h/m?tf-hub-format=***"),
        ("https://h/m?tf-hub-format=compressed-s3cr3t", "https://h/m?tf-hub-format=***"),
        ("https://h/m?x-tf-hub-format=compressed", "https://h/m?x-tf-hub-format=***"),
    ],
)
def test_the_format_that_is_asked_for_is_no_secret(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact_all(f"from {text} on") == f"from {shown} on"
    assert redact_all(f"url: {text.removeprefix('https://h')}").endswith(shown.removeprefix("https://h"))
