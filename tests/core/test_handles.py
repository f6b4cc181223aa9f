"""Handles and the other values along the way: what they keep, and what they never show."""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path

import pytest

import hubplug
import hubplug.errors
from hubplug.errors import HandleError, HubplugError, ValidationError
from hubplug.types import ArchiveStream, AuthRequest, Finding, Handle, Source

DIGEST = "0123456789abcdef" * 4


def test_a_handle_is_its_text_and_its_pin() -> None:
    handle = Handle.parse(f"https://example.com/m/1#sha256={DIGEST.upper()}")
    assert (handle.text, handle.sha256, handle.scheme) == ("https://example.com/m/1", DIGEST, "https")
    assert handle.original is handle


def test_a_fragment_of_a_url_that_is_no_pin_is_dropped() -> None:
    assert Handle.parse("https://example.com/m#about").text == "https://example.com/m"


def test_in_a_path_a_hash_sign_is_an_ordinary_character() -> None:
    handle = Handle.parse("/models/c#/m")
    assert (handle.text, handle.scheme, handle.sha256) == ("/models/c#/m", "", None)


def test_a_path_can_be_pinned() -> None:
    assert Handle.parse(f"/m.tar.gz#sha256={DIGEST}") == Handle("/m.tar.gz", DIGEST)


@pytest.mark.parametrize("digest", ["", "abc", DIGEST[:-1], DIGEST + "0", "g" * 64])
def test_a_pin_that_is_no_digest_is_an_error(digest: str) -> None:
    with pytest.raises(HandleError, match="not a sha256 digest"):
        Handle.parse(f"https://example.com/m#sha256={digest}")


@pytest.mark.parametrize(
    "text", ["", "\0", "/a\0b", "#sha256=" + DIGEST, "https://h/a\nb", "https://a\\@b/m", "https://h/\x7f"]
)
def test_a_text_that_no_place_can_have_is_an_error(text: str) -> None:
    with pytest.raises(HandleError) as raised:
        Handle.parse(text)
    assert raised.value.hint


@pytest.mark.parametrize("text", [None, 3, b"https://example.com", ["a"]])
def test_what_is_no_string_is_a_type_error_that_shows_it(text: object) -> None:
    with pytest.raises(TypeError, match=r"A handle is a str .*, got " + type(text).__name__):
        Handle.parse(text)  # type: ignore[arg-type]


def test_a_handle_asked_for_instead_remembers_the_trail() -> None:
    first = Handle.parse("corp://m")
    last = first.instead("https://a/m").instead("https://b/m", named_by_server=True)
    assert last.original is first
    assert [last.asked_before.text, last.named_by_server] == ["https://a/m", True]  # type: ignore[union-attr]


def test_nobody_along_the_way_can_put_another_pin_over_the_users() -> None:
    other = "f" * 64
    assert Handle.parse(f"corp://m#sha256={DIGEST}").instead(f"https://a/m#sha256={other}").sha256 == DIGEST
    assert Handle.parse("corp://m").instead(f"https://a/m#sha256={other}").sha256 == other


def test_no_repr_shows_a_secret() -> None:
    secret = "https://user:canary@example.com/m?token=canary#canary"
    handle = Handle.parse(secret)
    values: list[object] = [
        handle,
        handle.instead(secret + "2"),
        Source(handle, secret),
        AuthRequest(secret, handle, secret),
        ArchiveStream(io.BytesIO(), name=hubplug.redact(secret)),
        hubplug.LocalModule(Path("m"), handle),
        hubplug.Plan("download", lambda: secret),
    ]
    for value in values:
        assert "canary" not in repr(value)
        assert "canary" not in str(value)
        assert "canary" not in f"{value}"


def test_a_source_is_filed_under_the_original_handle_unless_it_says_otherwise() -> None:
    handle = Handle.parse("corp://m").instead("https://a/m")
    assert Source(handle, "https://a/m").key == "corp://m"
    assert Source(handle, "https://a/m", cache_key="other").key == "other"
    assert Source(handle, "x", cache_key="other").key_sha256 == hashlib.sha256(b"other").hexdigest()


def test_an_archive_is_hashed_as_it_is_read_and_peeking_consumes_nothing() -> None:
    class OneByte:
        """A stream that gives what it likes, never more than asked."""

        def __init__(self, data: bytes) -> None:
            self._file = io.BytesIO(data)
            self.closed = False

        def read(self, size: int, /) -> bytes:
            return self._file.read(min(size, 1))

        def close(self) -> None:
            self.closed = True

    stream = OneByte(b"abcdef")
    with ArchiveStream(stream, name="x") as archive:
        assert archive.peek(3) == b"abc"
        assert archive.peek(2) == b"ab"
        assert archive.read(2) == b"ab"
        assert archive.sha256() == hashlib.sha256(b"ab").hexdigest()
        assert archive.peek(100) == b"cdef"
        rest = b""
        while data := archive.read(3):
            rest += data
        assert rest == b"cdef"
        assert archive.sha256() == hashlib.sha256(b"abcdef").hexdigest()
    assert stream.closed


def test_an_error_shows_its_hint_and_survives_pickling() -> None:
    error = hubplug.errors.UnknownTagsError("No such graph variant", hint="ask for another")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == "No such graph variant\nhint: ask for another"
    assert (again.message, again.hint) == (error.message, error.hint)
    finding = Finding("house/x", "error", "bad")
    assert pickle.loads(pickle.dumps(ValidationError("m", findings=[finding]))).findings == (finding,)


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ConfigError", ValueError),
        ("PluginError", RuntimeError),
        ("HandleError", ValueError),
        ("NobodyAnswered", RuntimeError),
        ("FetchError", OSError),
        ("MissingError", OSError),
        ("AccessError", OSError),
        ("IncompleteDownload", OSError),
        ("OfflineError", OSError),
        ("ArchiveError", OSError),
        ("UnsafeArchiveError", ValueError),
        ("DigestMismatch", OSError),
        ("CacheError", OSError),
        ("FormatError", ValueError),
        ("UnknownTagsError", KeyError),
        ("UnknownSignatureError", ValueError),
        ("InputError", TypeError),
        ("ExportError", RuntimeError),
        ("OccupiedError", RuntimeError),
        ("ValidationError", ValueError),
    ],
)
def test_an_error_is_also_what_old_programs_catch(name: str, builtin: type[Exception]) -> None:
    kind = getattr(hubplug.errors, name)
    error = kind("what failed")
    assert isinstance(error, builtin)
    assert isinstance(error, HubplugError)
    assert (str(error), error.args) == ("what failed", ("what failed",))
    assert name in (hubplug.errors.__doc__ or "")
