"""A Google store that cannot be reached is given up on soon; a slow one is waited for."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubplug.errors import FetchError
from hubplug.hub import Hub
from hubplug_fsspec import _reach
from hubplug_fsspec._reach import within_reach

LOCATION = "gs://bucket/CANARY/m.tar.gz?token=CANARY-k8Zq"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_reach, "PATIENCE", 0.2)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """An endpoint where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def slow() -> str:
    time.sleep(1)
    return "answer"


def test_a_store_that_can_be_reached_is_waited_for(listening: str) -> None:
    assert within_reach(slow, LOCATION, {"endpoint_url": listening}) == "answer"


def test_one_that_cannot_is_given_up_on_with_what_to_check(closed: str) -> None:
    began = time.monotonic()
    with pytest.raises(FetchError, match=r"cannot be reached: 127\.0\.0\.1:.*refused") as caught:
        within_reach(lambda: time.sleep(60), LOCATION, {"endpoint_url": closed})
    assert time.monotonic() - began < 30
    assert "CANARY-k8Zq" not in str(caught.value)
    assert "the name server" in str(caught.value.hint)


def test_a_quick_answer_or_error_comes_through_unprobed(closed: str) -> None:
    assert within_reach(lambda: "answer", LOCATION, {"endpoint_url": closed}) == "answer"
    with pytest.raises(KeyError):
        within_reach(lambda: {}["x"], LOCATION, {"endpoint_url": closed})


@pytest.mark.parametrize(
    "options", [{"session_kwargs": {"trust_env": True}}, {"endpoint_url": "http://["}, {"endpoint_url": "no URL"}]
)
def test_without_a_way_that_is_known_nothing_is_probed(options: dict[str, object], closed: str) -> None:
    assert within_reach(slow, LOCATION, {"endpoint_url": closed, **options}) == "answer"


def test_a_proxy_of_the_environment_may_be_the_only_way(closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert within_reach(slow, LOCATION, {"endpoint_url": closed}) == "answer"


def test_other_stores_are_left_to_their_clients(closed: str) -> None:
    assert within_reach(slow, "s3://bucket/m", {"endpoint_url": closed}) == "answer"


def test_a_handle_on_a_store_that_is_away_fails_in_seconds(closed: str, tmp_path: Path) -> None:
    pytest.importorskip("gcsfs", reason="gcsfs is not installed")
    options = {"storage_options": {"gs": {"token": "anon", "endpoint_url": closed}}}
    hub = Hub({"chain": ["fsspec", "archive", "tf1"], "plugins": {"fsspec": {"options": options}}})
    began = time.monotonic()
    with pytest.raises(FetchError, match=r"gs://bucket/m\.tar\.gz: the server cannot be reached"):
        hub.resolve("gs://bucket/m.tar.gz")
    assert time.monotonic() - began < 20
