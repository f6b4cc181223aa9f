"""Modules travel the whole way out of an OCI image layout."""

from __future__ import annotations

import pytest
from oci_layout import OciLayout

from hubplug.errors import DigestMismatch, MissingError
from hubplug.testing import FetchContract, ResolveContract
from hubplug.types import Handle, Source


@pytest.fixture
def handle(layout):
    return f"oci+file://{layout}?tag=tiny-1"


class TestResolving(ResolveContract):
    @pytest.fixture
    def plugin(self):
        return OciLayout()

    @pytest.fixture
    def handles(self, handle):
        return [handle]


class TestFetching(FetchContract):
    @pytest.fixture
    def plugin(self):
        return OciLayout()

    @pytest.fixture
    def source(self, handle):
        return Source(Handle.parse(handle), handle)

    @pytest.fixture
    def missing_source(self, layout):
        handle = f"oci+file://{layout}?tag=no-such-tag"
        return Source(Handle.parse(handle), handle)


def test_a_module_is_brought_out_of_a_layout_and_cached(make_hub, handle, isolated_environment):
    hub = make_hub(OciLayout())
    assert list(hub.load_spec(handle).signatures()) == ["default"]
    assert hub.resolve(handle).path.parent == isolated_environment
    assert make_hub(OciLayout(), offline=True).resolve(handle).path == hub.resolve(handle).path


def test_a_blob_that_is_not_what_its_name_says_is_refused(make_hub, handle, layout, isolated_environment):
    for blob in (layout / "blobs" / "sha256").iterdir():
        blob.write_bytes(blob.read_bytes() + b" ")
    with pytest.raises(DigestMismatch, match="and its name says"):
        make_hub(OciLayout()).resolve(handle)


def test_what_is_no_layout_is_said_to_be_none(make_hub, tmp_path):
    with pytest.raises(MissingError, match=r"index\.json is not there"):
        make_hub(OciLayout()).resolve(f"oci+file://{tmp_path / 'nothing'}?tag=x")
