"""A conversion is kept when it gives what its source gives, and otherwise nothing is written. Conversions of a third party."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from hubplug.testing import write_tiny_module
from hubplug_format import ModuleBuilder, write_module
from tests.plugins.convert.conftest import Convert
from tests.plugins.convert.toys import Good


def test_a_good_one_is_kept_with_a_report(convert: Convert, module: Path, tmp_path: Path) -> None:
    status, report = convert(module, tmp_path / "out", "--to", "Good", "--json")
    assert (status, report["written"], report["problems"], report["notes"]) == (0, True, [], ["It is a toy."])
    about = report["signatures"]["default"]
    assert about["calls_compared"] >= 10
    assert about["outputs"] == {"default": 0.0}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["numbers.json"]
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("WrongForLargeOnes", "large as float32: output 'default' is "),
        ("WrongByLittle", "signature 'default', ordinary values, a batch of 3: output 'default' is "),
        ("WrongDtype", "output 'default' has the dtype float64, and float32 in the source"),
        ("WithoutTheOutput", "the result has no output 'default', only other"),
        ("Random", "output 'default': the source gives other values each time"),
        (
            "RefusesTheEmptyBatch",
            "an empty batch: the result refuses what the source takes: ValueError: an empty batch",
        ),
        ("Crashes", "not a number as float32: the process of the result crashed: the process was ended by SIGABRT"),
        ("RefersToTheSource", "more.json of the result refers to files of the source"),
    ],
)
def test_one_that_is_not_the_same_is_not_kept(
    target: str, said: str, convert: Convert, module: Path, tmp_path: Path
) -> None:
    status, report = convert(module, tmp_path / "out", "--to", target, "--json")
    assert (status, report["written"]) == (1, False)
    assert any(said in problem for problem in report["problems"]), report["problems"]
    assert [path.name for path in tmp_path.iterdir()] == ["module"]
    if target.startswith("Wrong"):
        assert report["signatures"]["default"]["outputs"]["default"] not in (0, 0.0)


def test_what_differs_for_extreme_numbers_only_can_be_had_for_finite_ones(
    convert: Convert, module: Path, tmp_path: Path
) -> None:
    status, said = convert(module, tmp_path / "out", "--to", "WrongForLargeOnes")
    assert status == 1
    assert "--finite leaves them out" in said.splitlines()[-1]
    status, report = convert(module, tmp_path / "out", "--to", "WrongForLargeOnes", "--finite", "--json")
    assert (status, report["written"], report["finite"], report["problems"]) == (0, True, True, [])
    status, said = convert(module, tmp_path / "other", "--to", "WrongByLittle", "--finite")
    assert status == 1
    assert "not compared (--finite)" in said
    assert "leaves them out" not in said


def test_people_read_which_output_differs_by_how_much_and_on_what(
    convert: Convert, module: Path, tmp_path: Path
) -> None:
    status, said = convert(module, tmp_path / "out", "--to", "WrongByLittle")
    assert status == 1
    assert "largest difference" in said
    assert "inputs: x = [" in said
    assert said.splitlines()[-1].startswith(f"{tmp_path / 'out'}: not written, since it is not the same as {module}")


def test_what_the_source_refuses_or_crashes_on_is_said_and_no_mistake(
    convert: Convert, module: Path, tmp_path: Path
) -> None:
    status, report = convert(module, tmp_path / "a", "--to", "AnswersWhatTheSourceRefuses", "--json")
    assert status == 0
    assert report["signatures"]["default"]["refused_by_source_only"] == [
        "ordinary values, an empty batch: ValueError: an empty batch"
    ]
    status, report = convert(module, tmp_path / "b", "--to", "SourceCrashes", "--json")
    assert status == 0
    (crash,) = report["signatures"]["default"]["refused_by_source_only"]
    assert crash.startswith("not a number as float32: the process was ended by SIGABRT")


def test_inputs_that_a_target_cannot_express_are_listed(convert: Convert, module: Path, tmp_path: Path) -> None:
    status, report = convert(module, tmp_path / "out", "--to", "CannotExpressNaN", "--json")
    assert (status, report["problems"]) == (0, [])
    assert report["signatures"]["default"]["not_expressible"] == [
        "not a number as float32: NotExpressibleError: there is no NaN in it"
    ]


def test_a_result_that_is_said_to_run_without_tensorflow_does(convert: Convert, module: Path, tmp_path: Path) -> None:
    status, report = convert(module, tmp_path / "good", "--to", "WithoutTensorFlow", "--json")
    assert (status, report["written"]) == (0, True)
    status, error = convert(module, tmp_path / "bad", "--to", "NotWithoutTensorFlow")
    assert status == 2
    assert "says that its results run without TensorFlow, and imported it to run one" in error
    assert not (tmp_path / "bad").exists()


@pytest.mark.skipif(find_spec("tf2onnx") is not None, reason="the extra onnx is installed")
def test_what_a_target_needs_is_said(convert: Convert, module: Path, tmp_path: Path) -> None:
    status, error = convert(module, tmp_path / "out", "--to", "onnx")
    assert status == 2
    assert "pip install 'hubplug[onnx]'" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("CannotConvert", "error: The conversion failed: ValueError: no rule for the op Frobnicate"),
        ("WritesNothing", "error: The conversion to WritesNothing wrote nothing"),
        ("Unfinished", "has no open()"),
        ("God", "did you mean 'Good'?"),
    ],
)
def test_one_that_cannot_be_made_leaves_nothing(
    target: str, said: str, convert: Convert, module: Path, tmp_path: Path
) -> None:
    status, error = convert(module, tmp_path / "out", "--to", target)
    assert status == 2
    assert said in error
    assert [path.name for path in tmp_path.iterdir()] == ["module"]


def test_a_place_that_is_taken_is_refused_before_anything_runs(convert: Convert, module: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").touch()
    status, error = convert(module, tmp_path / "out", "--to", "CannotConvert")
    assert status == 2
    assert "exists already" in error
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["file"]


def test_what_takes_too_long_is_ended(convert: Convert, module: Path, tmp_path: Path) -> None:
    status, error = convert(module, tmp_path / "out", "--to", "Waits", "--timeout", "3")
    assert status == 2
    assert "it took more than 3 s" in error
    assert {path.name for path in tmp_path.iterdir()} <= {"module", "waiting"}


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_ctrl_c_leaves_nothing(module: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    program = "from hubplug.cli.main import main; main()"
    arguments = ["convert", str(module), str(tmp_path / "out"), "--to", "Waits"]
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], env=environment, stderr=subprocess.PIPE)
    while not (tmp_path / "waiting").exists():
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said.strip().splitlines()[-1]) == (130, b"interrupted")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["module", "tmp", "waiting"]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_the_configuration_demands_of_the_source_is_demanded(convert: Convert, tmp_path: Path) -> None:
    import hubplug

    module = write_tiny_module(tmp_path / "module")
    config = {
        "chain": ["file", "tf1", "signatures"],
        "validate": {f"file://{tmp_path}/": ["text-feature-vector"]},
    }
    with hubplug.Hub(config).activate():
        status, error = convert(module, tmp_path / "out", "--to", "Good")
    assert status == 2
    assert "does not keep text-feature-vector" in error
    assert not (tmp_path / "out").exists()


def test_two_that_offer_the_same_are_refused(
    convert: Convert, module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "site" / "others-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[hubplug.conversions]\ntf1-hub.Good = {Good.__module__}:Random\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    status, error = convert(module, tmp_path / "out", "--to", "Good")
    assert status == 2
    assert "is offered by" in error
    assert "toys 1.0" in error


def test_a_conversion_goes_to_a_url_that_a_plugin_publishes_to(convert: Convert, module: Path) -> None:
    import fsspec

    import hubplug

    with hubplug.Hub({"chain": ["file", "fsspec", "tf1"]}).activate():
        status, _ = convert(module, "memory://converted/module", "--to", "Good")
        assert status == 0
        assert fsspec.filesystem("memory").exists("/converted/module/numbers.json")
        status, report = convert(module, "memory://converted/other", "--to", "WrongByLittle", "--json")
        assert (status, report["written"]) == (1, False)
        assert not fsspec.filesystem("memory").exists("/converted/other")


def test_packages_that_bring_ops_of_the_model_are_imported(
    convert: Convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the programs that use it do: or its ops would not be there."""
    builder = ModuleBuilder()
    x = builder.placeholder("x", "float32", [None])
    builder.node("SentencepieceOp", name="tokenizer")
    builder.signature(inputs={"x": x}, outputs={"default": x})
    write_module(tmp_path / "module", builder)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "tensorflow_text.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    status, report = convert(tmp_path / "module", tmp_path / "out", "--to", "SaysWhatWasImported", "--json")
    assert (status, report["notes"]) == (0, ["tensorflow_text is imported: True"])
