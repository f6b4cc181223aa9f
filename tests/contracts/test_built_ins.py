"""The contracts that a third party's plugins are held to, held by the built-in ones."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import fsspec
import pytest

from hubplug.errors import ConfigError
from hubplug.hub import Hub
from hubplug.settings.entry_points import installed_plugins
from hubplug.testing import (
    AuthContract,
    CacheContract,
    FetchContract,
    LoadFormatContract,
    PublishContract,
    Reply,
    ResolveContract,
    ScriptedServer,
    SendContract,
    UnpackContract,
    ValidateContract,
    archive_of,
    redirect,
)
from hubplug.types import Handle, Source
from hubplug_archive import TarArchive
from hubplug_auth import Credentials
from hubplug_cache import CacheDirectory
from hubplug_file import LocalFiles
from hubplug_format import ModuleBuilder, write_module
from hubplug_fsspec import Fsspec
from hubplug_http import Http
from hubplug_kaggle import Kaggle
from hubplug_signatures import CommonSignatures
from hubplug_tf1 import Tf1Format
from tests.plugins.kaggle.stand_in import StandIn


def source(text: str) -> Source:
    return Source(Handle.parse(text), text)


class TestFileResolves(ResolveContract):
    @pytest.fixture
    def plugin(self) -> LocalFiles:
        return LocalFiles()

    @pytest.fixture
    def handles(self, tiny_module: Path, tiny_archive: bytes, tmp_path: Path) -> Sequence[str]:
        (tmp_path / "m.tar.gz").write_bytes(tiny_archive)
        return [str(tiny_module), str(tmp_path / "m.tar.gz"), f"file://{tiny_module}"]

    test_it_shows_no_secret = None  # type: ignore[assignment]  # a path has none


class TestFileFetches(FetchContract):
    @pytest.fixture
    def plugin(self) -> LocalFiles:
        return LocalFiles()

    @pytest.fixture
    def source(self, tiny_archive: bytes, tmp_path: Path) -> Source:
        (tmp_path / "m.tar.gz").write_bytes(tiny_archive)
        return source(str(tmp_path / "m.tar.gz"))

    @pytest.fixture
    def missing_source(self, tmp_path: Path) -> Source:
        return source(str(tmp_path / "missing.tar.gz"))


class TestHttpResolves(ResolveContract):
    @pytest.fixture
    def plugin(self) -> Http:
        return Http(rewrite=[{"from": "corp://(.*)", "to": r"https://models.example/\1"}])

    @pytest.fixture
    def handles(self) -> Sequence[str]:
        return ["https://example.com/m/1", "http://127.0.0.1:80/m.tar.gz?x=1", "HTTPS://example.com/m", "corp://team/m"]

    @pytest.fixture
    def foreign_handles(self) -> Sequence[str]:
        return ["unheard-of://m", "/models/m", "relative", "gs://bucket/m", "file:///m", "httpss://example.com/m"]


class TestHttpFetches(FetchContract):
    @pytest.fixture
    def plugin(self) -> Http:
        return Http(retries=0)

    @pytest.fixture
    def source(self, server: ScriptedServer, tiny_archive: bytes) -> Source:
        server.on("/m/1", Reply(body=tiny_archive))
        return source(server.url("/m/1"))

    @pytest.fixture
    def missing_source(self, server: ScriptedServer) -> Source:
        return source(server.url("/missing/1"))

    @pytest.fixture
    def unreachable_source(self, closed_port: int) -> Source:
        return source(f"http://127.0.0.1:{closed_port}/m/1")


class TestHttpSends(SendContract):
    @pytest.fixture
    def plugin(self) -> Http:
        return Http(retries=0)


KAGGLE_PATH = "google/nnlm/tensorFlow1/en-dim50"


@pytest.fixture
def kaggle(server: ScriptedServer, tiny_archive: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kaggle:
    monkeypatch.setenv("HOME", str(tmp_path))
    StandIn(server, server, {KAGGLE_PATH: [tiny_archive]})
    return Kaggle(endpoint=server.url(""), tfhub=server.url(""))


class TestKaggleResolves(ResolveContract):
    @pytest.fixture
    def plugin(self, kaggle: Kaggle) -> Kaggle:
        return kaggle

    @pytest.fixture
    def handles(self) -> Sequence[str]:
        return [f"kaggle://{KAGGLE_PATH}/1"]

    @pytest.fixture
    def latest_handles(self) -> Sequence[str]:
        return [f"kaggle://{KAGGLE_PATH}", f"kaggle://{KAGGLE_PATH}/latest"]

    @pytest.fixture
    def unreachable_plugin(self, closed_port: int) -> Kaggle:
        return Kaggle(endpoint=f"http://127.0.0.1:{closed_port}")


class TestKaggleSigns(AuthContract):
    @pytest.fixture
    def plugin(self, kaggle: Kaggle, secret: str, monkeypatch: pytest.MonkeyPatch) -> Kaggle:
        monkeypatch.setenv("KAGGLE_API_TOKEN", secret)
        return kaggle

    @pytest.fixture
    def secret(self) -> str:
        return "canary-token"

    @pytest.fixture
    def url(self, kaggle: Kaggle, server: ScriptedServer) -> str:
        return server.url(f"/api/v1/models/{KAGGLE_PATH}/get")


class TestKaggleFindsOldModels(FetchContract):
    @pytest.fixture
    def plugin(self, kaggle: Kaggle, make_hub: Callable[..., Hub]) -> Kaggle:
        return kaggle

    @pytest.fixture
    def source(self, server: ScriptedServer, kaggle: Kaggle) -> Source:
        server.on("/google/old/1", redirect(server.url(f"/models/{KAGGLE_PATH}/1")))
        return source("https://tfhub.dev/google/old/1")

    @pytest.fixture
    def missing_source(self) -> Source:
        return source("https://tfhub.dev/google/gone/1")

    @pytest.fixture
    def unreachable_source(self, server: ScriptedServer) -> Source:
        server.on("/google/broken/1", Reply(cut_at=0, reset=True))
        return source("https://tfhub.dev/google/broken/1")


class TestFsspecResolves(ResolveContract):
    @pytest.fixture
    def plugin(self) -> Fsspec:
        return Fsspec()

    @pytest.fixture
    def handles(self) -> Sequence[str]:
        return ["gs://bucket/m", "memory://m", "S3://bucket/m.tar.gz"]

    @pytest.fixture
    def foreign_handles(self) -> Sequence[str]:
        return ["unheard-of://m", "/models/m", "https://example.com/m", "file:///m", "ftp://example.com/m"]


class TestFsspecFetchesArchives(FetchContract):
    @pytest.fixture
    def plugin(self) -> Fsspec:
        return Fsspec()

    @pytest.fixture
    def source(self, tiny_archive: bytes) -> Source:
        fsspec.filesystem("memory").pipe("/contract/m.tar.gz", tiny_archive)
        return source("memory://contract/m.tar.gz")

    @pytest.fixture
    def missing_source(self) -> Source:
        return source("memory://contract/missing.tar.gz")

    test_it_shows_no_secret = None  # type: ignore[assignment]  # names of objects have no query


class TestFsspecFetchesTrees(TestFsspecFetchesArchives):
    @pytest.fixture
    def source(self, tiny_module: Path) -> Source:
        memory = fsspec.filesystem("memory")
        for path in tiny_module.rglob("*"):
            if path.is_file():
                memory.pipe(f"/contract/tree/{path.relative_to(tiny_module)}", path.read_bytes())
        return source("memory://contract/tree")

    @pytest.fixture
    def missing_source(self) -> Source:
        return source("memory://contract/no-tree")


class TestFsspecPublishes(PublishContract):
    @pytest.fixture
    def plugin(self) -> Fsspec:
        return Fsspec()

    @pytest.fixture
    def handle(self) -> str:
        return f"memory://contract/{uuid.uuid4().hex}/m"

    @pytest.fixture
    def content(self) -> Callable[[str], Mapping[str, bytes]]:
        def read(handle: str) -> Mapping[str, bytes]:
            memory, root = fsspec.filesystem("memory"), "/" + handle.removeprefix("memory://")
            paths = memory.find(root) if memory.exists(root) else []
            return {path.removeprefix(f"{root}/"): memory.cat_file(path) for path in paths}

        return read

    @pytest.fixture
    def foreign_handles(self) -> Sequence[str]:
        return ["unheard-of://m", "https://example.com/m", "file:///m"]


class TestCache(CacheContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        (tmp_path / "cache").mkdir(mode=0o700)
        return tmp_path / "cache"

    @pytest.fixture
    def make_plugin(self, place: Path) -> Callable[[], CacheDirectory]:
        return lambda: CacheDirectory(dir=str(place))


class TestArchive(UnpackContract):
    @pytest.fixture(params=["gz", "bz2", "xz", ""])
    def compression(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def plugin(self) -> TarArchive:
        return TarArchive()

    @pytest.fixture
    def archive(self, compression: str, tiny_module: Path) -> bytes:
        return archive_of(tiny_module, compression)

    @pytest.fixture
    def content(self, tiny_module: Path) -> Mapping[str, bytes]:
        return {
            path.relative_to(tiny_module).as_posix(): path.read_bytes()
            for path in tiny_module.rglob("*")
            if path.is_file()
        }


class TestAuth(AuthContract):
    @pytest.fixture
    def plugin(self, secret: str) -> Credentials:
        return Credentials(rules=[{"prefix": "https://models.example.com/team/", "token": secret}])

    @pytest.fixture
    def secret(self) -> str:
        return "canary-token"

    @pytest.fixture
    def url(self) -> str:
        return "https://models.example.com/team/m/1"


class TestTf1Loads(LoadFormatContract):
    @pytest.fixture
    def plugin(self) -> Tf1Format:
        return Tf1Format()

    @pytest.fixture
    def directory(self, tiny_module: Path) -> Path:
        return tiny_module


class TestSignatures(ValidateContract):
    @pytest.fixture
    def plugin(self) -> CommonSignatures:
        return CommonSignatures()

    @pytest.fixture
    def profile(self) -> str:
        return "text-feature-vector"

    @pytest.fixture
    def good_spec(self, make_hub: Callable[..., Hub], tmp_path: Path) -> object:
        builder = ModuleBuilder()
        text = builder.placeholder("text", "string", [None])
        vector = builder.node("Identity", [text], name="vector", dtype="float32", shape=[None, 4])
        builder.signature(inputs={"text": text}, outputs={"default": vector})
        write_module(tmp_path / "good", builder)
        return make_hub().load_spec(str(tmp_path / "good"))

    @pytest.fixture
    def bad_spec(self, make_hub: Callable[..., Hub], tiny_module: Path) -> object:
        return make_hub().load_spec(str(tiny_module))


def test_a_module_travels_the_whole_way_with_the_kit(
    make_hub: Callable[..., Hub], server: ScriptedServer, tiny_archive: bytes, tiny_module: Path, tmp_path: Path
) -> None:
    server.on("/m/1", Reply(body=tiny_archive))
    hub = make_hub()
    spec = hub.load_spec(server.url("/m/1"))
    assert list(spec.signatures()) == ["default"]
    path = hub.resolve(server.url("/m/1")).path
    assert len(server.requests) == 1
    shutil.rmtree(path)
    assert hub.resolve(server.url("/m/1")).path == path
    assert len(server.requests) == 2


needs_installation = pytest.mark.skipif("http" not in installed_plugins(), reason="hubplug is not installed here")


@needs_installation
@pytest.mark.parametrize(
    "options",
    [
        "http: {options: {headers: {'https://h/': {X-Key: abc}}}}",
        "http: {options: {verify: false}}",
        "http: {options: {disable_cert_validation: true}}",
        "http: {options: {proxy: 'http://proxy.elsewhere.example/'}}",
        "http: {options: {ca_bundle: ca.pem}}",
        "http: {options: {servers: {'https://h/': {verify: false}}}}",
        "auth: {options: {rules: [{prefix: 'https://h/', token_command: [collect]}]}}",
        "fsspec: {options: {storage_options: {s3: {endpoint_url: 'http://elsewhere.example'}}}}",
    ],
)
def test_a_file_that_was_merely_found_can_neither_hold_credentials_nor_open_the_way_to_others(
    options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hubplug.yaml").write_text(f"version: 1\nplugins:\n  {options}\n")
    with pytest.raises(ConfigError, match="merely found in the working directory"):
        Hub()


@needs_installation
def test_tfhub_cache_dir_moves_the_first_writable_cache_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "moved"))
    plugins = {
        name: {"use": "cache", "options": {"dir": str(tmp_path / name), "read_only": name == "shared"}}
        for name in ("shared", "first", "second")
    }
    hub = Hub({"chain": ["shared", "first", "second"], "plugins": plugins})
    assert [cache.root().path.name for _, cache in hub.instances(CacheDirectory)] == ["shared", "moved", "second"]
