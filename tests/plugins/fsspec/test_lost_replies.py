"""An export whose store does what it is told, and whose replies are lost on the way."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from hubplug.errors import ExportError, OccupiedError

from .conftest import Store
from .lossy import Asked, LossyProxy, lossy_proxy, once, once_each
from .test_publishing import MODULE, PLUGIN, URL, Obstinate, content_of, obstinate, plan_for, publish, writes

__all__ = ["obstinate"]  # a fixture

LARGE = {**MODULE, "variables/variables.data-00000-of-00001": bytes(range(256)) * (400 << 10)}


@dataclass
class Lossy:
    """A store, and the same behind a proxy."""

    store: Store
    behind: Store
    proxy: LossyProxy


@pytest.fixture
def s3(s3_store: Store) -> Iterator[Lossy]:
    if "mode" not in inspect.signature(s3_store.filesystem.put_file).parameters:
        pytest.skip("this release of fsspec knows no conditions")
    with lossy_proxy(s3_store.storage_options["endpoint_url"]) as proxy:
        options = {**s3_store.storage_options, "endpoint_url": proxy.url}
        yield Lossy(s3_store, replace(s3_store, storage_options=options), proxy)


@pytest.fixture(params=["gs", "s3"])
def lossy(request: pytest.FixtureRequest) -> Lossy:
    made: Lossy = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def gs(gs_store: Store) -> Iterator[Lossy]:
    """The emulator writes over what is there: the proxy says in its place what Google's store says to that."""
    pytest.importorskip("gcsfs")
    with lossy_proxy(gs_store.storage_options["endpoint_url"]) as proxy:

        def refuses(asked: Asked) -> int | None:
            if "ifGenerationMatch=0" not in asked.target:
                return None
            name = json.loads(asked.body.partition(b"{")[1] + asked.body.partition(b"{")[2].partition(b"\n")[0])["name"]
            there = gs_store.filesystem
            there.invalidate_cache()
            return 412 if there.exists(f"{gs_store.bucket}/{name}") else None

        proxy.refuses = refuses
        options = {**gs_store.storage_options, "endpoint_url": proxy.url}
        yield Lossy(gs_store, replace(gs_store, storage_options=options), proxy)


def export(lossy: Lossy, files: Mapping[str, bytes] = MODULE) -> None:
    publish(lossy.behind.plugin, lossy.behind.url("m"), files)


def export_after(lossy: Lossy, act: Callable[[], None]) -> None:
    """Does something after the first look at the place."""

    def produce(dest: Path) -> None:
        writes(MODULE)(dest)
        act()

    plan_for(lossy.behind.plugin, lossy.behind.url("m")).run(produce)


@pytest.mark.parametrize("name", ["tfhub_module.pb", "saved_model.pb", "assets/empty.txt"])
def test_a_file_whose_reply_was_lost_is_known_as_its_own(lossy: Lossy, name: str) -> None:
    lossy.proxy.loses = once(lambda asked: asked.sends(f"m/{name}"))
    export(lossy)
    assert lossy.proxy.count(lambda asked: asked.sends(f"m/{name}")) == 2
    assert content_of(lossy.store, "m") == MODULE


def test_so_are_all_when_the_first_reply_about_each_is_lost(s3: Lossy) -> None:
    s3.proxy.loses = once_each(lambda asked: asked.method == "PUT")
    export(s3)
    assert s3.proxy.count(lambda asked: asked.method == "PUT") == 2 * len(MODULE)
    assert content_of(s3.store, "m") == MODULE


def test_so_is_a_large_file_that_goes_in_parts(s3: Lossy) -> None:
    s3.proxy.loses = once_each(lambda asked: "uploadId" in asked.target)
    export(s3, LARGE)
    assert s3.proxy.count(lambda asked: asked.method == "POST" and "uploadId" in asked.target) >= 2
    assert content_of(s3.store, "m") == LARGE


@pytest.mark.parametrize("content", [MODULE["saved_model.pb"], b"others"], ids=["equal", "others"])
def test_what_somebody_else_wrote_stays_theirs_even_where_it_is_equal(lossy: Lossy, content: bytes) -> None:
    """Two may export one module at once: what the other wrote must not be deleted."""
    look = "m/saved_model.pb"
    usual = lossy.proxy.refuses
    hidden = once(lambda asked: asked.method in ("HEAD", "GET") and asked.target.partition("?")[0].endswith(look))
    lossy.proxy.refuses = lambda asked: 404 if hidden(asked) else usual(asked)
    with pytest.raises(
        OccupiedError, match=r"someone else: saved_model\.pb .*; nothing that was uploaded is left there"
    ):
        export_after(lossy, lambda: lossy.store.put({look: content}))
    assert content_of(lossy.store, "m") == {"saved_model.pb": content}


def test_a_request_that_meets_itself_is_sent_again(s3: Lossy) -> None:
    """Amazon answers 409 while the first request, whose connection broke, is still being carried out."""
    meets = once(lambda asked: asked.sends("m/tfhub_module.pb"))
    s3.proxy.refuses = lambda asked: 409 if meets(asked) else None
    export(s3)
    assert s3.proxy.count(lambda asked: asked.sends("m/tfhub_module.pb")) == 2
    assert content_of(s3.store, "m") == MODULE


def test_what_is_taken_back_is_gone_although_the_replies_to_that_are_lost(lossy: Lossy) -> None:
    usual = lossy.proxy.refuses
    lossy.proxy.loses = once_each(lambda asked: asked.method == "DELETE")
    lossy.proxy.refuses = lambda asked: 403 if asked.sends("m/tfhub_module.pb") else usual(asked)
    with pytest.raises(ExportError, match="; nothing that was uploaded is left there"):
        export(lossy)
    assert lossy.proxy.count(lambda asked: asked.method == "DELETE") >= 2 * (len(MODULE) - 1)
    assert content_of(lossy.store, "m") == {}


def test_a_file_of_which_no_reply_ever_comes_is_taken_back(s3: Lossy) -> None:
    s3.proxy.loses = lambda asked: asked.sends("m/tfhub_module.pb")
    with pytest.raises(ExportError, match=r"server cannot be reached: .*; nothing that was uploaded is left there"):
        export(s3)
    assert content_of(s3.store, "m") == {}


def test_what_somebody_else_wrote_is_not_taken_back_after_a_failure(s3: Lossy) -> None:
    """The upload fails, and nobody knows whether it arrived; meanwhile another export takes the name."""

    def refuses(asked: Asked) -> int | None:
        if not asked.sends("m/tfhub_module.pb"):
            return None
        s3.store.put({"m/tfhub_module.pb": b"theirs"})
        return 403

    s3.proxy.refuses = refuses
    with pytest.raises(ExportError, match="; nothing that was uploaded is left there"):
        export(s3)
    assert content_of(s3.store, "m") == {"tfhub_module.pb": b"theirs"}


# A store that keeps no marks


@pytest.mark.parametrize("content", [MODULE["saved_model.pb"], b"x" * len(MODULE["saved_model.pb"])])
def test_without_marks_equal_bytes_do_and_are_never_deleted(
    obstinate: type[Obstinate], monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    is_equal = content == MODULE["saved_model.pb"]

    def echo(name: str) -> None:
        if name == "saved_model.pb":
            MemoryFileSystem.pipe_file(obstinate(), "/b/m/saved_model.pb", content)

    monkeypatch.setattr(Obstinate, "watch", staticmethod(echo))
    if is_equal:
        publish(PLUGIN, URL)
        obstinate.store.clear()
        obstinate.fails["tfhub_module.pb"] = OSError(5, "the disk of the store broke")
    with pytest.raises(ExportError) as raised:
        publish(PLUGIN, URL)
    said = "what may be someone else's and was left there: saved_model.pb" if is_equal else "nothing that was uploaded"
    assert f"; {said}" in raised.value.message
    assert list(obstinate.store) == ["/b/m/saved_model.pb"]
