"""Handles of tfhub.dev: where they are on Kaggle, by the table or by tfhub.dev's redirect, and which are gone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import hubplug
from hubplug.errors import FetchError, MissingError, OfflineError
from hubplug.testing import Reply, ScriptedServer, redirect
from hubplug_kaggle import Kaggle
from hubplug_kaggle._address import Address
from hubplug_kaggle._tfhub import DELETED, TABLE, rows_of
from tests.plugins.kaggle.conftest import PATH
from tests.plugins.kaggle.stand_in import StandIn

MakeHub = Callable[..., hubplug.Hub]
OLD = "https://tfhub.dev/google/nnlm-en-dim50/1"


@pytest.fixture
def tfhub(server: ScriptedServer, kaggle: StandIn) -> ScriptedServer:
    """tfhub.dev, at the address of Kaggle's stand-in: only the paths differ."""
    server.on("/google/nnlm-en-dim50/1", redirect(f"{kaggle.endpoint}/models/{PATH}/1?tfhub-redirect=true", 301))
    return server


def test_an_old_handle_is_brought_from_where_tfhub_says_and_is_kept_under_its_own_name(
    make_kaggle_hub: MakeHub, tfhub: ScriptedServer, kaggle: StandIn, tmp_path: object
) -> None:
    hub = make_kaggle_hub(tfhub=kaggle.endpoint)
    module = hub.resolve(OLD)
    assert kaggle.asked == ["/google/nnlm-en-dim50/1", f"/api/v1/models/{PATH}/1/download"]
    assert module.provenance is not None
    assert module.provenance.handle == OLD
    assert hub.resolve(OLD).path == module.path
    assert len(kaggle.asked) == 2


def test_where_it_is_is_asked_once_and_then_known_without_tfhub(
    make_kaggle_hub: MakeHub, tfhub: ScriptedServer, kaggle: StandIn, tmp_path: object
) -> None:
    make_kaggle_hub(tfhub=kaggle.endpoint, plugins={"cache": {"options": {}}}).resolve(OLD)
    tfhub.on("/google/nnlm-en-dim50/1", Reply(503))
    import shutil

    shutil.rmtree(make_kaggle_hub(tfhub=kaggle.endpoint).resolve(OLD).path)
    make_kaggle_hub(tfhub=kaggle.endpoint).resolve(OLD)
    assert kaggle.asked.count("/google/nnlm-en-dim50/1") == 1


def test_what_is_in_the_cache_needs_no_table_and_no_network(
    make_kaggle_hub: MakeHub, tfhub: ScriptedServer, kaggle: StandIn
) -> None:
    path = make_kaggle_hub(tfhub=kaggle.endpoint).resolve(OLD).path
    assert make_kaggle_hub(tfhub=kaggle.endpoint, offline=True).resolve(OLD).path == path
    with pytest.raises(OfflineError):
        make_kaggle_hub(tfhub=kaggle.endpoint, offline=True).resolve("https://tfhub.dev/google/other/1")


def test_the_table_is_asked_before_tfhub(make_kaggle_hub: MakeHub, kaggle: StandIn, archives: list[bytes]) -> None:
    kaggle.versions["deepmind/i3d-kinetics/tensorFlow1/400"] = archives  # type: ignore[index]
    kaggle.storage.on("/deepmind/i3d-kinetics/tensorFlow1/400/1.tar.gz", Reply(body=archives[0]))
    hub = make_kaggle_hub(tfhub=kaggle.endpoint)
    handle = "https://tfhub.dev/deepmind/i3d-kinetics-400/1"
    plan = hub.explain(handle)[-2].value
    assert plan.what == f"bring kaggle://deepmind/i3d-kinetics/tensorFlow1/400/1, where {handle} has moved to"
    hub.resolve(handle)
    assert kaggle.asked == ["/api/v1/models/deepmind/i3d-kinetics/tensorFlow1/400/1/download"]


@pytest.mark.parametrize(
    "reply",
    [redirect("https://www.kaggle.com/models?tfhub-redirect=true"), redirect("https://kaggle.com/models/"), Reply(404), Reply(410)],
)  # fmt: skip
def test_what_was_deleted_is_said_to_be(
    make_kaggle_hub: MakeHub, server: ScriptedServer, kaggle: StandIn, reply: Reply
) -> None:
    server.on("/google/gone/1", reply)
    with pytest.raises(
        MissingError, match=r"https://tfhub.dev/google/gone/1 is not on Kaggle, so it was deleted or never"
    ) as raised:
        make_kaggle_hub(tfhub=kaggle.endpoint).resolve("https://tfhub.dev/google/gone/1")
    assert "March 18, 2024" in str(raised.value.hint)


@pytest.mark.parametrize("offline", [False, True])
def test_what_is_known_to_be_deleted_is_not_asked_about(
    offline: bool, make_kaggle_hub: MakeHub, kaggle: StandIn
) -> None:
    hub = make_kaggle_hub(tfhub=kaggle.endpoint, offline=offline)
    for ask in (hub.resolve, hub.explain):
        with pytest.raises(MissingError, match="deleted"):
            ask("https://tfhub.dev/silero/silero-stt/de/1")
    assert kaggle.asked == []


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (redirect("https://elsewhere.example/models/a/b/c/d/1"), "which is not Kaggle"),
        (redirect("https://www.kaggle.com/models/google/nnlm"), "which names no version of one model"),
        (
            redirect("https://www.kaggle.com/models/google/nnlm/tensorFlow1/en-dim50"),
            "which names no version of one model",
        ),
        (redirect("https://www.kaggle.com/models/a/b/c/..%2fd/1"), "is not a URL"),
        (Reply(200, b"<html>"), "does not say where it is"),
        (redirect("/google/odd/1"), "does not say where it is"),
        (redirect("file:///etc/passwd"), "only http and https"),
        (Reply(503), "server error"),
    ],
)
def test_any_other_answer_of_tfhub_is_an_error_that_says_what_to_do(
    make_kaggle_hub: MakeHub, server: ScriptedServer, kaggle: StandIn, reply: Reply, said: str
) -> None:
    server.on("/google/odd/1", reply)
    with pytest.raises(FetchError, match=said) as raised:
        make_kaggle_hub(tfhub=kaggle.endpoint).resolve("https://tfhub.dev/google/odd/1")
    assert not isinstance(raised.value, MissingError)
    assert raised.value.hint


def test_a_rule_that_sends_old_handles_to_a_mirror_comes_first(
    make_kaggle_hub: MakeHub, server: ScriptedServer, kaggle: StandIn, archives: list[bytes]
) -> None:
    server.on("/mirror/google/nnlm-en-dim50/1", Reply(body=archives[0]))
    rule = {"from": "https://tfhub.dev/(.*)", "to": server.url("/mirror/") + r"\1"}
    make_kaggle_hub(tfhub=kaggle.endpoint, plugins={"http": {"options": {"rewrite": [rule]}}}).resolve(OLD)
    assert [target.partition("?")[0] for target in kaggle.asked] == ["/mirror/google/nnlm-en-dim50/1"]


@pytest.mark.parametrize(
    "text",
    ["https://tfhub.dev/google/x/1?lite-format=tflite", "https://tfhub.dev.example/x/1", "https://example.com/x/1"],
)
def test_other_handles_are_left_to_others(text: str) -> None:
    source = hubplug.Source(hubplug.Handle.parse(text), text)
    assert Kaggle().hubplug_fetch(source) is None  # type: ignore[attr-defined]
    tfhub = hubplug.Source(hubplug.Handle.parse(OLD), OLD)
    assert Kaggle(tfhub="").hubplug_fetch(tfhub) is None  # type: ignore[attr-defined]


def test_every_row_of_the_table_is_a_version_there_and_here_and_names_its_document() -> None:
    rows = rows_of(TABLE)
    assert len({row[0] for row in rows}) == len(rows) > 50
    for old, new, document in rows:
        address = Address.of_parts(new.split("/"))
        assert address is not None
        assert address.version is not None
        publisher, _, rest = old.partition("/")
        assert document == f"assets/docs/{publisher}/models/{rest}.md"
    assert ["deepmind/i3d-kinetics-400/1", "deepmind/i3d-kinetics/tensorFlow1/400/1"] in [row[:2] for row in rows]
    assert not {row[0].rpartition("/")[0] for row in rows} & {row[0] for row in rows_of(DELETED)}
