"""Modules from Kaggle: versions, the latest, what is refused and what to do then."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

import hubplug
from hubplug.errors import AccessError, FetchError, HandleError, IncompleteDownload, MissingError, OfflineError
from hubplug.testing import Reply
from hubplug_kaggle import Kaggle
from hubplug_kaggle._address import Address
from tests.plugins.kaggle.conftest import PATH
from tests.plugins.kaggle.stand_in import StandIn

MakeHub = Callable[..., hubplug.Hub]
API = f"/api/v1/models/{PATH}"


def test_a_version_is_brought_through_the_api_and_its_storage(
    make_kaggle_hub: MakeHub, kaggle: StandIn, archives: list[bytes]
) -> None:
    import hashlib

    module = make_kaggle_hub().resolve(f"kaggle://{PATH}/1")
    assert module.provenance is not None
    assert module.provenance.archive_sha256 == hashlib.sha256(archives[0]).hexdigest()
    assert kaggle.asked == [f"{API}/1/download"]
    assert "canary" not in module.provenance.location


@pytest.mark.parametrize("handle", [f"kaggle://{PATH}", f"kaggle://{PATH}/latest", f"kaggle://{PATH}/"])
def test_without_a_version_it_is_the_latest(make_kaggle_hub: MakeHub, kaggle: StandIn, handle: str) -> None:
    hub = make_kaggle_hub()
    path = hub.resolve(handle).path
    assert kaggle.asked == [f"{API}/get", f"{API}/2/download"]
    assert hub.resolve(f"kaggle://{PATH}/2").path == path
    assert len(kaggle.asked) == 2


def test_a_new_version_is_noticed_and_a_locked_one_stays(
    make_kaggle_hub: MakeHub, kaggle: StandIn, archives: list[bytes], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBPLUG_LOCK", f"{tmp_path}/hubplug.lock")
    handle = f"kaggle://{PATH}"
    make_kaggle_hub().pin([handle]).write()
    kaggle.versions[PATH].append(archives[0])
    kaggle.storage.on(f"/{PATH}/3.tar.gz", Reply(body=archives[0]))
    assert make_kaggle_hub().resolve(handle).handle.text == f"{handle}/2"
    monkeypatch.delenv("HUBPLUG_LOCK")
    assert make_kaggle_hub().resolve(handle).handle.text == f"{handle}/3"
    assert make_kaggle_hub(offline=True).resolve(handle).handle.text == f"{handle}/3"


def test_offline_nothing_is_asked(make_kaggle_hub: MakeHub, kaggle: StandIn) -> None:
    with pytest.raises(
        OfflineError, match=r"it would have to ask http://127.0.0.1:[0-9]+ for the latest version of kaggle://"
    ):
        make_kaggle_hub(offline=True).resolve(f"kaggle://{PATH}")
    assert kaggle.asked == []


@pytest.mark.parametrize("code_in_body", [False, True])
@pytest.mark.parametrize("handle", [f"kaggle://{PATH}", f"kaggle://{PATH}/1"])
def test_a_licence_that_was_not_accepted_is_refused_with_the_page_to_accept_it(
    make_kaggle_hub: MakeHub, kaggle: StandIn, handle: str, code_in_body: bool
) -> None:
    kaggle.gated.add(PATH)
    kaggle.errors_with_200 = code_in_body
    with pytest.raises(hubplug.HubplugError) as raised:
        make_kaggle_hub().resolve(handle)
    assert isinstance(raised.value, AccessError) or code_in_body
    assert "consent is required" in raised.value.message
    assert f"accept the licence at {kaggle.endpoint}/models/google/nnlm" in str(raised.value.hint)
    assert "KAGGLE_API_TOKEN" in str(raised.value.hint)


@pytest.mark.parametrize(
    "handle", ["kaggle://google/nothing/tensorFlow1/x", "kaggle://google/nothing/tensorFlow1/x/1", f"kaggle://{PATH}/9"]
)
def test_what_is_not_there_is_missing(make_kaggle_hub: MakeHub, handle: str) -> None:
    with pytest.raises(MissingError, match="not found"):
        make_kaggle_hub().resolve(handle)


@pytest.mark.parametrize(
    "text",
    ["google/nnlm", "google/nnlm/tensorFlow1", "google/nnlm/tensorFlow1/x/0", "google/nnlm/tensorFlow1/x/01",
     "google/nnlm/tensorFlow1/x/newest", "google/../tensorFlow1/x/1", "google/nnlm/tensorFlow1/x/1/2",
     "google/nnlm/tensorFlow1/x?a=b", "google/n%6elm/tensorFlow1/x/1", "g o/nnlm/tensorFlow1/x/1"],
)  # fmt: skip
def test_a_handle_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(HandleError, match="is not a handle of Kaggle"):
        Kaggle().hubplug_resolve(hubplug.Handle.parse(f"kaggle://{text}"))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "reply",
    [Reply(body=b"<html>"), Reply(body=b"[]"), Reply(body=b"{}"), Reply(body=b'{"versionNumber": "2"}'),
     Reply(body=b'{"versionNumber": -1}'), Reply(body=b'{"versionNumber": true}'), Reply(503), Reply(body=b"{", cut_at=0),
     Reply(500, b'{"code": 500, "message": "x"}'), Reply(body=b'{"code": 500, "message": "broken"}'), Reply(400)],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_is_an_error_of_one_line(
    make_kaggle_hub: MakeHub, kaggle: StandIn, reply: Reply
) -> None:
    kaggle.server.on(f"{API}/get", reply)
    with pytest.raises(FetchError) as raised:
        make_kaggle_hub().resolve(f"kaggle://{PATH}")
    assert not isinstance(raised.value, (MissingError, AccessError))
    assert "\n" not in raised.value.message


def test_a_download_that_breaks_off_goes_on_where_it_was(
    make_kaggle_hub: MakeHub, kaggle: StandIn, archives: list[bytes]
) -> None:
    whole = Reply(body=archives[0], etag='"1"', ranges=True)
    kaggle.storage.on(f"/{PATH}/1.tar.gz", Reply(body=archives[0], etag='"1"', cut_at=100), whole)
    hub = make_kaggle_hub(plugins={"http": {"options": {"retries": 2, "max_retry_wait": 0.1}}})
    assert hub.resolve(f"kaggle://{PATH}/1").path.is_dir()
    assert kaggle.storage.requests[1].header("Range") == "bytes=100-"


def test_a_download_that_is_cut_off_is_not_kept(
    make_kaggle_hub: MakeHub, kaggle: StandIn, archives: list[bytes]
) -> None:
    kaggle.storage.on(f"/{PATH}/1.tar.gz", Reply(body=archives[0], cut_at=100))
    with pytest.raises(IncompleteDownload):
        make_kaggle_hub().resolve(f"kaggle://{PATH}/1")


def test_explain_says_nothing_of_kaggle_where_it_has_no_part(make_kaggle_hub: MakeHub) -> None:
    answers = make_kaggle_hub().explain("https://models.example/m/1")
    assert not [name for answer in answers for name, _ in answer.declined if name == "kaggle"]


def test_explain_tells_the_way(make_kaggle_hub: MakeHub, kaggle: StandIn) -> None:
    answers = make_kaggle_hub().explain(f"kaggle://{PATH}/1")
    assert [answer.hook for answer in answers] == ["hubplug_resolve", "hubplug_cache", "hubplug_fetch", "hubplug_auth"]
    assert answers[2].value.what == f"download {kaggle.endpoint}{API}/1/download as an archive"
    assert answers[3].value.hubplug_rule == "none: there are no credentials of Kaggle here"
    assert kaggle.asked == []


@pytest.mark.parametrize(
    "page",
    ["https://www.kaggle.com/models/google/nnlm/tensorFlow1/en-dim50/1?tfhub-redirect=true",
     "https://www.kaggle.com/models/google/nnlm/frameworks/tensorFlow1/variations/en-dim50/versions/1"],
)  # fmt: skip
def test_both_forms_of_the_pages_are_understood(page: str) -> None:
    assert str(Address.of_page(page)) == f"kaggle://{PATH}/1"


def test_the_answer_of_the_stand_in_is_json(kaggle: StandIn) -> None:
    assert json.loads(kaggle.refuse(404, "x").body) == {"code": 404, "message": "x"}
