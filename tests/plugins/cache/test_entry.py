"""What a cache takes for a hit, and what it leaves to others."""

from __future__ import annotations

import builtins
import hashlib
import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hubplug.errors import CacheError, OfflineError
from hubplug.types import Declined, Handle, Plan, Source
from hubplug_cache import CacheDirectory
from tests.plugins.cache.origin import ARCHIVE_SHA256, Origin, entry_of, find_wrong, leftovers, source_of

HANDLE = "https://example.com/module/1"


def test_a_miss_is_filled_and_the_next_time_is_a_hit(cache: CacheDirectory, root: Path) -> None:
    origin = Origin()
    first = origin.resolve(cache, HANDLE)
    second = origin.resolve(cache, HANDLE)
    assert origin.calls == 1
    assert first.path == second.path == entry_of(root, HANDLE)
    assert find_wrong(second.path, HANDLE) is None
    assert second.provenance == first.provenance
    assert second.provenance is not None
    assert second.provenance.archive_sha256 == ARCHIVE_SHA256
    assert leftovers(root) == []


def test_the_hook_itself_writes_nothing(cache: CacheDirectory, root: Path) -> None:
    plan = cache.hubplug_cache(source_of(HANDLE))
    assert isinstance(plan, Plan)
    assert plan.what == f"fill {entry_of(root, HANDLE)}, which does not exist yet"
    assert not root.exists()


def test_plans_say_whether_they_use_fill_or_fill_again(cache: CacheDirectory) -> None:
    module = Origin().resolve(cache, HANDLE)
    plan = cache.hubplug_cache(source_of(HANDLE))
    assert isinstance(plan, Plan)
    assert plan.what == f"use {module.path}"
    (module.path / "saved_model.pb").unlink()
    plan = cache.hubplug_cache(source_of(HANDLE))
    assert isinstance(plan, Plan)
    assert "fill" in plan.what
    assert "saved_model.pb is missing" in plan.what


def test_names_are_those_of_tensorflow_hub(cache: CacheDirectory, root: Path) -> None:
    Origin().resolve(cache, HANDLE)
    key = hashlib.sha1(HANDLE.encode()).hexdigest()
    assert (root / key / "saved_model.pb").is_file()
    lines = (root / f"{key}.descriptor.txt").read_text().split("\n")
    assert lines[0] == f"Module: {HANDLE}"
    assert lines[1].startswith("Download Time: 20")
    assert lines[2].startswith("Downloader Hostname: ")
    assert lines[2].endswith(f"(PID:{os.getpid()})")
    assert len(lines) == 3


def test_no_secret_of_a_handle_is_written_anywhere(cache: CacheDirectory, root: Path) -> None:
    Origin().resolve(cache, "https://user:canary1@example.com/module/1?token=canary2")
    files = [path for path in root.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if b"canary" in path.read_bytes() or "canary" in path.name]


def test_sources_used_in_place_or_not_cacheable_are_not_its_business(cache: CacheDirectory) -> None:
    source = source_of(HANDLE)
    assert cache.hubplug_cache(replace(source, in_place=True)) is None
    assert cache.hubplug_cache(replace(source, cacheable=False)) is None


def test_a_cache_key_takes_the_place_of_the_handle(cache: CacheDirectory, root: Path) -> None:
    source = Source(Handle.parse("/x/module.tar.gz"), "/x/module.tar.gz", cache_key="/x/module.tar.gz 17 1234")
    plan = cache.hubplug_cache(source)
    assert isinstance(plan, Plan)
    module = plan.run(Origin().producer(source))
    assert module.path.name == hashlib.sha1(b"/x/module.tar.gz 17 1234").hexdigest()


def test_a_rewritten_handle_is_filed_under_the_original_one(cache: CacheDirectory, root: Path) -> None:
    rewritten = Handle.parse(HANDLE).instead("https://mirror.example.com/1")
    plan = cache.hubplug_cache(Source(rewritten, rewritten.text))
    assert isinstance(plan, Plan)
    assert plan.what == f"fill {entry_of(root, HANDLE)}, which does not exist yet"


def test_a_hit_opens_the_manifest_alone_and_writes_nothing(
    cache: CacheDirectory, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Origin().resolve(cache, HANDLE)
    before = sorted((str(path), path.stat().st_mtime_ns) for path in [root, *root.rglob("*")])
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest, **more: opened.append(str(path)) or real(path, *rest, **more))
    monkeypatch.setattr(builtins, "open", lambda file, *rest, **more: os.fdopen(file, *rest))
    Origin().resolve(cache, HANDLE)
    monkeypatch.undo()
    assert opened == [str(entry_of(root, HANDLE) / ".hubplug.json")]
    assert sorted((str(path), path.stat().st_mtime_ns) for path in [root, *root.rglob("*")]) == before


def test_a_hit_imports_nothing_heavy(cache: CacheDirectory, root: Path) -> None:
    Origin().resolve(cache, HANDLE)
    program = (
        "import sys; from hubplug_cache import CacheDirectory; from hubplug.types import Handle, Source\n"
        f"c = CacheDirectory({str(root)!r}); h = Handle.parse({HANDLE!r})\n"
        "plan = c.hubplug_cache(Source(h, h.text)); assert plan.what.startswith('use ')\n"
        "plan.run(None)\n"
        "print(*sorted({'filelock', 'platformdirs', 'requests', 'click', 'hubplug_format', 'google'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=_env())
    assert done.stdout.strip() == ""


def test_a_read_only_cache_uses_what_it_has_and_declines_the_rest(cache: CacheDirectory, root: Path) -> None:
    Origin().resolve(cache, HANDLE)
    shared = CacheDirectory(str(root), read_only=True)
    origin = Origin()
    assert origin.resolve(shared, HANDLE).path == entry_of(root, HANDLE)
    assert origin.calls == 0
    missing = shared.hubplug_cache(source_of("https://example.com/other"))
    key = entry_of(root, "https://example.com/other").name
    assert isinstance(missing, Declined)
    assert missing.reason == f"{root} has no entry for https://example.com/other ({key})"


def test_a_read_only_cache_that_does_not_exist_says_so(tmp_path: Path) -> None:
    answer = CacheDirectory(str(tmp_path / "no"), read_only=True).hubplug_cache(source_of(HANDLE))
    assert isinstance(answer, Declined)
    assert "there is no such directory" in answer.reason
    assert not (tmp_path / "no").exists()


def test_a_read_only_cache_leaves_a_damaged_entry_to_others_with_one_warning(
    cache: CacheDirectory, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    module = Origin().resolve(cache, HANDLE)
    (module.path / "variables/variables.index").unlink()
    shared = CacheDirectory(str(root), read_only=True)
    shared.hubplug_cache(source_of(HANDLE))
    answer = shared.hubplug_cache(source_of(HANDLE))
    (warning,) = caplog.records
    assert f"{module.path}, in a read-only cache, is damaged" in warning.getMessage()
    assert isinstance(answer, Declined)
    assert "variables/variables.index is missing" in answer.reason


def test_the_pinned_digest_must_be_the_recorded_one(cache: CacheDirectory) -> None:
    origin = Origin()
    origin.resolve(cache, HANDLE)
    origin.resolve(cache, f"{HANDLE}#sha256={ARCHIVE_SHA256}")
    assert origin.calls == 1
    other = Origin(archive_sha256="b" * 64)
    module = other.resolve(cache, f"{HANDLE}#sha256={'b' * 64}")
    assert other.calls == 1
    assert module.provenance is not None
    assert module.provenance.archive_sha256 == "b" * 64


def test_an_entry_that_is_not_the_pinned_one_stays_when_the_pinned_one_cannot_be_had(cache: CacheDirectory) -> None:
    origin = Origin()
    module = origin.resolve(cache, HANDLE)
    source = source_of(f"{HANDLE}#sha256={'b' * 64}")
    with pytest.raises(OfflineError, match="is not the pinned one: .*" + "a" * 64 + ".*" + "b" * 64):
        _plan(cache, source).run(_offline)
    assert find_wrong(module.path, HANDLE) is None
    origin.resolve(cache, HANDLE)
    assert origin.calls == 1


def test_another_handle_under_the_same_key_is_an_error(cache: CacheDirectory, root: Path) -> None:
    module = Origin().resolve(cache, HANDLE)
    module.path.rename(entry_of(root, "https://example.com/other"))
    with pytest.raises(CacheError, match=f"holds {HANDLE} .*asked for https://example.com/other .*two handles"):
        Origin().resolve(cache, "https://example.com/other")
    with pytest.raises(CacheError, match="two handles"):
        CacheDirectory(str(root), read_only=True).hubplug_cache(source_of("https://example.com/other"))


def test_a_forged_manifest_is_an_error(cache: CacheDirectory) -> None:
    module = Origin().resolve(cache, HANDLE)
    manifest = module.path / ".hubplug.json"
    forged = {**json.loads(manifest.read_text()), "handle": "https://example.com/evil", "handle_sha256": "0" * 64}
    manifest.write_text(json.dumps(forged))
    with pytest.raises(CacheError, match="two handles"):
        Origin().resolve(cache, HANDLE)


def test_hidden_files_of_file_managers_are_no_damage(cache: CacheDirectory) -> None:
    origin = Origin()
    module = origin.resolve(cache, HANDLE)
    (module.path / ".DS_Store").write_bytes(b"x")
    (module.path / "variables/.nfs0001").write_bytes(b"x")
    origin.resolve(cache, HANDLE)
    assert origin.calls == 1


def test_a_cache_can_be_sent_to_another_process(cache: CacheDirectory, root: Path) -> None:
    module = Origin().resolve(cache, HANDLE)
    copy = pickle.loads(pickle.dumps(cache))
    origin = Origin()
    assert origin.resolve(copy, HANDLE).path == module.path
    assert origin.calls == 0


def _offline(dest: Path) -> None:
    raise OfflineError("https://example.com/module/1 is not here, and hubplug is offline")


def _plan(cache: CacheDirectory, source: Source) -> Plan:
    plan = cache.hubplug_cache(source)
    assert isinstance(plan, Plan)
    return plan


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
