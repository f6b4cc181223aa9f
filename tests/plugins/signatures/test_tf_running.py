"""``hubplug validate --run``: signatures applied to generated inputs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import hubplug
from hubplug_format import message_class
from hubplug_signatures._profiles import PROFILES
from tests.plugins.signatures.conftest import attach_size, image_builder, spec_of, text_builder

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("programs_of_tensorflow_2")]


@pytest.fixture(scope="module")
def tf() -> Any:
    import tensorflow

    return tensorflow


@pytest.fixture
def run(tf: Any) -> Callable[..., list[Any]]:
    from hubplug_signatures._running import run_profile

    return lambda spec, profile: run_profile(spec, PROFILES[profile])


def test_a_good_text_module_has_no_findings(run: Any, text_module: Path) -> None:
    assert run(spec_of(text_module), "text-feature-vector") == []


def test_a_good_image_module_has_no_findings(run: Any, image_module: Path, tmp_path: Path) -> None:
    from hubplug_format import write_module

    assert run(spec_of(image_module), "image-feature-vector") == []
    builder = image_builder(None)
    attach_size(builder, 5, 6)
    write_module(tmp_path / "sized", builder)
    assert run(spec_of(tmp_path / "sized"), "image-feature-vector") == []


def text_spec(tf: Any, compute: Callable[[Any], Any]) -> Any:
    def module_fn() -> None:
        texts = tf.compat.v1.placeholder(tf.string, [None])
        output = compute(texts)
        hubplug.add_signature(inputs=texts, outputs=output)

    return hubplug.create_module_spec(module_fn)


def lengths(tf: Any, texts: Any) -> Any:
    return tf.reshape(tf.cast(tf.strings.length(texts), tf.float32), [-1, 1])


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda tf, x: x / tf.reduce_sum(x), "run-rows"),
        (lambda tf, x: x - tf.reduce_mean(x, axis=0, keepdims=True), "run-rows"),
        (lambda tf, x: tf.math.log(x), "run-finite"),
        (lambda tf, x: tf.ensure_shape(tf.concat([x, x[:1]], 0), [None, 1]), "run-batch"),
        (lambda tf, x: tf.compat.v1.placeholder_with_default(tf.tile(x, [1, 2]), [None, None]), None),
    ],
)
def test_what_a_module_does_wrong_is_found(tf: Any, run: Any, spoil: Any, rule: str | None) -> None:
    found = {
        finding.rule
        for finding in run(text_spec(tf, lambda texts: spoil(tf, lengths(tf, texts))), "text-feature-vector")
    }
    assert (f"text-feature-vector/{rule}" in found) if rule else found == set()


def test_values_that_are_not_finite_are_no_sign_of_rows_that_depend_on_each_other(tf: Any, run: Any) -> None:
    spec = text_spec(tf, lambda texts: lengths(tf, texts) * float("nan"))
    assert {finding.rule for finding in run(spec, "text-feature-vector")} == {"text-feature-vector/run-finite"}


def test_a_module_that_fails_on_an_empty_batch_is_found(tf: Any, run: Any) -> None:
    def compute(texts: Any) -> Any:
        with tf.control_dependencies([tf.debugging.Assert(tf.size(texts) > 0, ["no texts"])]):
            return tf.identity(lengths(tf, texts))

    (finding,) = run(text_spec(tf, compute), "text-feature-vector")
    assert finding.rule == "text-feature-vector/run"
    assert (
        "applying it to an empty batch failed: InvalidArgumentError: assertion failed: [no texts] (node"
        in finding.message
    )


def test_the_graph_of_the_caller_is_left_alone(tf: Any, run: Any, text_module: Path) -> None:
    with tf.Graph().as_default() as graph:
        run(spec_of(text_module), "text-feature-vector")
        assert graph.get_operations() == []


def test_the_command_runs_the_signatures(tf: Any, text_module: Path) -> None:
    from hubplug_signatures._commands import validate

    arguments = [str(text_module), "--profile", "text-feature-vector", "--run", "--format", "json"]
    result = CliRunner().invoke(validate, arguments)
    assert result.exit_code == 0
    assert json.loads(result.output)["findings"] == []


def ending_badly(tmp_path: Path, op: str, attrs: dict[str, Any]) -> Path:
    """A module whose signature waits for a node that does harm."""
    from hubplug_format import write_module

    builder = text_builder()
    bad = builder.node(op, (), attrs, name="bad")
    vectors = builder.meta_graph.signature_def["default"].outputs["default"].name.partition(":")[0]
    next(node for node in builder.meta_graph.graph_def.node if node.name == vectors).input.append(f"^{bad.name[:-2]}")
    write_module(tmp_path / "m", builder)
    return tmp_path / "m"


def run_in_child(directory: Path, timeout: float = 300, memory_mib: int = 16384) -> Any:
    from hubplug_signatures._run_checks import run_profiles

    (finding,) = run_profiles(spec_of(directory), ["text-feature-vector"], timeout=timeout, memory_mib=memory_mib)
    return finding


def test_a_module_that_ends_its_process_is_a_finding(tf: Any, tmp_path: Path) -> None:
    finding = run_in_child(ending_badly(tmp_path, "Abort", {"error_msg": "gone", "exit_without_error": False}))
    assert (finding.rule, finding.level) == ("text-feature-vector/not-checked", "error")
    assert "the process was ended by SIGABRT" in finding.message


def test_a_module_that_waits_for_ever_is_a_finding(tf: Any, tmp_path: Path) -> None:
    from hubplug_format import Type

    finding = run_in_child(ending_badly(tmp_path, "Unstage", {"dtypes": [Type("float32")]}), timeout=30)
    assert finding.rule == "text-feature-vector/not-checked"
    assert "it took more than 30 s" in finding.message


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
def test_a_module_that_takes_too_much_memory_is_a_finding(tf: Any, tmp_path: Path) -> None:
    spec = text_spec(
        tf, lambda texts: lengths(tf, texts) + tf.reduce_sum(tf.fill([tf.size(texts) * (1 << 20), 4096], 1.0))
    )
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        hubplug.Module(spec).export(str(tmp_path / "m"), session)
    finding = run_in_child(tmp_path / "m", memory_mib=4096)
    assert finding.level == "error"
    assert finding.rule in ("text-feature-vector/not-checked", "text-feature-vector/run")


def test_what_a_module_prints_is_not_taken_for_findings(tf: Any, tmp_path: Path) -> None:
    from hubplug_signatures._run_checks import run_profiles

    directory = ending_badly(tmp_path, "PrintV2", {"output_stream": "stdout", "end": "[]"})
    path = directory / "saved_model.pb"
    model = message_class("SavedModel").FromString(path.read_bytes())
    nodes = model.meta_graphs[0].graph_def.node
    text = nodes.add(name="said", op="Const")
    text.attr["dtype"].type = 7
    text.attr["value"].tensor.dtype = 7
    text.attr["value"].tensor.tensor_shape.SetInParent()
    text.attr["value"].tensor.string_val.append(b"{")
    next(node for node in nodes if node.name == "bad").input.append("said")
    path.write_bytes(model.SerializeToString())
    assert run_profiles(spec_of(directory), ["text-feature-vector"], timeout=300, memory_mib=16384) == []


def test_what_moved_between_two_training_runs_is_measured(tf: Any, text_module: Path, tmp_path: Path) -> None:
    from hubplug_signatures._diff import diff

    spec = hubplug.load_module_spec(str(text_module))
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        module = hubplug.Module(spec, trainable=True)
        session.run(v1.global_variables_initializer())
        module.variable_map["embeddings"].load(np.ones([4, 3], np.float32), session)
        module.export(str(tmp_path / "trained"), session)
    found = diff(spec, hubplug.load_module_spec(str(tmp_path / "trained")))
    assert [finding.where for finding in found if finding.rule == "diff/value"] == ["embeddings"]
    assert not [finding for finding in found if finding.level == "error"]


def test_ops_are_compared_with_those_of_the_tensorflow_that_is_imported(tf: Any, tmp_path: Path) -> None:
    from hubplug_format import ModuleBuilder, OpRegistry, write_module
    from hubplug_signatures._running_ops import find_running_ops

    running = find_running_ops()
    assert running is not None
    assert running.release == tf.__version__
    assert {"Abs", "VarHandleOp"} <= set(running.names)
    gone = min(OpRegistry.bundled().names - set(running.names))
    builder = ModuleBuilder()
    builder.node("Abs")
    builder.node(gone)
    write_module(tmp_path / "m", builder)
    (finding,) = hubplug.validate(str(tmp_path / "m"), ["complete"])
    assert (finding.rule, finding.where) == ("complete/op-of-another-release", gone)
    assert tf.__version__ in finding.message


def test_run_imports_tensorflow_before_ops_are_compared(text_module: Path) -> None:
    program = f"""
import sys
from click.testing import CliRunner
from hubplug_format import ModuleBuilder, OpRegistry, write_module
from hubplug_signatures._commands import validate
builder = ModuleBuilder()
builder.node("DecodeWebP")
builder.node("TRTEngineOp")
write_module({str(text_module.parent / "gone")!r}, builder)
arguments = [{str(text_module.parent / "gone")!r}, "--profile", "complete", "--profile", "text-feature-vector"]
without = CliRunner().invoke(validate, arguments)
assert "tensorflow" not in sys.modules
assert "op-of-another-release" not in without.output, without.output
result = CliRunner().invoke(validate, [*arguments, "--run"])
assert "op-of-another-release" in result.output, result.output
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_tensorflow_says_nothing_around_the_answer(text_module: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [
        sys.executable,
        "-m",
        "hubplug",
        "validate",
        str(text_module),
        "--profile",
        "text-feature-vector",
        "--run",
    ]
    done = subprocess.run(
        command, env={**environment, "CUDA_VISIBLE_DEVICES": "-1"}, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{text_module}: no findings\n"
    assert done.stderr == ""
