"""``hubplug cache``: what people and machines see, and what it does to the directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hubplug.cli.main import hubplug
from hubplug.hub import Hub
from hubplug.types import Handle, Plan, Source
from hubplug_cache import CacheDirectory
from hubplug_format import ModuleBuilder, write_module
from tests.plugins.cache.origin import Origin, as_user, entry_of, find_wrong, leftovers

ONE = "https://user:canary@example.com/module/1?token=canary"
TWO = "https://example.com/module/2"
SHARED = "https://example.com/shared/1"
DAY = 86400


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A writable cache with two entries."""
    root = tmp_path / "modules"
    for handle in (ONE, TWO):
        Origin().resolve(CacheDirectory(str(root)), handle)
    return root


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A shared cache with one entry, which the chain only reads."""
    Origin().resolve(CacheDirectory(str(tmp_path / "shared")), SHARED)
    return tmp_path / "shared"


@pytest.fixture
def run(root: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    monkeypatch.delenv("TFHUB_CACHE_DIR")
    hub = Hub(
        {
            "chain": ["shared", "cache"],
            "plugins": {
                "shared": {"use": "cache", "options": {"dir": str(shared), "read_only": True}},
                "cache": {"options": {"dir": str(root)}},
            },
        }
    )

    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(hubplug, ["cache", *map(str, arguments)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "canary" not in result.output
        return result

    with hub.activate():
        yield run


def _used(path: Path, days_ago: float) -> None:
    then = time.time() - days_ago * DAY
    for file in path.rglob("*"):
        os.utime(file, (then, then))


def _names(root: Path) -> set[str]:
    return {path.name for path in root.iterdir() if path.is_dir() and len(path.name) == 40}


def test_list_shows_the_entries_of_all_caches(run: Callable[..., Result], root: Path) -> None:
    result = run("list")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert len(lines) == 3
    assert lines[0].endswith(f"shared  {SHARED}")
    assert any("cache   https://example.com/module/1?token=***" in line for line in lines)
    assert all("complete" in line and " kB " in line for line in lines)


def test_list_says_where_nothing_is(run: Callable[..., Result], root: Path, shared: Path) -> None:
    assert run("remove", ONE, TWO).exit_code == 0
    assert run("list", "--cache", "cache").output == f"no module is cached: cache ({root})\n"
    assert json.loads(run("list", "--cache", "cache", "--format", "json").output) == []


def test_list_speaks_to_machines(run: Callable[..., Result], root: Path) -> None:
    (entry_of(root, TWO) / "saved_model.pb").unlink()
    rows = {row["key"]: row for row in json.loads(run("list", "--cache", "cache", "--format", "json").output)}
    assert set(rows) == _names(root)
    one, two = rows[entry_of(root, ONE).name], rows[entry_of(root, TWO).name]
    assert one["state"] == "complete"
    assert one["handle"] == "https://example.com/module/1?token=***"
    assert one["files"] == 5
    assert one["size"] > 5000
    assert one["path"] == str(entry_of(root, ONE))
    assert one["archive_sha256"] == "a" * 64
    assert two["state"] == "damaged"
    assert two["fault"] == "saved_model.pb is missing"


def test_a_cache_that_the_chain_does_not_have_is_an_error(run: Callable[..., Result]) -> None:
    result = run("list", "--cache", "nobody")
    assert result.exit_code == 2
    assert "no cache named 'nobody'; its caches: shared, cache" in result.output


def test_path_names_the_directory_and_the_entry(run: Callable[..., Result], root: Path, shared: Path) -> None:
    assert run("path").output == f"{root}\n"
    assert run("path", "--cache", "shared").output == f"{shared}\n"
    assert run("path", TWO).output == f"{entry_of(root, TWO)}\n"
    assert run("path", SHARED).output == f"{entry_of(shared, SHARED)}\n"
    assert json.loads(run("path", "--json").output) == {"cache": "cache", "path": str(root)}
    assert json.loads(run("path", SHARED, "--json").output) == {
        "cache": "shared",
        "path": str(entry_of(shared, SHARED)),
    }
    missing = run("path", "https://example.com/other?token=canary")
    assert missing.exit_code == 2
    assert "error: There is no entry for https://example.com/other?token=***" in missing.output


def test_verify_finds_nothing_in_good_entries(run: Callable[..., Result]) -> None:
    result = run("verify")
    assert result.exit_code == 0
    assert result.output.count(": good\n") == 3


def test_verify_says_where_nothing_is(run: Callable[..., Result], root: Path) -> None:
    assert run("remove", ONE, TWO).exit_code == 0
    result = run("verify", "--cache", "cache")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"no module is cached: cache ({root})\n")
    assert json.loads(run("verify", "--cache", "cache", "--format", "json").stdout) == []


@pytest.mark.parametrize("name", ["saved_model.pb", "assets/vocab.txt", "variables/variables.data-00000-of-00001"])
@pytest.mark.parametrize("offset", [0, 500, 999])
def test_verify_finds_a_flipped_bit_and_the_next_resolve_mends_it(
    name: str, offset: int, run: Callable[..., Result], root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = entry_of(root, TWO) / name
    data = bytearray(file.read_bytes())
    data[offset] ^= 1
    file.write_bytes(data)
    result = run("verify", TWO)
    assert result.exit_code == 1
    assert f"{name} has sha256" in result.output
    origin = Origin()
    origin.resolve(CacheDirectory(str(root)), TWO)
    assert origin.calls == 1
    assert find_wrong(entry_of(root, TWO), TWO) is None
    assert name in caplog.text
    assert run("verify").exit_code == 0
    assert leftovers(root) == []


def test_verify_forgives_what_was_put_right(run: Callable[..., Result], root: Path) -> None:
    file = entry_of(root, TWO) / "saved_model.pb"
    good = file.read_bytes()
    file.write_bytes(good[:-1] + b"x")
    assert run("verify").exit_code == 1
    file.write_bytes(good)
    assert run("verify").exit_code == 0
    origin = Origin()
    origin.resolve(CacheDirectory(str(root)), TWO)
    assert origin.calls == 0


def test_verify_writes_nothing_into_a_read_only_cache(run: Callable[..., Result], shared: Path) -> None:
    file = entry_of(shared, SHARED) / "saved_model.pb"
    file.write_bytes(b"x" * 1000)
    before = sorted(shared.rglob("*"))
    result = run("verify", "--format", "json")
    assert result.exit_code == 1
    (row,) = [row for row in json.loads(result.output) if row["faults"]]
    assert row["cache"] == "shared"
    assert row["state"] == "damaged"
    assert sorted(shared.rglob("*")) == before


def test_verify_says_what_is_wrong_where_it_may_not_mark_it(commons: Path) -> None:
    root = commons / "modules"
    Origin().resolve(CacheDirectory(str(root)), TWO)
    (entry_of(root, TWO) / "saved_model.pb").write_bytes(b"x" * 1000)

    def act() -> str:
        with Hub({"chain": []}, plugins=[CacheDirectory(str(root))]).activate():
            return CliRunner().invoke(hubplug, ["cache", "verify"]).output

    CliRunner().invoke(hubplug, ["cache", "verify", "--help"])
    _import_what_verify_needs()
    output = as_user(12345, act)
    assert "saved_model.pb has sha256" in output
    assert "Cannot mark" in output
    assert "you are uid 12345" in output


def _import_what_verify_needs() -> None:
    import hubplug_cache._contents  # noqa: F401  another user may not be able to


def test_verify_names_every_kind_of_damage(run: Callable[..., Result], root: Path) -> None:
    entry = entry_of(root, TWO)
    (entry / "saved_model.pb").unlink()
    os.mkfifo(entry / "saved_model.pb")
    (entry / "assets/vocab.txt").write_bytes(b"x" * 1000)
    manifest = entry / ".hubplug.json"
    manifest.write_text(manifest.read_text().replace("module/2", "module/3"))
    output = run("verify", TWO).output
    assert "saved_model.pb is a device, pipe or socket" in output
    assert "assets/vocab.txt has sha256" in output
    assert ".hubplug.json does not match the checksum" in output


def test_remove_takes_an_entry_and_its_note(run: Callable[..., Result], root: Path) -> None:
    result = run("remove", ONE, "--grace", "0")
    assert result.exit_code == 0
    assert _names(root) == {entry_of(root, TWO).name}
    assert leftovers(root) == []
    named_twice = run("remove", entry_of(root, TWO).name, TWO, "--grace", "0")
    assert named_twice.exit_code == 0
    assert named_twice.output.count(TWO) == 1
    assert _names(root) == set()


def test_remove_takes_every_entry_that_was_made_from_a_local_archive(run: Callable[..., Result], root: Path) -> None:
    for version in ("17 1234", "18 5678"):
        source = Source(Handle.parse("/x/a.tar.gz"), "/x/a.tar.gz", cache_key=f"/x/a.tar.gz {version}")
        plan = CacheDirectory(str(root)).hubplug_cache(source)
        assert isinstance(plan, Plan)
        plan.run(Origin().producer(source))
    assert len(_names(root)) == 4
    assert run("remove", "/x/a.tar.gz", "--grace", "0").exit_code == 0
    assert _names(root) == {entry_of(root, ONE).name, entry_of(root, TWO).name}


def test_remove_does_not_touch_a_read_only_cache(run: Callable[..., Result], shared: Path) -> None:
    result = run("remove", SHARED)
    assert result.exit_code == 2
    assert "There is no entry for" in result.output
    assert entry_of(shared, SHARED).is_dir()
    assert "read-only" in run("remove", SHARED, "--cache", "shared").output


@pytest.mark.parametrize("text", ["../../outside", "/etc", ".hubplug-locks", "..", "A" * 40])
def test_remove_reaches_nothing_outside_the_cache(text: str, run: Callable[..., Result], root: Path) -> None:
    (root.parent / "outside").mkdir()
    before = sorted(root.parent.rglob("*"))
    assert run("remove", text).exit_code == 2
    assert sorted(root.parent.rglob("*")) == before


@pytest.mark.parametrize("mode", [0o777, 0o1777])
@pytest.mark.parametrize("command", [("remove", ONE, TWO), ("prune", "--max-size", "0")])
def test_an_entry_of_another_user_that_cannot_be_removed_is_named_and_stays(
    mode: int, command: tuple[str, ...], commons: Path
) -> None:
    root = commons / "modules"
    Origin().resolve(CacheDirectory(str(root)), TWO)
    root.chmod(mode)
    mine = entry_of(root, ONE)
    mine.mkdir()
    os.chown(mine, 12345, 12345)

    def act() -> str:
        with Hub({"chain": []}, plugins=[CacheDirectory(str(root))]).activate():
            result = CliRunner().invoke(hubplug, ["cache", *command, "--grace", "0"])
            return f"{result.exit_code} {result.output}"

    CliRunner().invoke(hubplug, ["cache", "remove", "--help"])
    output = as_user(12345, act)
    assert output.startswith("2 "), output
    assert f"Cannot remove {entry_of(root, TWO)}" in output
    assert "you are uid 12345" in output
    assert "removed 1 of its entries" in output
    assert not mine.exists()
    assert find_wrong(entry_of(root, TWO), TWO) is None


def test_remove_of_a_link_leaves_its_target(run: Callable[..., Result], root: Path) -> None:
    outside = root.parent / "outside"
    entry_of(root, TWO).rename(outside)
    entry_of(root, TWO).symlink_to(outside)
    assert run("remove", TWO, "--grace", "0").exit_code == 0
    assert not entry_of(root, TWO).is_symlink()
    assert find_wrong(outside, TWO) is None


def test_a_reader_keeps_what_it_has_open_for_the_grace_period(root: Path) -> None:
    directory = os.open(entry_of(root, TWO), os.O_RDONLY)
    program = "import sys; from hubplug.cli.main import main; sys.exit(main(sys.argv[1:]))"
    remover = subprocess.Popen(
        [sys.executable, "-c", program, "cache", "remove", TWO, "--grace", "3600"],
        cwd=root.parent,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TFHUB_CACHE_DIR": str(root), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    while entry_of(root, TWO).exists():
        assert remover.poll() is None
        time.sleep(0.005)
    time.sleep(0.3)
    file = os.open("saved_model.pb", os.O_RDONLY, dir_fd=directory)
    assert len(os.read(file, 2000)) == 1000
    os.close(file)
    os.close(directory)
    remover.kill()
    remover.wait()


def test_what_was_removed_is_deleted_after_the_grace_period(run: Callable[..., Result], root: Path) -> None:
    directory = os.open(entry_of(root, TWO), os.O_RDONLY)
    began = time.monotonic()
    run("remove", TWO, "--grace", "0.3")
    assert time.monotonic() - began >= 0.3
    with pytest.raises(FileNotFoundError):
        os.open("saved_model.pb", os.O_RDONLY, dir_fd=directory)
    os.close(directory)
    assert leftovers(root) == []


def test_prune_deletes_what_was_left_behind(run: Callable[..., Result], root: Path) -> None:
    (root / f"{'0' * 40}.0.0badcafe.removed").mkdir()
    run("prune", "--max-size", "1GB")
    assert leftovers(root) == []


def test_prune_takes_what_was_not_used_for_long(run: Callable[..., Result], root: Path, shared: Path) -> None:
    _used(entry_of(root, ONE), days_ago=31)
    _used(entry_of(root, TWO), days_ago=29)
    _used(entry_of(shared, SHARED), days_ago=300)
    rows = json.loads(run("prune", "--older-than", "30d", "--dry-run", "--format", "json").output)
    assert [row["key"] for row in rows] == [entry_of(root, ONE).name]
    assert len(_names(root)) == 2
    result = run("prune", "--older-than", "30d", "--grace", "0")
    assert "removed 1 of its entries" in result.output
    assert _names(root) == {entry_of(root, TWO).name}
    assert len(_names(shared)) == 1
    assert leftovers(root) == []


def test_prune_takes_the_least_recently_used_until_the_rest_fits(run: Callable[..., Result], root: Path) -> None:
    _used(entry_of(root, ONE), days_ago=1)
    _used(entry_of(root, TWO), days_ago=2)
    assert run("prune", "--max-size", "20kB", "--grace", "0").exit_code == 0
    assert len(_names(root)) == 2
    assert run("prune", "--max-size", "7KB", "--grace", "0").exit_code == 0
    assert _names(root) == {entry_of(root, ONE).name}
    assert run("prune", "--max-size", "0", "--grace", "0").exit_code == 0
    assert _names(root) == set()


def test_prune_takes_damaged_entries_first(run: Callable[..., Result], root: Path) -> None:
    _used(entry_of(root, ONE), days_ago=100)
    (entry_of(root, TWO) / "saved_model.pb").unlink()
    run("prune", "--max-size", "8KB", "--grace", "0")
    assert _names(root) == {entry_of(root, ONE).name}


def test_a_cache_that_does_not_exist_yet_is_an_empty_one(run: Callable[..., Result], tmp_path: Path) -> None:
    with Hub({"chain": ["cache"], "plugins": {"cache": {"options": {"dir": str(tmp_path / "no")}}}}).activate():
        for command in (("list",), ("verify",), ("prune", "--max-size", "0"), ("path",)):
            assert run(*command).exit_code == 0
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("option", [("--max-size", "much"), ("--older-than", "30"), ("--max-size", "-1"), ()])
def test_prune_says_what_it_does_not_understand(
    option: tuple[str, ...], run: Callable[..., Result], root: Path
) -> None:
    result = run("prune", *option)
    assert result.exit_code == 2
    assert len(_names(root)) == 2


def test_what_an_export_holds_another_cache_can_use(run: Callable[..., Result], tmp_path: Path) -> None:
    assert "3 entries" in run("export", tmp_path / "all.tar").output
    away = tmp_path / "away"
    with Hub({"chain": ["cache"], "plugins": {"cache": {"options": {"dir": str(away)}}}}).activate():
        first, second = run("import", tmp_path / "all.tar"), run("import", tmp_path / "all.tar")
    assert first.exit_code == second.exit_code == 0
    assert "was already there" not in first.output
    assert second.output.count("was already there") == 3
    origin = Origin()
    for handle in (ONE, TWO, SHARED):
        module = origin.resolve(CacheDirectory(str(away)), handle)
        assert find_wrong(module.path, handle) is None
        assert module.provenance is not None
        assert module.provenance.archive_sha256 == "a" * 64
    assert origin.calls == 0
    assert leftovers(away) == []


def test_an_import_says_that_only_the_archive_names_the_handle_of_an_entry(
    run: Callable[..., Result], root: Path, tmp_path: Path
) -> None:
    run("export", tmp_path / "secret.tar", ONE)
    run("export", tmp_path / "plain.tar", TWO)
    said = "warning: 1 entry is kept under the hash of a handle that is not shown in full"
    assert said in run("import", tmp_path / "secret.tar").stderr
    assert run("import", tmp_path / "plain.tar").stderr == ""


def test_an_export_of_chosen_handles_holds_those_alone_and_is_reproducible(
    run: Callable[..., Result], root: Path, tmp_path: Path
) -> None:
    assert "1 entry" in run("export", tmp_path / "a.tar", TWO).output
    _used(entry_of(root, TWO), days_ago=5)
    run("export", tmp_path / "b.tar", TWO)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        key = entry_of(root, TWO).name
        assert tar.getnames()[:2] == ["hubplug-cache.json", f"{key}/.hubplug.json"]
        assert all(name.startswith(f"{key}/") for name in tar.getnames()[1:])
        assert {(member.uid, member.uname, member.mtime) for member in tar.getmembers()} == {(0, "", 0)}


def test_a_damaged_entry_is_not_exported(run: Callable[..., Result], root: Path, tmp_path: Path) -> None:
    (entry_of(root, TWO) / "saved_model.pb").unlink()
    result = run("export", tmp_path / "all.tar")
    assert result.exit_code == 2
    assert "saved_model.pb is missing" in result.output
    assert not [path for path in tmp_path.iterdir() if ".tar" in path.name]


def test_an_entry_that_was_changed_is_not_exported(run: Callable[..., Result], root: Path, tmp_path: Path) -> None:
    (entry_of(root, TWO) / "saved_model.pb").write_bytes(b"x" * 1000)
    result = run("export", tmp_path / "all.tar")
    assert result.exit_code == 2
    assert "saved_model.pb was changed" in result.output


def test_an_export_does_not_carry_a_flipped_bit(run: Callable[..., Result], root: Path, tmp_path: Path) -> None:
    """That of a broken disk, which no time tells."""
    file = entry_of(root, TWO) / "saved_model.pb"
    moment = file.stat().st_mtime_ns
    file.write_bytes(b"x" * 1000)
    os.utime(file, ns=(moment, moment))
    result = run("export", tmp_path / "all.tar", TWO)
    assert result.exit_code == 2
    assert "saved_model.pb is not what was published: expected 1,000 bytes with sha256" in result.output
    assert not [path for path in tmp_path.iterdir() if ".tar" in path.name]


def test_an_entry_of_tensorflow_hub_can_be_carried_as_well(
    run: Callable[..., Result], root: Path, tmp_path: Path
) -> None:
    handle = "https://example.com/old/1?token=canary"
    builder = ModuleBuilder()
    builder.signature(inputs={}, outputs={"default": builder.constant(1.0)})
    write_module(entry_of(root, handle), builder)
    (root / f"{entry_of(root, handle).name}.descriptor.txt").write_text(f"Module: {handle}\nDownload Time: x")
    assert "adopted" in run("list").output
    assert "no digests were recorded" in run("verify").output
    assert run("export", tmp_path / "old.tar", handle).exit_code == 0
    assert b"canary" not in (tmp_path / "old.tar").read_bytes()
    away = tmp_path / "away"
    with Hub({"chain": ["cache"], "plugins": {"cache": {"options": {"dir": str(away)}}}}).activate():
        assert run("import", tmp_path / "old.tar").exit_code == 0
    origin = Origin()
    module = origin.resolve(CacheDirectory(str(away)), handle)
    assert origin.calls == 0
    assert module.provenance is not None


def test_an_export_without_the_name_of_its_archive_is_told_so(run: Callable[..., Result]) -> None:
    result = run("export", "https://user:canary@example.com/one/1")
    assert result.exit_code == 2
    assert "https://example.com/one/1 is not a local path: name the ARCHIVE to write" in result.output


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08" + bytes(2000), b"hubplug-cache.json\0", b"a text\n" * 200])
def test_what_no_export_wrote_is_named_when_it_is_imported(
    content: bytes, run: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "other.tar").write_bytes(content)
    result = run("import", tmp_path / "other.tar")
    assert result.exit_code == 2
    if not content.startswith(b"hubplug"):
        assert f"{tmp_path / 'other.tar'} is not an archive that `hubplug cache export` wrote" in result.output
