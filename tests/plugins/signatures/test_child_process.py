"""The checks that read files run in a child process with limits, and never fail open."""

from __future__ import annotations

import random
import subprocess
import sys
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

from hubplug.errors import ConfigError
from hubplug.spec import ModuleSpec
from hubplug_format import ModuleBuilder, message_class, write_module
from hubplug_signatures import CommonSignatures
from hubplug_signatures._answers import ask_child
from tests.plugins.signatures.conftest import spec_of, text_builder


class Somewhere(ModuleSpec):
    """A spec of which only the directory matters."""

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory


def validate(directory: Path | None, profile: str, **options: Any) -> list[Any]:
    found = CommonSignatures(**options).hubplug_validate(Somewhere(directory), profile)
    assert found is not None
    return found


@pytest.mark.parametrize("profile", ["complete", "safe"])
def test_a_good_module_is_clean(text_module: Path, profile: str) -> None:
    assert CommonSignatures().hubplug_validate(spec_of(text_module), profile) == []


def test_findings_come_back_whole(tmp_path: Path) -> None:
    builder = ModuleBuilder(["train"])
    builder.node("ReadFile", name="bad")
    write_module(tmp_path / "m", builder)
    (finding,) = validate(tmp_path / "m", "safe")
    assert (finding.rule, finding.level, finding.tags, finding.where) == (
        "safe/reads-files",
        "error",
        frozenset({"train"}),
        "node 'bad'",
    )
    (allowed,) = validate(tmp_path / "m", "safe", allow_ops=["ReadFile"])
    assert (allowed.rule, allowed.level, allowed.where) == ("safe/allowed-op", "note", "node 'bad'")


def test_a_relative_directory_is_found(text_module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(text_module.parent)
    assert validate(Path(text_module.name), "safe") == []


@pytest.mark.parametrize("profile", ["complete", "safe"])
def test_a_spec_without_files_is_not_clean(profile: str) -> None:
    (finding,) = validate(None, profile)
    assert (finding.rule, finding.level) == (f"{profile}/not-checked", "error")


def test_a_child_that_takes_too_long_is_an_error(text_module: Path) -> None:
    (finding,) = validate(text_module, "safe", timeout=0.001)
    assert finding.rule == "safe/not-checked"
    assert "took more than 0.001 s" in finding.message


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux only")
@pytest.mark.parametrize(
    "options",
    [{"memory_mib": -1}, {"memory_mib": 0}, {"memory_mib": 1 << 60}, *({"timeout": n} for n in (-1, nan, inf, 1e300))],
    ids=str,
)
def test_what_is_no_limit_is_refused(options: dict[str, Any]) -> None:
    """A negative one would let the child use everything."""
    with pytest.raises(ConfigError, match=f"{next(iter(options))}: expected a number above 0"):
        CommonSignatures(**options)


def test_a_child_that_takes_too_much_memory_is_an_error(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    node = builder.meta_graph.graph_def.node.add(name="big", op="Const")
    node.attr["value"].tensor.tensor_content = bytes(200 << 20)
    path = tmp_path / "m"
    path.mkdir()
    model = message_class("SavedModel")(meta_graphs=[builder.meta_graph])
    (path / "saved_model.pb").write_bytes(model.SerializeToString())
    (finding,) = validate(path, "safe", memory_mib=300)
    assert (finding.rule, finding.level) == ("safe/not-checked", "error")


def test_damaged_models_are_findings(text_module: Path) -> None:
    path = text_module / "saved_model.pb"
    good = path.read_bytes()
    chooser = random.Random(11)
    for _ in range(4):
        path.write_bytes(good[: chooser.randrange(1, len(good) - 1)])
        assert [finding.level for finding in validate(text_module, "safe")] == ["error"]


def test_the_child_imports_no_tensorflow_and_opens_nothing_outside_the_module(text_module: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "sys.modules['tensorflow'] = None\n"
        "from hubplug_signatures._scan import scan_directory\n"
        "from hubplug_signatures._complete import check_directory\n"
        "import google.protobuf.text_format\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "scan_directory(root); check_directory(root)\n"
        "seen = []\n"
        "sys.addaudithook(lambda event, args: seen.append((event, args)) if event in\n"
        "    ('import', 'exec', 'socket.connect', 'subprocess.Popen', 'os.mkdir', 'os.rename', 'os.remove')\n"
        "    or event == 'open' and not (isinstance(args[0], int) or str(args[0]).startswith(str(root))) else None)\n"
        "print(len(scan_directory(root)), len(check_directory(root)), seen)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(text_module)], capture_output=True, text=True, check=True)
    assert done.stdout == "0 0 []\n"


def scanning_seconds(directory: Path) -> float:
    """Processor time of the child, which does not depend on what else the machine does."""
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert validate(directory, "safe") == []
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return float(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def test_a_hundred_megabytes_are_scanned_within_five_seconds(tmp_path: Path) -> None:
    builder = text_builder()
    node = builder.meta_graph.graph_def.node.add(name="big", op="Const")
    node.attr["value"].tensor.tensor_content = bytes(100_000_000)
    write_module(tmp_path / "m", builder)
    assert scanning_seconds(tmp_path / "m") < 5


def test_a_hundred_thousand_nodes_are_scanned_within_five_seconds(tmp_path: Path) -> None:
    builder = text_builder()
    for number in range(100_000):
        node = builder.meta_graph.graph_def.node.add(name=f"layer_{number}/MatMul", op="MatMul")
        node.input.extend([f"layer_{number - 1}/MatMul"] * 2)
        node.attr["T"].type = 1
        node.attr["_output_shapes"].list.shape.add().dim.add(size=-1)
    write_module(tmp_path / "m", builder)
    assert scanning_seconds(tmp_path / "m") < 5


@pytest.mark.parametrize("program", ["print('[')", "print('[' * 100_000)", "raise SystemExit('the last line')"])
def test_a_child_that_gives_no_result_has_no_findings(program: str) -> None:
    problem, findings = ask_child(program, b"x" * 1_000_000, 60)
    assert findings == []
    assert ("the last line" if "last" in program else "the process gave no result") in (problem or "")
