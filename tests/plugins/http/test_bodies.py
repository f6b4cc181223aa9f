"""Bodies that are cut, resumed, changed in between, compressed twice: what comes out is whole, or an error."""

from __future__ import annotations

import base64
import gzip
import hashlib
import random
from typing import Literal

import pytest

from hubplug.errors import DigestMismatch, IncompleteDownload, MissingError, SourceChanged
from tests.plugins.http.driving import ARCHIVE, archive_of, bring, drain, start
from tests.servers import Reply, Request, ScriptedServer

NOW = {"max_retry_wait": 0}
CHANGED = archive_of(seed=1)
Framing = Literal["length", "chunked", "none", "http10"]
FRAMINGS: list[Framing] = ["length", "chunked", "none", "http10"]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_every_framing_brings_the_very_bytes(framing: Framing, server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, framing=framing))
    with start(server.url("/m")) as stream:
        assert stream.size == (len(ARCHIVE) if framing in ("length", "http10") else None)
        assert drain(stream, 777) == ARCHIVE
        assert stream.sha256() == hashlib.sha256(ARCHIVE).hexdigest()


def cut_points(count: int) -> list[int]:
    return [len(ARCHIVE) * step // count for step in range(count)]


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.soak)])
def test_a_short_body_is_always_noticed(framing: Framing, count: int, server: ScriptedServer) -> None:
    noticed = 0
    for cut in cut_points(count):
        server.on("/m", Reply(body=ARCHIVE, framing=framing, cut_at=cut))
        try:
            with start(server.url("/m"), retries=0) as stream:
                # Without any framing only the end of the archive itself can tell, as its unpacker does.
                gzip.decompress(drain(stream))
        except (IncompleteDownload, OSError, EOFError):
            noticed += 1
    assert noticed == count


@pytest.mark.parametrize("framing", ["length", "http10"])
def test_the_error_says_both_numbers(framing: Framing, server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, framing=framing, cut_at=5000))
    with pytest.raises(IncompleteDownload, match=f"5,000 of {len(ARCHIVE):,} bytes"):
        bring(server.url("/m"), retries=0)


@pytest.mark.parametrize("reset", [False, True])
def test_a_cut_transfer_is_resumed_where_the_etag_is_strong(reset: bool, server: ScriptedServer) -> None:
    whole = Reply(body=ARCHIVE, etag='"v1"', ranges=True)
    server.on(
        "/m",
        Reply(body=ARCHIVE, etag='"v1"', ranges=True, cut_at=20_000, reset=reset),
        Reply(body=ARCHIVE, etag='"v1"', ranges=True, cut_at=50_000),
        whole,
    )
    assert bring(server.url("/m"), **NOW) == ARCHIVE
    first, *later = server.requests
    assert (first.header("Range"), first.header("If-Range")) == (None, None)
    assert [one.header("If-Range") for one in later] == ['"v1"', '"v1"']
    assert later[1].header("Range") == "bytes=50000-"


@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
def test_without_a_strong_etag_the_body_is_asked_for_from_its_start(etag: str | None, server: ScriptedServer) -> None:
    server.on(
        "/m", Reply(body=ARCHIVE, etag=etag, ranges=True, cut_at=30_000), Reply(body=ARCHIVE, etag=etag, ranges=True)
    )
    assert bring(server.url("/m"), **NOW) == ARCHIVE
    assert [one.header("Range") for one in server.requests] == [None, None]


def _partial(start: int, *, shown_start: int | None = None, total: int | None = None, body: bytes = ARCHIVE) -> Reply:
    shown_start = start if shown_start is None else shown_start
    total = len(body) if total is None else total
    return Reply(206, body[start:], {"Content-Range": f"bytes {shown_start}-{total - 1}/{total}"}, etag='"v1"')


@pytest.mark.parametrize(
    "wrong",
    [
        _partial(0),
        _partial(30_001),
        _partial(29_999, shown_start=30_000, total=len(ARCHIVE) - 1),
        _partial(30_000, total=len(ARCHIVE) + 1),
        Reply(206, CHANGED[30_000:], {"Content-Range": f"bytes 30000-{len(CHANGED) - 1}/{len(CHANGED)}"}, etag='"v2"'),
        Reply(206, ARCHIVE[30_000:], {"Content-Range": "bytes nonsense"}, etag='"v1"'),
        Reply(206, ARCHIVE[30_000:], etag='"v1"'),
        Reply(416, b"", {"Content-Range": "bytes */10"}),
        Reply(200, ARCHIVE, etag='"v1"'),
    ],
    ids=["from zero", "gap", "short total", "long total", "other etag", "nonsense", "no range", "416", "200"],
)
def test_a_wrong_answer_to_a_range_makes_it_start_again(wrong: Reply, server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, etag='"v1"', cut_at=30_000), wrong, Reply(body=ARCHIVE, etag='"v1"'))
    assert bring(server.url("/m"), at_once=30_000, **NOW) == ARCHIVE


@pytest.mark.parametrize(
    ("etag", "new_etag"), [('"v1"', '"v2"'), ('"v1"', None), ('W/"v1"', 'W/"v2"'), (None, None), ('W/"v1"', 'W/"v1"')]
)
def test_a_body_that_changed_in_between_is_an_error(
    etag: str | None, new_etag: str | None, server: ScriptedServer
) -> None:
    server.on(
        "/m",
        Reply(body=ARCHIVE, etag=etag, ranges=True, cut_at=30_000),
        Reply(body=CHANGED, etag=new_etag, ranges=True),
    )
    with pytest.raises(SourceChanged, match="changed on its server"):
        bring(server.url("/m"), **NOW)


@pytest.mark.parametrize("trials", [40, pytest.param(1000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("changes", [False, True])
def test_no_transfer_is_ever_spliced(changes: bool, trials: int, server: ScriptedServer) -> None:
    chance = random.Random(trials + changes)
    complete = 0
    for _ in range(trials):
        framing = chance.choice(["length", "chunked"])
        etags = chance.choice([('"v1"', '"v2"'), ('W/"v1"', 'W/"v1"'), (None, None), ('"v1"', '"v2"')])
        cut = chance.randrange(1, len(ARCHIVE))
        second = CHANGED if changes else ARCHIVE
        server.on(
            "/m",
            Reply(body=ARCHIVE, etag=etags[0], ranges=True, cut_at=cut, framing=framing),
            Reply(body=second, etag=etags[changes], ranges=True, framing=framing),
        )
        try:
            got = bring(server.url("/m"), at_once=chance.choice([1, 100, 65_536]) * 64, **NOW)
        except SourceChanged:
            assert changes
        else:
            assert got == second
            complete += 1
    assert changes or complete == trials


def test_a_resumed_transfer_fetches_nothing_twice(server: ScriptedServer) -> None:
    sent = 0

    def count(request: Request) -> Reply:
        nonlocal sent
        wanted = request.header("Range")
        start = int(wanted[6:-1]) if wanted else 0
        cut = min(start + 10_000, len(ARCHIVE))
        sent += cut - start
        return Reply(body=ARCHIVE, etag='"v1"', ranges=True, cut_at=cut if cut < len(ARCHIVE) else None)

    server.on("/m", count)
    assert bring(server.url("/m"), retries=20, **NOW) == ARCHIVE
    assert sent == len(ARCHIVE)


def test_a_module_withdrawn_in_the_middle_is_missing(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, cut_at=30_000), Reply(404))
    with pytest.raises(MissingError):
        bring(server.url("/m"), **NOW)


def test_content_encoding_is_left_to_the_unpacker(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, headers={"Content-Encoding": "gzip", "Content-Type": "application/x-tar"}))
    assert bring(server.url("/m")) == ARCHIVE
    assert server.requests[0].header("Accept-Encoding") == "identity"


def test_nothing_is_read_after_the_end(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE))
    with start(server.url("/m")) as stream:
        drain(stream)
        assert stream.read(10) == b""
    assert len(server.requests) == 1


def test_a_stream_that_is_closed_early_leaves_no_connection(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=archive_of(5_000_000)))
    stream = start(server.url("/m"))
    stream.read(10)
    stream.close()
    stream.close()
    server.on("/m", Reply(body=ARCHIVE))
    assert bring(server.url("/m")) == ARCHIVE


def test_the_stream_says_where_it_came_from_without_secrets(server: ScriptedServer, other: ScriptedServer) -> None:
    server.on("/m", Reply(302, headers={"Location": other.url("/x?signature=canary")}))
    other.on("/x", Reply(body=ARCHIVE, etag='"v1"', headers={"Content-Type": "application/gzip"}))
    with start(server.url("/m?token=canary")) as stream:
        assert stream.name == server.url("/m?token=***")
        assert stream.location == other.url("/x?signature=***")
        assert (stream.etag, stream.media_type) == ('"v1"', "application/gzip")


DIGEST = base64.b64encode(hashlib.sha256(ARCHIVE).digest()).decode()


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize(
    "header", [{"Repr-Digest": f"sha-256=:{DIGEST}:"}, {"Digest": f"md5=abc, SHA-256={DIGEST}"}], ids=["new", "old"]
)
def test_an_announced_digest_is_held_against_what_arrives(
    header: dict[str, str | None], framing: Framing, server: ScriptedServer
) -> None:
    server.on("/m", Reply(body=ARCHIVE, headers=header, framing=framing))
    assert bring(server.url("/m")) == ARCHIVE
    server.on("/m", Reply(body=CHANGED, headers=header, framing=framing))
    with pytest.raises(DigestMismatch, match=hashlib.sha256(CHANGED).hexdigest()):
        bring(server.url("/m"))


@pytest.mark.parametrize("value", ["sha-256=:AAAA:", "sha-256=nonsense", "sha-512=:AAAA:", "", "sha-256"])
def test_a_digest_that_cannot_be_read_is_ignored(value: str, server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, headers={"Repr-Digest": value, "Digest": value}))
    assert bring(server.url("/m")) == ARCHIVE


def test_a_digest_holds_for_a_resumed_transfer_too(server: ScriptedServer) -> None:
    header: dict[str, str | None] = {"Repr-Digest": f"sha-256=:{DIGEST}:"}
    server.on(
        "/m",
        Reply(body=ARCHIVE, headers=header, etag='"v1"', ranges=True, cut_at=30_000),
        Reply(
            body=ARCHIVE[:-9] + bytes(9), headers=header, etag='"v1"', ranges=True
        ),  # the server's tag is not as strong as it says
    )
    with pytest.raises(DigestMismatch):
        bring(server.url("/m"), **NOW)
