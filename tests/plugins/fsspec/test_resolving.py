"""Which handles the plugin takes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hubplug.errors import ConfigError, FetchError, HandleError
from hubplug.types import Declined, Handle, Source
from hubplug_fsspec import Fsspec


@pytest.mark.parametrize(
    "text", ["gs://b/m", "gcs://b/m.tar.gz", "s3://b/m", "hdfs://h:8020/m", "webhdfs://h/m", "az://c/m"]
)
def test_a_handle_of_an_object_store_lives_where_it_says(text: str) -> None:
    source = Fsspec().hubplug_resolve(Handle.parse(text))
    assert isinstance(source, Source)
    assert (source.location, source.in_place, source.cacheable) == (text, False, True)


def test_the_scheme_may_be_typed_in_capitals() -> None:
    source = Fsspec().hubplug_resolve(Handle.parse("GS://Bucket/M"))
    assert isinstance(source, Source)
    assert source.location == "gs://Bucket/M"


def test_what_is_in_the_memory_of_this_process_is_not_cached_and_needs_no_network() -> None:
    plugin = Fsspec()
    source = plugin.hubplug_resolve(Handle.parse("memory://m"))
    assert isinstance(source, Source)
    assert not source.cacheable
    assert not plugin.hubplug_fetch(source).network


def test_fetching_from_a_store_is_announced_as_needing_the_network() -> None:
    plan = Fsspec().hubplug_fetch(Source(Handle.parse("gs://b/m"), "gs://b/m"))
    assert plan.network
    assert plan.what == "copy gs://b/m with fsspec"


@pytest.mark.parametrize(
    "text", ["https://h/m", "http://h/m", "file:///m", "/m", "m", "ftp://h/m", "data://x", "sftp://h/m", "zip://m"]
)
def test_other_handles_are_declined_by_both_hooks(text: str) -> None:
    assert isinstance(Fsspec().hubplug_resolve(Handle.parse(text)), Declined)
    assert isinstance(Fsspec().hubplug_fetch(Source(Handle.parse(text), text)), Declined)


def test_the_reason_of_declining_names_the_schemes_that_are_taken() -> None:
    declined = Fsspec(schemes=["gs", "s3"]).hubplug_resolve(Handle.parse("oci://b/m"))
    assert isinstance(declined, Declined)
    assert declined.reason == "oci:// is not among its schemes gs, s3"


@pytest.mark.parametrize("text", ["gs://", "s3:///", "hdfs://"])
def test_a_bare_scheme_is_a_mistake_that_is_seen_before_the_store_is_asked(text: str) -> None:
    with pytest.raises(HandleError, match=f"'{text}' names nothing but a scheme"):
        Fsspec().hubplug_resolve(Handle.parse(text))


def test_the_list_of_schemes_can_be_extended_by_configuration() -> None:
    assert isinstance(Fsspec(schemes=["gs", "sftp"]).hubplug_resolve(Handle.parse("sftp://h/m")), Source)


@pytest.mark.parametrize("scheme", ["ftp", "file", "http", "https", "data", "simplecache"])
def test_schemes_that_are_never_fetched_here_cannot_be_configured(scheme: str) -> None:
    with pytest.raises(ConfigError, match=f"schemes: '{scheme}' is never fetched through fsspec"):
        Fsspec(schemes=["gs", scheme])


def test_options_for_a_scheme_that_is_not_taken_are_a_mistake() -> None:
    with pytest.raises(ConfigError, match="storage_options: 'gss' is not among the schemes"):
        Fsspec(storage_options={"gss": {}})
    with pytest.raises(ConfigError, match="parallel"):
        Fsspec(parallel=0)


def test_no_option_shows_in_the_repr() -> None:
    assert "hidden" not in repr(Fsspec(storage_options={"s3": {"secret": "hidden"}}))


def test_resolving_imports_no_fsspec() -> None:
    program = (
        "import sys; from hubplug_fsspec import Fsspec; from hubplug.types import Handle\n"
        "p = Fsspec(); p.hubplug_fetch(p.hubplug_resolve(Handle.parse('gs://b/m')))\n"
        "print([n for n in ('fsspec', 'gcsfs', 'aiohttp', 'tqdm', 'tensorflow') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("size", ["9" * 5000, float("nan"), float("inf"), -1, "five", [], 1 << 63])
def test_a_size_that_is_none_is_an_error_of_ours(size: object) -> None:
    from hubplug_fsspec._filesystem import StoredObject

    with pytest.raises(FetchError, match="a size that is not a number of bytes"):
        StoredObject.from_info({"name": "bucket/m", "size": size})


@pytest.mark.parametrize(
    "status",
    ["9" * 5000, 10**5000, "\u0664\u0660\u0664", -404, True],
    ids=["text", "number", "arabic", "negative", "true"],
)
def test_a_status_that_is_none_is_no_status(status: object) -> None:
    from hubplug_fsspec._errors import as_fetch_error

    error = RuntimeError("broken")
    error.status = status  # type: ignore[attr-defined]
    assert as_fetch_error(error, "gs://b/m", {}).message == "gs://b/m cannot be read: RuntimeError: broken"
