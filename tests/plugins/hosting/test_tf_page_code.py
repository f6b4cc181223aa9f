"""The code on the page of a module runs as it is pasted."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from hubplug.types import TensorInfo
from hubplug_format import ModuleBuilder, Type, write_module
from hubplug_hosting import ModuleServer
from tests.plugins.hosting.asking import ask
from tests.plugins.hosting.trees import make_module


def make_text_module(directory: Path) -> None:
    builder = ModuleBuilder()
    texts = builder.placeholder("texts", "string", [None])
    lengths = builder.node("StringLength", [texts], {}, dtype="int32", shape=[None])
    builder.signature(inputs={"text": texts}, outputs={"default": lengths})
    write_module(directory, builder)


def make_image_module(directory: Path) -> None:
    builder = ModuleBuilder()
    images = builder.placeholder("images", "float32", [None, 8, 8, 3])
    out = builder.node("Relu", [images], {"T": Type("float32")}, shape=[None, 8, 8, 3])
    builder.signature(name="image_feature_vector", inputs={"images": images}, outputs={"default": out, "layer/1": out})
    write_module(directory, builder)


def make_odd_module(directory: Path) -> None:
    """Several inputs, other dtypes, a scalar, a sparse one, and no signature ``default``."""
    builder = ModuleBuilder()
    count = builder.placeholder("count", "int64", [])
    flag = builder.placeholder("flag", "bool", [None])
    parts = {
        "values": builder.placeholder("values", "int64", [None]),
        "indices": builder.placeholder("indices", "int64", [None, 2]),
        "shape": builder.placeholder("shape", "int64", [2]),
    }
    ids = TensorInfo("int64", (None, None), "sparse", {key: tensor.name for key, tensor in parts.items()})
    total = builder.node("AddV2", [count, parts["values"]], {"T": Type("int64")}, dtype="int64", shape=[None])
    negated = builder.node("LogicalNot", [flag], {}, dtype="bool", shape=[None])
    builder.signature(
        name="count-up", inputs={"n": count, "flag": flag, "ids": ids}, outputs={"sum": total, "not": negated}
    )
    write_module(directory, builder)


def code_on(page: str) -> list[str]:
    blocks = re.findall(r'<pre tabindex="0"><code>(.*?)</code></pre>', page, re.DOTALL)
    return [text for block in blocks if "import" in (text := html.unescape(block))]


@pytest.mark.parametrize("make", [make_module, make_text_module, make_image_module, make_odd_module])
def test_code_for_a_module_runs_as_it_is_pasted(make, tmp_path, capsys):
    make(tmp_path / "tree/publisher/model/1")
    with ModuleServer(tmp_path / "tree") as server:
        programs = code_on(ask(server, "/publisher/model").text)
        assert "tf.Graph()" in programs[0]
        assert len(programs) > 1
        for program in programs:
            if "tf.Graph()" in program or executes_eagerly():
                exec(compile(program, "pasted", "exec"), {})
                printed = capsys.readouterr().out
                assert any(word in printed for word in ("array", "numpy", "tf.Tensor"))


@pytest.mark.usefixtures("eager")
def test_code_for_a_saved_model_runs_as_it_is_pasted(tmp_path, capsys):
    import tensorflow as tf

    model = tf.Module()
    model.kernel = tf.Variable([2.0, 3.0], name="kernel")
    model.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [1]), -1)
    model.serve = tf.function(lambda x, words: {"y": x * model.kernel, "id": model.table.lookup(words)})
    signature = model.serve.get_concrete_function(
        tf.TensorSpec([None, 2], tf.float32, "x"), tf.TensorSpec([None], tf.string, "words")
    )
    tf.saved_model.save(model, str(tmp_path / "tree/publisher/model/1"), signatures=signature)
    with ModuleServer(tmp_path / "tree") as server:
        page = ask(server, "/publisher/model").text
        (program,) = code_on(page)
        exec(compile(program, "pasted", "exec"), {})
    assert "numpy" in capsys.readouterr().out
    assert "__saved_model_init_op" not in page
    assert "<b>1</b> variable," in page


def executes_eagerly() -> bool:
    import tensorflow as tf

    return bool(tf.compat.v1.executing_eagerly_outside_functions())
