"""The benchmarks run; what they measure is nobody's business in a test."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("programs_of_tensorflow_2")]

RUN = Path(__file__).resolve().parents[2] / "benchmarks" / "run.py"
SMALL = ["--workloads", "graph", "--layers", "2", "--calls", "2", "--many-layers", "2", "--many-calls", "10"]


@pytest.mark.any_tensorflow
def test_the_graph_side_benchmark_prints_a_table_and_writes_every_figure(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(RUN), *SMALL, "--only-hubplug", "--json", str(tmp_path / "figures.json")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "figures.json").read_text())
    assert report["layers"] == 2
    assert set(report["figures"]) >= {"author", "apply", "trainable", "initialize-one", "bare-import", "many"}
    applied = report["figures"]["apply"]["hubplug"]
    bare = report["figures"]["bare-import"]["hubplug"]
    # Two calls add what the signature needs twice, and nothing of the rest of the module.
    assert applied["first_ops"] <= 2 * (bare["first_nodes"] + 3)
    assert applied["default_ops"] <= 2 * (bare["default_nodes"] + 3)
    assert "2 calls of `default`" in done.stdout
    assert "bare tf.import_graph_def" in done.stdout


@pytest.mark.skipif(find_spec("tensorflow_hub") is None, reason="tensorflow_hub is not installed")
def test_both_libraries_compute_the_same_with_the_reference_module(tmp_path: Path) -> None:
    program = RUN.with_name("graph_side.py")
    hashes = set()
    for measurement, library in (("author", "hubplug"), ("apply", "hubplug"), ("apply", "tensorflow_hub")):
        command = [sys.executable, str(program), measurement, "--library", library, "--module", str(tmp_path / "m")]
        done = subprocess.run([*command, "--layers", "2", "--calls", "1"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        hashes.add(json.loads(done.stdout.splitlines()[-1]).get("output_sha256"))
    assert len(hashes - {None}) == 1


@pytest.mark.any_tensorflow
def test_the_benchmark_of_eager_execution_prints_ratios() -> None:
    command = [sys.executable, str(RUN.with_name("eager.py")), "--turns", "2", "--calls", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "signature of tf.saved_model.load" in done.stdout


@pytest.mark.any_tensorflow
def test_the_benchmark_of_fit_prints_the_ratio_of_two_models_that_learn_alike() -> None:
    command = [sys.executable, str(RUN.with_name("keras_fit.py")), "--turns", "1", "--epochs", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ratio:" in done.stdout
    ours, native = (line.rpartition(" ")[2] for line in done.stdout.splitlines() if "accuracy in training" in line)
    assert float(ours.rstrip("%")) == pytest.approx(float(native.rstrip("%")), abs=8)
