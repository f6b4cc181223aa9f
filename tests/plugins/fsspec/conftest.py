"""Object stores on loopback: an emulator of Google Cloud Storage and moto's S3, each with one bucket."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hubplug.files.tree import TreeWriter
from hubplug.types import ArchiveStream, Handle, Source
from hubplug_fsspec import Fsspec

SECRET = "CANARY-k8Zq-secret"


@dataclass(frozen=True)
class Store:
    """A bucket, or what stands for one, that tests may fill."""

    scheme: str
    bucket: str
    storage_options: Mapping[str, Any]

    @property
    def plugin(self) -> Fsspec:
        return Fsspec(storage_options={self.scheme: self.storage_options} if self.storage_options else {})

    @property
    def filesystem(self) -> Any:
        import fsspec

        return fsspec.filesystem(self.scheme, **self.storage_options)

    def put(self, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            self.filesystem.pipe_file(f"{self.bucket}/{name}", content)

    def url(self, name: str) -> str:
        return f"{self.scheme}://{self.bucket}/{name}"


@pytest.fixture(scope="session", autouse=True)
def _plain_http() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        # Read when gcsfs is imported: recent ones otherwise ask a gRPC endpoint of Google about each bucket, emulator
        # or not, and wait for it.
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "STORAGE_EMULATOR_HOST"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def gs_endpoint() -> Iterator[str]:
    emulator = pytest.importorskip("gcp_storage_emulator.server", reason="gcp-storage-emulator is not installed")
    pytest.importorskip("gcsfs", reason="gcsfs is not installed")
    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    server = emulator.create_server("127.0.0.1", 0, in_memory=True)
    server.start()
    try:
        while server._api._httpd is None:
            pass
        yield f"http://127.0.0.1:{server._api._httpd.server_address[1]}"
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def gs_store(gs_endpoint: str) -> Store:
    store = Store("gs", f"bucket-{uuid.uuid4().hex}", {"token": "anon", "endpoint_url": gs_endpoint})
    store.filesystem.mkdir(store.bucket)
    return store


@pytest.fixture
def s3_store(s3_endpoint: str) -> Store:
    options = {"key": "some-key", "secret": SECRET, "endpoint_url": s3_endpoint}
    store = Store("s3", f"bucket-{uuid.uuid4().hex}", options)
    store.filesystem.mkdir(store.bucket)
    return store


@pytest.fixture
def memory_store() -> Store:
    return Store("memory", f"bucket-{uuid.uuid4().hex}", {})


@pytest.fixture(params=["gs", "s3", "memory"])
def store(request: pytest.FixtureRequest) -> Store:
    made: Store = request.getfixturevalue(f"{request.param}_store")
    return made


@pytest.fixture
def bring(tmp_path: Path) -> Callable[..., dict[str, bytes] | bytes]:
    """Resolves and fetches: the content of an archive, or of each file of a tree."""

    def resolve_and_fetch(plugin: Fsspec, url: str) -> dict[str, bytes] | bytes:
        source = plugin.hubplug_resolve(Handle.parse(url))
        assert isinstance(source, Source), source
        plan = plugin.hubplug_fetch(source)
        dest = tmp_path / uuid.uuid4().hex
        dest.mkdir()
        tree = TreeWriter(dest)
        try:
            got = plan.run(tree, lambda *args: None)
            if isinstance(got, ArchiveStream):
                with got:
                    return b"".join(iter(lambda: got.read(1 << 16), b""))
        finally:
            files = tree.finish()
            assert sorted(record.path for record in files) == sorted(
                path.relative_to(dest).as_posix() for path in dest.rglob("*") if path.is_file()
            )
        assert got is None
        return {record.path: (dest / record.path).read_bytes() for record in files}

    return resolve_and_fetch
