"""What may be shown of a URL, and which URLs lie under a prefix."""

from __future__ import annotations

import pytest

from hubplug.urls import find_url_error, origin_of, redact, redact_all, under_prefix


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
        "cannot reach https://user:canary@example.com/m?token=canary today",
        "'https://user:canary@example.com/m' and 'https://example.com/?q=canary'",
        "https://a.example,https://user:canary@b.example/",
        "HTTPSConnectionPool(host='h', port=443): Max retries exceeded with url: /m?token=canary (Caused by x)",
        "GET /m?a=1&token=canary",
    ],
)
def test_every_url_within_a_text_is_redacted(text: str) -> None:
    assert "canary" in text
    assert "canary" not in redact_all(text)
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
        ("https://[", "https://h"),
        ("https://h:port/team", "https://h/team"),
        ("/h/team", "https://h/team"),
        ("/models/a", "/models"),
        ("https://h/team", "h/team"),
        ("https://h/team", ""),
        ("", "https://h"),
    ],
)
def test_a_url_does_not_lie_under_a_prefix_that_only_looks_alike(url: str, prefix: str) -> None:
    assert not under_prefix(url, prefix)


def test_an_origin_is_scheme_host_and_port_in_their_normal_form() -> None:
    assert origin_of("HTTPS://User@Example.COM./x") == ("https", "example.com", 443)
    assert origin_of("https://example.com:8443/x") == ("https", "example.com", 8443)
    assert origin_of("gs://bucket/x") == ("gs", "bucket", None)


def test_a_url_that_programs_read_differently_is_named_as_such() -> None:
    assert find_url_error("https://a\\@b/m") == "its host has a backslash"
    assert find_url_error("https://a/m\r\nHost: b") == "it has a control character"
    assert find_url_error("https://a/x\\y?z\\") is None
    assert find_url_error("https://a?x\\y/") is None
