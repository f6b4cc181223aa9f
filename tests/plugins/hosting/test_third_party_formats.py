"""What only the plugins of a third party read is packed, listed, described and served as everything else."""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import hubplug
from hubplug.errors import FormatError, PluginError
from hubplug.testing import archive_of
from hubplug_hosting import ModuleServer, pack_module, write_site
from tests.plugins.hosting.asking import COMPRESSED, ask
from tests.plugins.hosting.trees import make_module

# As its author writes it, from the pages about plugins alone.
PLUGIN = """
import json
import lzma

import hubplug


class TableSpec(hubplug.ModuleSpec):
    def __init__(self, table):
        self.table = table

    def get_tags(self):
        return [frozenset()]

    def signatures(self, tags=None):
        text = hubplug.TensorInfo("string", (None,))
        return {"default": hubplug.SignatureInfo({"key": text}, {"default": text})}


class Tables:
    @hubplug.hookimpl
    def hubplug_load_format(self, module):
        if (module.path / "table.json").is_file():
            try:
                return TableSpec(dict(json.loads((module.path / "table.json").read_text())))
            except ValueError as error:
                raise hubplug.errors.FormatError(f"table.json is damaged: {error}") from error
        return hubplug.Declined("there is no table.json")


class TarLzma:
    archive_suffixes = (".tar.lzma",)

    @hubplug.hookimpl
    def hubplug_unpack(self, archive):
        if archive.peek(3) == b"]\\0\\0":
            inside = lambda tree: hubplug.ArchiveStream(lzma.open(archive, format=lzma.FORMAT_ALONE), name=archive.name)
            return hubplug.Plan("decompress lzma", inside)
"""
CHAIN = ["tables", "tar-lzma", "file", "http", "archive", "tf1"]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[hubplug.Hub]:
    """One whose chain has the plugins, which are installed as any distribution is."""
    site = tmp_path / "site"
    info = site / "words-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "words_of_others.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: words\nVersion: 1.0\n")
    points = "tables = words_of_others:Tables\ntar-lzma = words_of_others:TarLzma\n"
    (info / "entry_points.txt").write_text(f"[hubplug]\n{points}")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    hub = hubplug.Hub({"chain": CHAIN})
    with hub.activate():
        yield hub


@pytest.fixture
def words(tmp_path: Path) -> Path:
    folder = tmp_path / "words"
    (folder / "more").mkdir(parents=True)
    (folder / "table.json").write_text('{"cat": "Katze"}')
    (folder / "more" / "notes.txt").write_text("x")
    return folder


@pytest.fixture
def tree(hub: hubplug.Hub, words: Path, tmp_path: Path) -> Path:
    """``words`` as a directory and as an archive that only a plugin unpacks, and a usual module beside them."""
    root = tmp_path / "tree"
    (root / "p/words").mkdir(parents=True)
    words.rename(root / "p/words/1")
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        tar.add(root / "p/words/1", ".")
    (root / "p/words/2.tar.lzma").write_bytes(lzma.compress(plain.getvalue(), format=lzma.FORMAT_ALONE))
    make_module(tmp_path / "usual")
    (root / "p/usual").mkdir()
    usual = archive_of(tmp_path / "usual", "")
    (root / "p/usual/1.tar.lzma").write_bytes(lzma.compress(usual, format=lzma.FORMAT_ALONE))
    (root / "p/words/README.md").write_text("# Words")
    return root


def test_a_directory_that_a_plugin_reads_is_packed(hub: hubplug.Hub, words: Path, tmp_path: Path) -> None:
    packed = pack_module(words, tmp_path / "words.tar.gz", hub=hub)
    assert packed.files == 2
    assert list(hub.load_spec(str(packed.path)).signatures()) == ["default"]
    with (
        hubplug.Hub({"chain": ["file", "archive", "tf1"]}).activate(),
        pytest.raises(FormatError, match="not a module"),
    ):
        pack_module(words, tmp_path / "again.tar.gz")


def test_one_that_its_plugin_finds_damaged_is_not_packed(hub: hubplug.Hub, words: Path, tmp_path: Path) -> None:
    (words / "table.json").write_text("{")
    with pytest.raises(FormatError, match=r"table\.json is damaged"):
        pack_module(words, tmp_path / "words.tar.gz")
    assert not list(tmp_path.glob("*.tar.gz"))


def test_it_is_listed_and_served_and_comes_back(hub: hubplug.Hub, tree: Path) -> None:
    with ModuleServer(tree) as server:
        assert server.count_modules() == 3
        listed = json.loads(ask(server, "/", Accept="application/json").text)
        assert [(model["name"], model["versions"]) for model in listed["models"]] == [
            ("p/usual", ["1"]),
            ("p/words", ["2", "1"]),
        ]
        first, second = (ask(server, f"/p/words/{version}{COMPRESSED}") for version in "12")
        assert first.headers["Content-Type"] == "application/gzip"
        assert second.headers["Content-Type"] == "application/octet-stream"
        assert second.body == (tree / "p/words/2.tar.lzma").read_bytes() == ask(server, "/p/words/2.tar.lzma").body
        assert ask(server, f"/p/words{COMPRESSED}").body == second.body
        for handle in ("p/words/1", "p/words/2", "p/usual/1"):
            assert list(hub.load_spec(f"{server.url}{handle}").signatures())


@pytest.mark.parametrize("version", ["1", "2"])
def test_its_page_says_what_the_plugin_says(version: str, hub: hubplug.Hub, tree: Path) -> None:
    with ModuleServer(tree) as server:
        said = json.loads(ask(server, f"/p/words/{version}", Accept="application/json").text)
        page = ask(server, f"/p/words/{version}", Accept="text/html").text
    (variant,) = said["module"]["variants"]
    assert list(variant["signatures"]["default"]["inputs"]) == ["key"]
    assert "TableSpec" in json.dumps(said["module"])
    assert "Words" in page


def test_its_archive_is_in_the_site_with_its_rules(hub: hubplug.Hub, tree: Path, tmp_path: Path) -> None:
    written = write_site(hub, tree, tmp_path / "out", "https://hub.example.com/")
    assert (written.modules, list(written.problems)) == (3, [])
    assert (tmp_path / "out/p/words/2.tar.lzma").read_bytes() == (tree / "p/words/2.tar.lzma").read_bytes()
    rules = (tmp_path / "out/nginx.conf").read_text()
    assert "/p/words /p/words/2.tar.lzma;" in rules
    assert r"location ~ (\.tar\.gz|\.tgz|\.tar|\.tar\.lzma)$" in rules


def test_a_directory_that_no_plugin_can_read_hides_nothing_beside_it(hub: hubplug.Hub, tree: Path) -> None:
    (tree / "p/broken/1").mkdir(parents=True)
    (tree / "p/broken/1/table.json").write_text("{")
    with ModuleServer(tree) as server:
        assert server.count_modules() == 3
        assert ask(server, f"/p/broken/1{COMPRESSED}").status == 404


@pytest.mark.parametrize("suffix", ["tar.zst", "", ".", ".a/b", '."'])
def test_a_suffix_that_is_none_is_the_mistake_of_its_plugin(suffix: str, tree: Path) -> None:
    class Odd:
        archive_suffixes = (suffix,)

        @hubplug.hookimpl
        def hubplug_unpack(self, archive: hubplug.ArchiveStream) -> None: ...

    with (
        hubplug.Hub({"chain": ["file"]}, plugins=[Odd()]).activate(),
        pytest.raises(PluginError, match="archive_suffixes"),
    ):
        ModuleServer(tree)
