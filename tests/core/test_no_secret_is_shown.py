"""One table of what may hold a secret, for every place that shows text of others."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from hubplug.errors import ArchiveError, ConfigError, FetchError, HubplugError, PluginError
from hubplug.hub import Hub
from hubplug.shown.redaction import excerpt, scrub, scrub_foreign, secrets_in, without_secrets
from hubplug_archive._recognition import find_wrong_answer
from hubplug_fsspec._errors import as_export_error, as_fetch_error
from hubplug_fsspec._place import Place
from hubplug_http._arrived import Arrival, find_body_error, find_status_error
from hubplug_http._failures import Failure
from hubplug_http._request import quiet_log

Install = Callable[..., None]

SECRET = "canary"
# By what tells that there is a secret: being known, standing in a URL, being named.
KNOWN = {
    "canary": "***",
    "refused canary, and canaryx": "refused ***, and ***x",
    "cannot write to /home/canary/m": "cannot write to /home/***/m",
}
IN_URLS = {
    "GET https://me:canary@h.example/m failed": "GET https://h.example/m failed",
    "(see https://h.example/m?key=canary)": "(see https://h.example/m?key=***)",
    "at 'https://h.example/m?canary', again": "at 'https://h.example/m?***', again",
    "with url: /m?token=canary&x=canary": "with url: /m?token=***&x=***",
    "https://a.example/?u=https://me:canary@b.example/": "https://a.example/?u=***",
    "nor s3://key:can/ary/canary@bucket/m": "nor s3://***@bucket/m",
}
NAMED = {
    "token=canary": "token=***",
    '{"access_token": "canary", "id": 5}': '{"access_token": "***", "id": 5}',
    "Authorization: Bearer canary": "Authorization: ***",
    "{'client_secret': 'canary'}": "{'client_secret': '***'}",
    "wrong password: canary, try again": "wrong password: ***, try again",
    "<Error><Message>signature=canary</Message></Error>": "<Error><Message>signature=***",
}
INNOCENT = (
    "ask https://h.example/m/1 (or https://b.example/), later",
    "bearer token from environment variable CORP_TOKEN, rule for https://h.example/",
    "status 403: the token has expired",
)


@pytest.mark.parametrize(("text", "shown"), {**KNOWN, **IN_URLS}.items())
def test_a_text_of_our_own(text: str, shown: str) -> None:
    assert scrub(text, [SECRET] if text in KNOWN else []) == shown


@pytest.mark.parametrize(("text", "shown"), {**KNOWN, **IN_URLS, **NAMED}.items())
def test_a_text_of_others(text: str, shown: str) -> None:
    assert scrub_foreign(text, [SECRET] if text in KNOWN else []).startswith(shown)
    assert excerpt(f"\n {text}\r\nmore".encode(), [SECRET] if text in KNOWN else []).startswith(shown)


@pytest.mark.parametrize("text", INNOCENT)
def test_what_holds_no_secret_stays(text: str) -> None:
    assert scrub(text, [SECRET]) == text
    assert scrub_foreign(text, [SECRET]) == text


def test_the_longest_of_two_secrets_goes_first() -> None:
    assert scrub("canary-and-more", ["canary", "canary-and-more"]) == "***"


def test_what_came_from_the_environment_or_bears_the_name_of_a_secret_is_one() -> None:
    options = {
        "rules": [{"token": "canary-1"}],
        "place": "/home/canary-2",
        "dir": "/models",
        "headers": {"X": "canary"},
    }
    raw = {"rules": [{"token": "canary-1"}], "place": "${PLACE}", "dir": "/models", "headers": {"X": "canary"}}
    assert secrets_in(options, raw) == {"canary-1", "/home/canary-2", "canary"}


@pytest.mark.parametrize(
    "options",
    [
        {"rules": [{"header": "X-Key", "value": "canary"}]},
        {"rules": [{"username": "me", "password": "canary"}]},
        {"rules": [{"token": "canary"}]},
        {"rules": [{"client_id": "me", "client_secret": "canary"}]},
        {"headers": {"https://h.example/": {"X-Key": "canary"}}},
        {"proxy": "http://me:canary@127.0.0.1:1"},
        {"storage_options": {"s3": {"key": "me", "secret": "canary"}}},
    ],
)
def test_an_option_of_a_built_in_plugin_as_it_is_shown(options: dict[str, Any]) -> None:
    assert SECRET not in str(without_secrets(options))


# Every place that shows text of others, by what it knows of secrets.


def of_a_status(text: str) -> str:
    return str(find_status_error(403, text.encode(), Arrival("h", "h", "h", secrets=frozenset({SECRET}))))


def of_a_body(text: str) -> str:
    arrival = Arrival("h", "h", "h", media_type="text/plain", secrets=frozenset({SECRET}))
    return str(find_body_error(text.encode(), arrival))


def of_a_failure(text: str) -> str:
    return str(Failure(FetchError(text, hint=text)).without(frozenset({SECRET})).error)


def of_a_store_that_is_read(text: str) -> str:
    return str(as_fetch_error(OSError(text), "s3://bucket", {"secret": SECRET}))


def of_a_store_that_is_written(text: str) -> str:
    return str(as_export_error(OSError(text), "s3://bucket", {"secret": SECRET}))


def of_an_archive(text: str) -> str:
    with pytest.raises(ArchiveError) as caught:
        find_wrong_answer("https://h.example/m", text.encode())
    return str(caught.value)


def of_a_traceback_of_a_store(text: str) -> str:
    place = Place("memory://m", {"secret": SECRET}, as_fetch_error)
    with pytest.raises(HubplugError) as caught, place.errors():
        raise OSError("failed") from ValueError(text)
    return "".join(traceback.format_exception(caught.value.__cause__)) if caught.value.__cause__ else ""


PLACES: dict[str, tuple[Callable[[str], str], set[str]]] = {
    "a status": (of_a_status, {*KNOWN, *IN_URLS, *NAMED}),
    "a body": (of_a_body, {*KNOWN, *IN_URLS, *NAMED}),
    "a failure": (of_a_failure, {*KNOWN, *IN_URLS}),
    "a store that is read": (of_a_store_that_is_read, {*KNOWN, *IN_URLS, *NAMED}),
    "a store that is written": (of_a_store_that_is_written, {*KNOWN, *IN_URLS, *NAMED}),
    "the traceback of a store": (of_a_traceback_of_a_store, {*KNOWN, *IN_URLS, *NAMED}),
    "an archive": (of_an_archive, {*IN_URLS, *NAMED}),
}


@pytest.mark.parametrize(("place", "text"), [(place, text) for place, (_, texts) in PLACES.items() for text in texts])
def test_no_place_shows_a_secret_in_what_others_say(place: str, text: str) -> None:
    shown = PLACES[place][0](text)
    assert not re.search("can/?ary", shown), shown


COMPLAINING = """
from hubplug.errors import ConfigError

class Complaining:
    def __init__(self, *, token, text, ours):
        raise ConfigError(text, hint=text) if ours else ValueError(text)
"""


@pytest.mark.parametrize("text", [*KNOWN, *IN_URLS])
@pytest.mark.parametrize("ours", [True, False])
def test_no_plugin_shows_a_secret_when_it_complains_of_its_options(text: str, ours: bool, install: Install) -> None:
    install("complaining", {"complaining": "complaining:Complaining"}, COMPLAINING)
    options = {"token": SECRET, "text": text, "ours": ours}
    with pytest.raises((ConfigError, PluginError)) as caught:
        Hub({"chain": ["complaining"], "plugins": {"complaining": {"options": options}}})
    shown = "".join(traceback.format_exception(caught.value))
    assert not re.search("can/?ary", shown), shown


def test_what_urllib3_logs_has_no_query(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("urllib3.connectionpool")
    with caplog.at_level(logging.DEBUG), quiet_log():
        log.debug('%s "%s %s"', "https://h.example:443", "GET", "/m?canary")
        log.warning("Failed to parse headers (url=%s): %s", "https://h.example/m?a=canary", ValueError("canary"))
    assert len(caplog.records) == 2
    assert SECRET not in caplog.text
