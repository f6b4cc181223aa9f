"""Export publishes a whole module or nothing."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hubplug.errors import ExportError, OccupiedError
from hubplug.files import in_place, owners, staging


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_the_body_wrote_is_in_its_place_at_the_end_and_not_before(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "module"
    with staging.publish(str(target), ExportError) as dest:
        (dest / "a").write_text("x")
        assert not target.exists()
    assert (target / "a").read_text() == "x"
    assert names(target.parent) == ["module"]


def test_the_directory_has_the_mode_that_any_new_one_has(tmp_path: Path) -> None:
    with staging.publish(str(tmp_path / "m"), ExportError):
        pass
    (tmp_path / "ordinary").mkdir()
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == stat.S_IMODE((tmp_path / "ordinary").stat().st_mode)


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    with staging.publish(str(tmp_path / "m"), ExportError) as dest:
        (dest / "a").write_text("x")
    assert names(tmp_path / "m") == ["a"]


def test_an_empty_working_directory_is_filled_and_stays_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    moved: list[str] = []
    move = in_place._move
    monkeypatch.setattr(in_place, "_move", lambda path, there: moved.append(path.name) or move(path, there))
    with staging.publish(".", ExportError) as dest:
        for name in ("tfhub_module.pb", "variables/index", "saved_model.pb", "assets/a"):
            (dest / name).parent.mkdir(exist_ok=True)
            (dest / name).write_text("x")
        with pytest.raises(ExportError, match="exists already"), staging.publish(".", ExportError):
            pass
    assert Path.cwd() == tmp_path
    assert names(Path()) == ["assets", "saved_model.pb", "tfhub_module.pb", "variables"]
    assert moved == ["assets", "variables", "saved_model.pb", "tfhub_module.pb"]


def test_a_working_directory_that_is_written_to_meanwhile_keeps_only_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExportError, match="b came to be there meanwhile"), staging.publish(".", ExportError) as dest:
        for folder, text in ((dest, "new"), (tmp_path, "mine")):
            (folder / "b").write_text(text)
        (dest / "a").write_text("new")
    assert names(tmp_path) == ["b"]
    assert (tmp_path / "b").read_text() == "mine"


OWN = ("assets", "variables", "saved_model.pb", "tfhub_module.pb")


def write_module(dest: Path, text: str = "new") -> None:
    for name in ("assets", "variables"):
        (dest / name).mkdir()
    for name in ("variables/index", "saved_model.pb", "tfhub_module.pb"):
        (dest / name).write_text(text)


@pytest.mark.parametrize("linked", [False, True])
def test_a_directory_with_other_names_is_filled_among_them(tmp_path: Path, linked: bool) -> None:
    (tmp_path / "m" / "checkpoints").mkdir(parents=True)
    (tmp_path / "m" / "vocab.txt").write_text("mine")
    target = tmp_path / "m"
    if linked:
        target = tmp_path / "link"
        target.symlink_to(tmp_path / "m")
    with staging.publish(str(target), ExportError, OccupiedError, OWN) as dest:
        write_module(dest)
        assert not {*OWN} & {*names(target)}
    assert names(tmp_path / "m") == sorted([*OWN, "checkpoints", "vocab.txt"])
    assert (target / "vocab.txt").read_text() == "mine"
    assert target.is_symlink() == linked


@pytest.mark.parametrize("taken", OWN)
@pytest.mark.parametrize("kind", ["file", "directory", "dangling"])
def test_a_directory_with_one_of_these_names_is_refused_at_once(tmp_path: Path, taken: str, kind: str) -> None:
    (tmp_path / "other").write_text("x")
    if kind == "dangling":
        (tmp_path / taken).symlink_to(tmp_path / "nowhere")
    else:
        (tmp_path / taken).mkdir() if kind == "directory" else (tmp_path / taken).write_text("mine")
    with (
        pytest.raises(OccupiedError, match=f"exists already and has {taken} in it; nothing was written") as raised,
        staging.publish(str(tmp_path), ExportError, OccupiedError, OWN),
    ):
        pytest.fail("the body ran")
    assert raised.value.hint == "choose another directory, or remove these"
    assert names(tmp_path) == sorted(["other", taken])


@pytest.mark.parametrize("taken", OWN)
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_name_that_is_taken_meanwhile_stays_and_nothing_comes_to_it(tmp_path: Path, taken: str, kind: str) -> None:
    (tmp_path / "other").write_text("x")
    with (
        pytest.raises(OccupiedError, match=f"{taken} came to be there meanwhile"),
        staging.publish(str(tmp_path), ExportError, OccupiedError, OWN) as dest,
    ):
        write_module(dest)
        (tmp_path / taken).mkdir() if kind == "directory" else (tmp_path / taken).write_text("theirs")
    assert names(tmp_path) == sorted(["other", taken])
    assert kind == "directory" or (tmp_path / taken).read_text() == "theirs"


def test_a_kill_at_any_step_of_the_move_leaves_no_module(tmp_path: Path) -> None:
    """At each call of the system that moves: what is there has not all of a module, or all of it."""
    code = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from hubplug.errors import ExportError
        from hubplug.files import in_place, staging
        from tests.core.test_staging import OWN, write_module
        left = int(sys.argv[2])
        def counted(function):
            def call(*arguments, **named):
                global left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **named)
            return call
        with staging.publish(sys.argv[1], ExportError, None, OWN) as dest:
            write_module(dest)
            for owner, name in ((Path, "mkdir"), (Path, "rename"), (Path, "unlink"), (os, "link")):
                setattr(owner, name, counted(getattr(owner, name)))
    """)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for step in range(20):
        target = tmp_path / str(step)
        target.mkdir()
        (target / "other").write_text("mine")
        done = subprocess.run([sys.executable, "-c", code, str(target), str(step)], env=environment, check=False)
        if (target / "tfhub_module.pb").exists():
            assert {*OWN, "other"} <= {*names(target)}
            assert names(target / "variables") == ["index"]
        assert (target / "other").read_text() == "mine"
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert done.returncode == 0
    assert step >= 8


def test_of_several_that_fill_one_directory_at_once_one_succeeds_whole(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("mine")
    together = threading.Barrier(8)

    def fill(number: int) -> str:
        try:
            with staging.publish(str(tmp_path), ExportError, OccupiedError, OWN) as dest:
                write_module(dest, str(number))
                together.wait()
        except OccupiedError:
            return "occupied"
        return str(number)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(fill, range(8)))
    assert results.count("occupied") == 7
    (winner,) = {*results} - {"occupied"}
    assert names(tmp_path) == sorted([*OWN, "other"])
    for name in ("variables/index", "saved_model.pb", "tfhub_module.pb"):
        assert (tmp_path / name).read_text() == winner


def test_a_file_system_without_hard_links_is_filled_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "other").write_text("mine")
    with staging.publish(str(tmp_path), ExportError, OccupiedError, OWN) as dest:
        write_module(dest)
    assert names(tmp_path) == sorted([*OWN, "other"])


def test_what_a_killed_process_left_in_the_working_directory_does_not_occupy_it(tmp_path: Path) -> None:
    code = "import os, signal\nfrom hubplug.files import staging\n"
    code += "with staging.publish('.', RuntimeError):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert len(names(tmp_path)) == 1
    code = code.replace("os.kill(os.getpid(), signal.SIGKILL)", "pass")
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert names(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_empty_directory_below_one_that_may_not_be_written_is_filled(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    tmp_path.chmod(0o555)
    try:
        with staging.publish(str(tmp_path / "m"), ExportError) as dest:
            (dest / "a").write_text("x")
    finally:
        tmp_path.chmod(0o755)
    assert names(tmp_path / "m") == ["a"]


@pytest.mark.parametrize("kind", ["full", "file", "link", "dangling"])
def test_what_is_there_is_never_written_over(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "m"
    (tmp_path / "other").mkdir()
    if kind == "full":
        target.mkdir()
        (target / "mine").write_text("x")
    elif kind == "file":
        target.write_text("x")
    elif kind == "link":
        target.symlink_to(tmp_path / "other")
    else:
        target.symlink_to(tmp_path / "nowhere")
    before = names(tmp_path)
    with (
        pytest.raises(ExportError, match="exists already; nothing was written") as raised,
        staging.publish(str(target), ExportError),
    ):
        pytest.fail("the body ran")
    assert raised.value.hint
    assert names(tmp_path) == before
    assert names(tmp_path / "other") == []


def test_what_appears_in_the_meantime_is_not_written_over_either(tmp_path: Path) -> None:
    target = tmp_path / "m"
    with (
        pytest.raises(ExportError, match="cannot be put in its place"),
        staging.publish(str(target), ExportError) as dest,
    ):
        (dest / "a").write_text("x")
        target.mkdir()
        (target / "theirs").write_text("y")
    assert names(target) == ["theirs"]
    assert names(tmp_path) == ["m"]


def test_a_body_that_raises_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staging.publish(str(tmp_path / "m"), ExportError) as dest:
        (dest / "a").write_text("x")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_url_is_no_place_for_a_rename(tmp_path: Path) -> None:
    with (
        pytest.raises(ExportError, match="gs://bucket/m is not a local path") as raised,
        staging.publish("gs://user:canary@bucket/m", ExportError),
    ):
        pytest.fail("the body ran")
    assert "canary" not in str(raised.value)


def test_a_parent_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExportError, match="cannot be made"), staging.publish(str(tmp_path / "file" / "m"), ExportError):
        pytest.fail("the body ran")


def test_a_name_that_the_system_does_not_take_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="cannot be made"), staging.publish(str(tmp_path / ("m" * 300)), ExportError):
        pytest.fail("the body ran")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read anywhere")
def test_a_parent_that_may_be_written_and_not_be_read_takes_directories_and_files(tmp_path: Path) -> None:
    tmp_path.chmod(0o300)
    try:
        with staging.publish(str(tmp_path / "m"), ExportError) as dest:
            (dest / "a").write_text("x")
        with staging.replace_file(tmp_path / "b") as file:
            file.write(b"x")
    finally:
        tmp_path.chmod(0o700)
    assert names(tmp_path) == ["b", "m"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_parent_that_may_not_be_written_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ExportError, match="cannot be made"), staging.publish(str(tmp_path / "m"), ExportError):
        pytest.fail("the body ran")


def test_a_disk_that_is_full_is_an_error_of_the_export(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="No space left on device"), staging.publish(str(tmp_path / "m"), ExportError):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(tmp_path) == []


def test_a_kill_in_the_middle_leaves_no_module_in_the_place_and_the_next_export_succeeds(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom hubplug.files import staging\nfrom hubplug.errors import ExportError\n"
        "with staging.publish(sys.argv[1], ExportError) as dest:\n"
        "    (dest / 'half').write_text('x')\n    print('half', flush=True)\n    time.sleep(60)\n"
    )
    target = tmp_path / "m"
    with subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not target.exists()
    with staging.publish(str(target), ExportError) as dest:
        (dest / "whole").write_text("x")
    assert names(target) == ["whole"]
    assert names(tmp_path) == ["m"]


@pytest.mark.parametrize("again", ["a directory", "a file", "the directory itself"])
def test_what_a_killed_process_left_is_deleted_by_whatever_is_put_into_that_directory_next(
    tmp_path: Path, again: str
) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom hubplug.files import staging\n"
        "from hubplug.errors import ExportError\n"
        "with staging.publish(sys.argv[1], ExportError) as dest, staging.replace_file(Path(sys.argv[2])) as file:\n"
        "    (dest / 'half').write_text('x')\n    print('half', flush=True)\n    time.sleep(60)\n"
    )
    place = tmp_path / "place"
    place.mkdir()
    command = [sys.executable, "-c", code, str(place / "m"), str(place / "m.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        live = names(place)
        with staging.publish(str(place / "first"), ExportError):
            assert set(live) < set(names(place))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert names(place) == sorted([*live, "first"])
    if again == "a directory":
        with staging.publish(str(place / "other"), ExportError):
            pass
    elif again == "a file":
        with staging.replace_file(place / "other"):
            pass
    else:
        (place / "first").rmdir()
        before = Path.cwd()
        os.chdir(place)
        try:
            with staging.publish(str(place), ExportError) as dest:
                (dest / "other").mkdir()
        finally:
            os.chdir(before)
    assert set(names(place)) <= {"first", "other"}


def test_only_what_the_dead_left_is_deleted(tmp_path: Path) -> None:
    with staging.publish(str(tmp_path / "live"), ExportError) as first:
        (first / "a").write_text("first")
        dead = shutil.copytree(first, tmp_path / f".live.here.999999999.1.{owners.machine_id()}.17.deadbeef.partial")
        others = [tmp_path / ".live.partial", tmp_path / first.name.replace("partial", "part"), tmp_path / "live2"]
        for other in others:
            other.mkdir()
        link = first.with_name(f"{first.name[:-16]}linklink.partial")
        link.symlink_to(others[0])
        with pytest.raises(KeyError), staging.publish(str(tmp_path / "live"), ExportError):
            assert first.exists()
            assert not dead.exists()
            raise KeyError
        assert link.is_symlink()
        assert all(other.is_dir() for other in others)
    assert (tmp_path / "live" / "a").read_text() == "first"


@pytest.mark.parametrize(("age", "left"), [(0, True), (3600, False)])
def test_what_another_machine_fills_is_left_alone_until_it_is_quiet(tmp_path: Path, age: int, left: bool) -> None:
    theirs = tmp_path / ".m.elsewhere.1.1.00000000.17.deadbeef.partial"
    theirs.mkdir()
    (theirs / "a").write_text("x")
    for path in (theirs / "a", theirs):
        os.utime(path, (time.time() - age, time.time() - age))
    with staging.publish(str(tmp_path / "m"), ExportError):
        assert theirs.exists() is left


def test_a_file_that_another_machine_renames_while_it_is_looked_at_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / ".m.elsewhere.1.1.00000000.17.deadbeef.partial"
    theirs.mkdir()
    (theirs / "a.tmp").write_text("x")
    real_walk = os.walk

    def walk(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        for found in real_walk(root):
            if root == theirs:
                (theirs / "a.tmp").rename(theirs / "a")
            yield found

    monkeypatch.setattr(os, "walk", walk)
    with staging.publish(str(tmp_path / "m"), ExportError) as dest:
        (dest / "b").write_text("x")
    assert names(theirs) == ["a"]
    assert names(tmp_path / "m") == ["b"]


@pytest.mark.parametrize("lock", ["not yet", "never"])
def test_what_a_living_process_has_not_locked_is_left_alone(
    lock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_flock = fcntl.flock
    inside = []

    def flock(descriptor: int, operation: int) -> None:
        if lock == "never":
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        if not inside:
            inside.append(descriptor)
            with staging.publish(str(tmp_path / "other"), ExportError):
                pass
        real_flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with staging.publish(str(tmp_path / "m"), ExportError) as dest:
        with staging.publish(str(tmp_path / "second"), ExportError):
            pass
        (dest / "a").write_text("x")
    assert names(tmp_path / "m") == ["a"]
    assert names(tmp_path) == sorted(["m", "second", *(["other"] if inside else [])])


def test_every_file_is_on_the_disk_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real_fsync, real_rename = os.fsync, Path.rename

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", lambda *a: (synced.append("RENAME"), real_rename(*a)))
    with staging.publish(str(tmp_path / "m"), ExportError) as dest:
        (dest / "d").mkdir()
        (dest / "d" / "inner").write_text("x")
        (dest / "outer").write_text("x")
    before = synced[: synced.index("RENAME")]
    assert {"inner", "outer", "d"} <= set(before)
    assert synced[-1] == tmp_path.name


def test_a_file_is_in_its_place_at_the_end_and_not_before(tmp_path: Path) -> None:
    target = tmp_path / "archive.tar"
    target.write_bytes(b"old")
    with staging.replace_file(target) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    (tmp_path / "ordinary").touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE((tmp_path / "ordinary").stat().st_mode)
    assert names(tmp_path) == ["archive.tar", "ordinary"]


def test_what_is_a_pipe_or_open_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe, stdout, there = tmp_path / "pipe", tmp_path / "stdout", tmp_path / "there"
    os.mkfifo(pipe)
    with there.open("wb") as opened, open(os.open(pipe, os.O_RDWR | os.O_NONBLOCK), "rb", buffering=0) as reader:
        stdout.symlink_to(f"/proc/self/fd/{opened.fileno()}")
        for target in (pipe, stdout):
            with staging.replace_file(target) as file:
                file.write(b"new")
        assert reader.read(3) == b"new"
    assert there.read_bytes() == b"new"
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert stdout.is_symlink()


def test_a_link_is_replaced_and_what_it_names_stays(tmp_path: Path) -> None:
    (tmp_path / "own").write_bytes(b"old")
    (tmp_path / "link").symlink_to("own")
    with staging.replace_file(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "own").read_bytes() == b"old"
    assert (tmp_path / "link").read_bytes() == b"new"


def test_a_file_whose_body_raises_is_not_there_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staging.replace_file(tmp_path / "archive.tar") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_file_is_on_the_disk_before_the_rename_and_its_name_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    did: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        did.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real_fsync(descriptor)

    def replaced(path: Path, target: Path) -> Path:
        did.append("RENAME")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replaced)
    with staging.replace_file(tmp_path / "a") as file:
        file.write(b"x")
        name = Path(file.name).name
    assert did == [name, "RENAME", tmp_path.name]


def test_what_a_killed_writer_left_is_deleted_by_the_next_one_and_a_live_one_is_left_alone(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom hubplug.files import staging\n"
        "with staging.replace_file(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half')\n    file.flush()\n    print('half', flush=True)\n    time.sleep(60)\n"
    )
    target = tmp_path / "archive.tar"
    with subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        (theirs,) = names(tmp_path)
        with staging.replace_file(target) as file:
            file.write(b"mine")
        assert names(tmp_path) == sorted([theirs, "archive.tar"])
        process.send_signal(signal.SIGKILL)
        process.wait()
    (tmp_path / ".archive.tar.partial").write_bytes(b"somebody's own")
    with staging.replace_file(target) as file:
        file.write(b"whole")
    assert names(tmp_path) == [".archive.tar.partial", "archive.tar"]
    assert target.read_bytes() == b"whole"


@pytest.mark.parametrize(("age", "left"), [(0, True), (3600, False)])
def test_a_file_that_another_machine_writes_is_left_alone_until_it_is_quiet(
    tmp_path: Path, age: int, left: bool
) -> None:
    theirs = tmp_path / ".a.elsewhere.1.1.00000000.17.deadbeef.partial"
    theirs.write_bytes(b"x")
    os.utime(theirs, (time.time() - age, time.time() - age))
    with staging.replace_file(tmp_path / "a"):
        assert theirs.exists() is left


def test_a_pipe_or_a_link_with_the_name_of_a_left_over_file_is_left_alone(tmp_path: Path) -> None:
    with staging.replace_file(tmp_path / "a") as file:
        prefix = file.name[:-16]
    (tmp_path / "mine").write_bytes(b"x")
    Path(f"{prefix}linklink.partial").symlink_to(tmp_path / "mine")
    os.mkfifo(f"{prefix}pipepipe.partial")
    with staging.replace_file(tmp_path / "a"):
        pass
    assert len(names(tmp_path)) == 4
