"""Modules and SavedModels become ONNX that gives the same, in a process without TensorFlow; or they are refused by op."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug
from hubplug.errors import ExportError
from hubplug_convert._verifying import Verification
from tests.hard_module_kinds import HARD_KINDS
from tests.module_kinds import KINDS, Define, export
from tests.plugins.convert.apart import ApartWorkshop, ResultProcess
from tests.plugins.convert.conftest import Convert
from tests.plugins.convert.in_process import convert_here

for _package in ("tf2onnx", "onnxruntime", "onnxruntime_extensions"):
    pytest.importorskip(_package, reason="of the extra onnx")

TO_ONNX = "hubplug_convert._onnx.conversion:ToOnnx"
PAGE = Path(__file__).resolve().parents[3] / "docs" / "onnx.md"
v1 = tf.compat.v1

# What becomes of each kind is documented, and the documentation is what is tested.
_KINDS_TABLE = PAGE.read_text(encoding="utf-8").partition("| kind | becomes |")[2]
DOCUMENTED: dict[str, str] = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|$", _KINDS_TABLE, re.MULTILINE))

ToOnnx = Callable[[Path, Path], Verification]


@pytest.fixture(scope="module")
def results() -> Iterator[ResultProcess]:
    process = ResultProcess()
    yield process
    process.close()


@pytest.fixture
def to_onnx(results: ResultProcess, tmp_path: Path) -> ToOnnx:
    class Here(ApartWorkshop):
        process = results

    def run(source: Path, result: Path) -> Verification:
        return convert_here(source, result, tmp_path, TO_ONNX, workshop_type=Here)[1]

    return run


@pytest.fixture
def control_flow_of_tensorflow_1() -> Iterator[None]:
    """Loops and conditions as published modules have them."""
    newer = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    yield
    if newer:
        v1.enable_control_flow_v2()


@pytest.mark.usefixtures("control_flow_of_tensorflow_1")
@pytest.mark.parametrize("define", [*KINDS, *HARD_KINDS], ids=lambda define: define.__name__)
def test_a_module_of_any_kind_becomes_what_the_documentation_says(
    define: Define, to_onnx: ToOnnx, tmp_path: Path
) -> None:
    module = export(tf, hubplug, define, tmp_path)
    documented = DOCUMENTED[define.__name__]
    if documented != "equal":
        with pytest.raises(ExportError) as caught:
            to_onnx(module, tmp_path / "out")
        for op in re.findall(r"`(.+?)`", documented):
            assert op in caught.value.message
        return
    found = to_onnx(module, tmp_path / "out")
    assert found.problems == []
    for about in found.signatures.values():
        assert about.compared
        assert all(output.largest_difference <= 1e-5 for output in about.outputs.values())


def test_the_documentation_lists_all_kinds() -> None:
    assert set(DOCUMENTED) == {define.__name__ for define in [*KINDS, *HARD_KINDS]}


def made(define: Callable[[Any], Any], dtype: Any, tmp_path: Path, shape: Any = (None,)) -> Path:
    """A module with one input and one output."""

    def module_fn() -> None:
        x = v1.placeholder(dtype, shape)
        hubplug.add_signature(inputs={"x": x}, outputs={"y": define(x)})

    spec = hubplug.create_module_spec(module_fn)
    with tf.Graph().as_default(), v1.Session() as session:
        module = hubplug.Module(spec)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        module.export(str(tmp_path / "made"), session)
    return tmp_path / "made"


def table(keys: Any, values: Any, default: Any, buckets: int = 0) -> Any:
    initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(keys), tf.constant(values))
    if buckets:
        return tf.lookup.StaticVocabularyTable(initializer, buckets)
    return tf.lookup.StaticHashTable(initializer, default)


@pytest.mark.parametrize(
    ("define", "dtype", "shape"),
    [
        (lambda x: tf.where(x > 0, tf.math.log(x), x), tf.float32, [None]),
        (lambda x: v1.where(x[:, 0] > 0, 1 / x, x), tf.float32, [None, 2]),
        (lambda x: tf.where(tf.math.is_finite(x), 1 / x, tf.zeros_like(x)), tf.float64, [None]),
        (lambda x: tf.where(x > 0, tf.constant(7, tf.int64), x), tf.int64, [None]),
        (tf.math.log1p, tf.float32, [None]),
        (lambda x: 1e6 * tf.math.log1p(1e-6 * x), tf.float32, [None, 3]),
        (tf.math.log1p, tf.float64, [None]),
        (lambda x: x // tf.constant(-3, tf.int64), tf.int64, [None]),
        (lambda x: x % 3, tf.int32, [None]),
        (lambda x: tf.one_hot(x, 4), tf.int64, [None]),
        (lambda x: tf.math.unsorted_segment_sum(tf.cast(x, tf.float32), x % 5 - 1, 7), tf.int64, [None]),
        (lambda x: tf.math.segment_sum(x, tf.range(tf.shape(x)[0]) // 2), tf.float32, [None, 2]),
        (
            lambda x: v1.sparse_segment_mean(x, tf.range(tf.shape(x)[0]), tf.range(tf.shape(x)[0]) // 2),
            tf.float32,
            [None, 2],
        ),
        (
            lambda x: v1.sparse_segment_sqrt_n(
                x, tf.range(tf.shape(x)[0]), 3 * (tf.range(tf.shape(x)[0]) // 2), num_segments=20
            ),
            tf.float32,
            [None, 2],
        ),
        (tf.strings.lower, tf.string, [None]),
        (lambda x: table(["a", "b"], [1.5, 2.5], -1.0).lookup(x), tf.string, [None]),
        (lambda x: table(["a", "b"], ["x", "y"], "?").lookup(x), tf.string, [None, 2]),
        (lambda x: table(["a", "b"], np.array([3, 4], np.int64), None, buckets=1).lookup(x), tf.string, [None]),
        (lambda x: table(np.array([0, 1, 2], np.int64), ["a", "b", "c"], "?").lookup(x), tf.int64, [None]),
        (lambda x: table(np.array([0, 1, 2], np.int32), [1.0, 2.0, 3.0], 0.0).lookup(x), tf.int32, [None]),
    ],
    ids=[
        "infinities that are not chosen",
        "rows that are chosen",
        "infinities of float64",
        "integers that are chosen",
        "log1p",
        "log1p of small ones",
        "log1p of float64",
        "quotients of negative ones",
        "remainders of negative ones",
        "one-hot of negative ones",
        "sums of segments in any order",
        "sums of segments",
        "means of segments",
        "segments without rows",
        "letters",
        "string to float",
        "string to string",
        "a word out of the vocabulary",
        "int64 to string",
        "int32 to float",
    ],
)
def test_what_the_converter_has_wrong_is_right(
    define: Callable[[Any], Any], dtype: Any, shape: Any, to_onnx: ToOnnx, tmp_path: Path
) -> None:
    found = to_onnx(made(define, dtype, tmp_path, shape), tmp_path / "out")
    assert found.problems == []
    assert found.signatures["default"].compared >= 7


@pytest.mark.parametrize(
    ("define", "said"),
    [
        (
            lambda x: tf.strings.to_hash_bucket_fast(x, 10),
            "StringToHashBucketFast (onnxruntime-extensions hashes words",
        ),
        (lambda x: tf.strings.substr(x, 0, 2), "Substr (tf2onnx has no rule"),
    ],
    ids=["other buckets", "no rule"],
)
def test_what_cannot_be_right_is_refused_by_op(
    define: Callable[[Any], Any], said: str, to_onnx: ToOnnx, tmp_path: Path
) -> None:
    with pytest.raises(ExportError) as caught:
        to_onnx(made(define, tf.string, tmp_path), tmp_path / "out")
    assert said in caught.value.message


def test_what_is_wrong_for_two_different_inputs_only_is_not_kept(to_onnx: ToOnnx, tmp_path: Path) -> None:
    """The remainder by an infinity is NaN in ONNX."""

    def define(tf: Any, hub: Any, tmp_path: Path) -> None:
        x, y = (v1.placeholder(tf.float32, [None, 4]) for _ in range(2))
        hubplug.add_signature(inputs={"x": x, "y": y}, outputs=tf.math.floormod(x, y))

    found = to_onnx(export(tf, hubplug, define, tmp_path), tmp_path / "out")
    assert "infinite as float32: output 'default' is nan" in found.problems[0]


def test_onnxruntime_sends_nothing_to_its_maker(tmp_path: Path) -> None:
    """It leaves the file of a session in the folder for temporary files where it does."""
    program = """
import sys
import time
from pathlib import Path
from hubplug_convert._onnx.conversion import ToOnnx

try:
    ToOnnx().open(None, Path("no such result"))
except FileNotFoundError:
    time.sleep(0.2)
assert "onnxruntime" in sys.modules
"""
    # Without what says that this is CI, where it sends nothing anyway.
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


def test_what_is_cut_off_at_a_nul_is_reported(to_onnx: ToOnnx, tmp_path: Path) -> None:
    found = to_onnx(made(tf.strings.lower, tf.string, tmp_path), tmp_path / "out")
    assert found.problems == []
    assert any(said.startswith("text with a NUL") for said in found.signatures["default"].not_expressible)


def test_a_published_module_runs_without_tensorflow(convert: Convert, shared_modules: Path, tmp_path: Path) -> None:
    status, report = convert(shared_modules / "DM21m", tmp_path / "out", "--to", "onnx", "--json")
    assert (status, report["problems"]) == (0, [])
    assert max(report["signatures"]["default"]["outputs"].values()) <= 1e-6
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["default.onnx", "signatures.json"]
    program = """
import sys
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
reference = np.load(sys.argv[2])
fed = {each.name: reference["in__" + each.name] for each in session.get_inputs()}
(found,) = session.run(["grid_contribution"], fed)
expected = reference["out__grid_contribution"]
assert (abs(found - expected) <= 1e-6 * (1 + abs(expected))).all()
assert "tensorflow" not in sys.modules
"""
    arguments = [str(tmp_path / "out" / "default.onnx"), str(shared_modules / "DM21m.ref.npz")]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)


def test_names_and_open_dimensions_are_described(convert: Convert, module: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    status, said = convert(module, tmp_path / "out", "--to", "onnx")
    assert status == 0, said
    described = json.loads((tmp_path / "out" / "signatures.json").read_text())["signatures"]["default"]
    assert described["inputs"]["x"] == {"kind": "dense", "dtype": "float32", "shape": [None], "tensors": ["x"]}
    session = onnxruntime.InferenceSession(str(tmp_path / "out" / described["file"]))
    for rows in (0, 1, 7):
        (output,) = session.run(["default"], {"x": np.ones(rows, np.float32)})
        np.testing.assert_array_equal(output, np.full(rows, 0.5, np.float32))


def test_a_convolutional_network_is_the_same_for_finite_images(convert: Convert, tmp_path: Path) -> None:
    random = np.random.default_rng(0)

    def features() -> None:
        images = v1.placeholder(tf.float32, [None, 16, 16, 3])
        kernel = v1.get_variable("kernel", initializer=random.normal(size=(3, 3, 3, 8)).astype(np.float32) / 5)
        hidden = tf.nn.conv2d(2.0 * images - 1.0, kernel, strides=2, padding="SAME")
        one, zero = np.ones(8, np.float32), np.zeros(8, np.float32)
        hidden, *_ = v1.nn.fused_batch_norm(hidden, one, zero, mean=zero, variance=one, is_training=False)
        pooled = tf.reduce_mean(tf.nn.max_pool2d(tf.nn.relu(hidden), 2, 2, "VALID"), [1, 2])
        hubplug.add_signature(inputs={"images": images}, outputs={"default": pooled, "p": tf.nn.softmax(pooled)})

    spec = hubplug.create_module_spec(features)
    with tf.Graph().as_default(), v1.Session() as session:
        module = hubplug.Module(spec)
        session.run(v1.global_variables_initializer())
        module.export(str(tmp_path / "module"), session)
    status, said = convert(tmp_path / "module", tmp_path / "out", "--to", "onnx", "--finite")
    assert status == 0, said
    assert (tmp_path / "out" / "default.onnx").is_file()


def test_saved_models_and_frozen_graphs_are_converted_too(convert: Convert, tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        scale = v1.get_variable("scale", initializer=2.0)
        y = tf.add(scale * x, 1.0, name="y")
        tf.add(3.0 * x, 1.0, name="z")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "model"), {"x": x}, {"y": y})
        frozen = v1.graph_util.extract_sub_graph(graph.as_graph_def(), ["z"])
        (tmp_path / "z.pb").write_bytes(frozen.SerializeToString())
    status, said = convert(tmp_path / "model", tmp_path / "a", "--to", "onnx")
    assert status == 0, said
    assert (tmp_path / "a" / "serving_default.onnx").is_file()
    named = ["--input", "x=x", "--output", "x=z"]
    status, report = convert(tmp_path / "z.pb", tmp_path / "b", "--to", "onnx", *named, "--json")
    assert status == 0
    assert report["notes"] == ["The output 'x' of signature 'default' is called x_output in default.onnx."]
