"""What the clients of stores repeat: a busy store is asked again, a hopeless request is not repeated for half a minute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hubplug.errors import AccessError, ExportError, FetchError
from hubplug_fsspec import _patience
from hubplug_fsspec._patience import patient_kind, with_bounds

from .conftest import Store
from .lossy import Asked, LossyProxy, lossy_proxy
from .test_publishing import MODULE, content_of, publish


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_patience, "_WHEN_BUSY", (0.01,) * 4)
    monkeypatch.setattr(_patience, "_WHEN_HOPELESS", (0.01,))


@pytest.fixture(params=["gs", "s3"])
def store(request: pytest.FixtureRequest) -> Store:
    made: Store = request.getfixturevalue(f"{request.param}_store")
    made.put({"m/saved_model.pb": b"graph"})
    return made


@pytest.fixture
def proxy(store: Store) -> Iterator[LossyProxy]:
    with lossy_proxy(store.storage_options["endpoint_url"]) as made:
        yield made


def behind(store: Store, proxy: LossyProxy) -> Store:
    return replace(store, storage_options={**store.storage_options, "endpoint_url": proxy.url})


def answers_first(status: int, times: int) -> Callable[[Asked], int | None]:
    """A status for the first requests of each target, then the store itself."""
    counts: dict[str, int] = {}

    def refuses(asked: Asked) -> int | None:
        counts[asked.target] = counts.get(asked.target, 0) + 1
        return status if counts[asked.target] <= times else None

    return refuses


@pytest.mark.parametrize("status", [500, 503])
def test_a_busy_store_is_asked_again(store: Store, proxy: LossyProxy, bring: Callable[..., Any], status: int) -> None:
    proxy.refuses = answers_first(status, times=1)
    assert bring(behind(store, proxy).plugin, store.url("m")) == {"saved_model.pb": b"graph"}


def most_for_one_target(proxy: LossyProxy) -> int:
    targets = [(asked.method, asked.target) for asked in proxy.asked]
    return max(targets.count(target) for target in targets)


@pytest.mark.parametrize(("status", "most"), [(403, 1), (401, 2), (404, 1), (503, 5)])
def test_a_request_is_repeated_only_where_that_may_help(
    store: Store, proxy: LossyProxy, bring: Callable[..., Any], status: int, most: int
) -> None:
    proxy.refuses = lambda asked: status
    with pytest.raises(FetchError) as raised:
        bring(behind(store, proxy).plugin, store.url("m"))
    assert isinstance(raised.value, AccessError) == (status in (401, 403))
    assert most_for_one_target(proxy) <= most


def test_an_export_whose_store_goes_away_does_not_wait_for_each_of_its_files(store: Store, proxy: LossyProxy) -> None:
    gone: list[Asked] = []

    def refuses(asked: Asked) -> int | None:
        if asked.sends("new/saved_model.pb") or gone:
            gone.append(asked)
        return 503 if gone else None

    proxy.refuses = refuses
    with pytest.raises(
        ExportError, match=r"the store does not say what is left of assets/empty\.txt, .*saved_model\.pb"
    ):
        publish(behind(store, proxy).plugin, store.url("new"))
    assert sum(asked.method == "DELETE" for asked in gone) <= 2 * 5
    assert set(content_of(store, "new")) == set(MODULE) - {"saved_model.pb", "tfhub_module.pb"}


def test_what_is_configured_for_s3_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"):
        monkeypatch.delenv(name, raising=False)
    kind = patient_kind(s3fs.S3FileSystem)
    assert with_bounds(kind, {"key": "k"})["config_kwargs"]["retries"]["total_max_attempts"] == 4
    own = {"config_kwargs": {"retries": {"max_attempts": 9}, "read_timeout": 5}}
    assert with_bounds(kind, own) == own
    assert with_bounds(kind, {"config_kwargs": {"read_timeout": 5}})["config_kwargs"]["read_timeout"] == 5
    (tmp_path / "config").write_text("[profile patient]\nmax_attempts = 9\n")
    assert "config_kwargs" in with_bounds(kind, {"key": "k"})
    assert with_bounds(kind, {"profile": "patient"}) == {"profile": "patient"}
    assert with_bounds(kind, {"profile": "none"}) == {"profile": "none"}
    monkeypatch.setenv("AWS_RETRY_MODE", "adaptive")
    assert with_bounds(kind, {"key": "k"}) == {"key": "k"}


def test_file_systems_of_the_program_itself_stay_as_they_are(store: Store) -> None:
    before = type(store.filesystem)
    assert patient_kind(before) is patient_kind(before)
    assert patient_kind(before) is not before
    assert type(store.filesystem) is before
