"""Small real modules, made without TensorFlow."""

from __future__ import annotations

from pathlib import Path

from hubplug_format import ModuleBuilder, Type, Values, dtype_number, message_class, write_checkpoint, write_module
from hubplug_hosting import pack_module


def make_module(directory: Path, weight: float = 2.0, evil: str = "") -> Path:
    """A module in TF1 Hub format that multiplies; ``evil`` goes into a name that its page shows."""
    builder = ModuleBuilder()
    x = builder.placeholder("x", "float32", [None, 2])
    w = builder.variable("w", [[weight, 0.0], [0.0, weight]])
    y = builder.node("MatMul", [x, w], {"T": Type("float32")}, shape=[None, 2])
    builder.asset("vocabulary.txt", b"one\ntwo\n")
    builder.signature(inputs={f"x{evil}": x}, outputs={"default": y})
    write_module(directory, builder)
    return directory


def make_saved_model(directory: Path) -> Path:
    """What ``tf.saved_model.save`` writes of an object with one variable, as far as a reader looks."""
    builder = ModuleBuilder(["serve"])
    x = builder.placeholder("serving_default_x", "float32", [None, 2])
    builder.signature(name="serving_default", inputs={"x": x}, outputs={"output_0": x})
    builder.signature(name="__saved_model_init_op", inputs={}, outputs={"__saved_model_init_op": x})
    nodes = builder.meta_graph.object_graph_def.nodes
    nodes.add()
    variable = nodes.add().variable
    variable.name, variable.dtype = "dense/kernel", dtype_number("float32")
    variable.shape.dim.add().size = 2
    write_module(directory, builder)
    (directory / "tfhub_module.pb").unlink()
    stored = message_class("TrackableObjectGraph")()
    stored.nodes.add()
    value = stored.nodes.add().attributes.add()
    value.name, value.full_name, value.checkpoint_key = "VARIABLE_VALUE", "dense/kernel", "v/.ATTRIBUTES/VARIABLE_VALUE"
    tensors = {
        "_CHECKPOINTABLE_OBJECT_GRAPH": Values("string", (), [stored.SerializeToString()]),
        "v/.ATTRIBUTES/VARIABLE_VALUE": [1.0, 2.0],
    }
    write_checkpoint(directory / "variables/variables", tensors)
    return directory


def make_tree(folder: Path) -> Path:
    """Two versions as directories, one as an archive, one without versions, and what must not be served beside it."""
    root = folder / "tree"
    make_module(root / "publisher/model/1", 1.0)
    make_module(root / "publisher/model/9", 9.0)
    pack_module(make_module(folder / "ten", 10.0), root / "publisher/model/10.tar.gz")
    make_module(root / "publisher/plain", 3.0)
    (root / "publisher/model/notes").mkdir()
    (root / "README.txt").write_text("not a module")
    (root / ".hidden").mkdir()
    make_module(root / ".hidden/secret/1")
    make_module(folder / "outside/secret/1")
    (folder / "outside/passwords.tar.gz").write_bytes(b"canary")
    (root / "link").symlink_to(folder / "outside")
    (root / "publisher/linked.tar.gz").symlink_to(folder / "outside/passwords.tar.gz")
    return root
