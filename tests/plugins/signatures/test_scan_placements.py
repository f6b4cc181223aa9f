"""Every unsafe op is found wherever in a module it stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from hubplug_format import Func, ModuleBuilder, OpRegistry, Values, message_class, write_module
from hubplug_signatures._scan import scan_directory
from hubplug_signatures._unsafe_ops import judge

UNSAFE = {op: about.level for op in sorted(OpRegistry.bundled().names) if (about := judge(op))}

Build = Callable[[Path, str], None]


def add_function(builder: ModuleBuilder, name: str, *ops: str) -> None:
    function = builder.meta_graph.graph_def.library.function.add()
    function.signature.name = name
    for number, op in enumerate(ops):
        function.node_def.add(name=f"inner_{number}", op=op)


def graph_bytes(op: str) -> bytes:
    graph = message_class("GraphDef")()
    graph.node.add(name="some_constant", op="Const")
    graph.node.add(name="hidden", op=op)
    data: bytes = graph.SerializeToString()
    return data


def top_graph(path: Path, op: str) -> None:
    builder = ModuleBuilder()
    builder.node(op, name="bad")
    write_module(path, builder)


def function_body(path: Path, op: str) -> None:
    builder = ModuleBuilder()
    add_function(builder, "f", op)
    builder.node("f", name="call")
    write_module(path, builder)


def function_of_a_call(path: Path, op: str) -> None:
    builder = ModuleBuilder()
    add_function(builder, "f", op)
    builder.node("StatefulPartitionedCall", (), {"f": Func("f")})
    write_module(path, builder)


def branch_of_a_branch(path: Path, op: str) -> None:
    builder = ModuleBuilder()
    add_function(builder, "f", op)
    outer = builder.meta_graph.graph_def.library.function.add()
    outer.signature.name = "outer"
    outer.node_def.add(name="if", op="If").attr["then_branch"].func.name = "f"
    builder.node("MapDataset", (), {"f": Func("outer")})
    write_module(path, builder)


def list_of_functions(path: Path, op: str) -> None:
    builder = ModuleBuilder()
    add_function(builder, "f", op)
    builder.node("Case", (), {"branches": [Func("f")]})
    write_module(path, builder)


def gradient_function(path: Path, op: str) -> None:
    builder = ModuleBuilder()
    add_function(builder, "f", "Identity")
    add_function(builder, "f_grad", op)
    builder.meta_graph.graph_def.library.gradient.add(function_name="f", gradient_func="f_grad")
    builder.node("f", name="call")
    write_module(path, builder)


def second_meta_graph(path: Path, op: str) -> None:
    good, bad = ModuleBuilder(), ModuleBuilder(["train"])
    good.constant(1.0)
    bad.node(op)
    write_module(path, good, bad)


def text_file(path: Path, op: str) -> None:
    builder = ModuleBuilder()
    builder.node(op)
    path.mkdir()
    model = message_class("SavedModel")(meta_graphs=[builder.meta_graph])
    (path / "saved_model.pbtxt").write_text(text_format.MessageToString(model), encoding="utf-8")


def text_file_beside_a_clean_one(path: Path, op: str) -> None:
    text_file(path, op)
    clean = ModuleBuilder()
    clean.constant(1.0)
    model = message_class("SavedModel")(meta_graphs=[clean.meta_graph])
    (path / "saved_model.pb").write_bytes(model.SerializeToString())


def control_edge(path: Path, op: str) -> None:
    builder = ModuleBuilder()
    builder.node(op, name="bad")
    y = builder.node("NoOp", ["^bad"], name="end")
    builder.signature(outputs={"default": y})
    write_module(path, builder)


def main_op(path: Path, op: str) -> None:
    builder = ModuleBuilder()
    builder.node(op, name="bad")
    builder.collection("saved_model_main_op").node_list.value.append("bad")
    write_module(path, builder)


def variable_initializer(path: Path, op: str) -> None:
    builder = ModuleBuilder()
    builder.node(op, name="bad")
    builder.variable("v", 1.0)
    next(n for n in builder.meta_graph.graph_def.node if n.name == "v/Assign").input[1] = "bad"
    write_module(path, builder)


def graph_in_a_constant(path: Path, op: str) -> None:
    builder = ModuleBuilder()
    builder.constant([b"", graph_bytes(op)])
    write_module(path, builder)


def graph_in_encoded_strings(path: Path, op: str) -> None:
    """In ``tensor_content``, where TensorFlow looks first: all lengths, then all bytes."""
    data = graph_bytes(op)
    builder = ModuleBuilder()
    builder.constant([b"", b"xx"], name="strings")
    tensor = builder.meta_graph.graph_def.node[0].attr["value"].tensor
    tensor.tensor_content = bytes([2, len(data)]) + b"xx" + data
    assert len(data) < 128
    write_module(path, builder)


def graph_in_an_attribute(path: Path, op: str) -> None:
    builder = ModuleBuilder()
    builder.node("NoOp", (), {"_program": graph_bytes(op)})
    write_module(path, builder)


def graph_in_a_graph(path: Path, op: str) -> None:
    outer = ModuleBuilder()
    outer.constant(graph_bytes(op))
    builder = ModuleBuilder()
    builder.constant(outer.meta_graph.graph_def.SerializeToString())
    write_module(path, builder)


def function_in_a_constant(path: Path, op: str) -> None:
    function = message_class("FunctionDef")()
    function.signature.name = "some_function_of_that_name"
    function.node_def.add(name="some_constant", op="Const")
    function.node_def.add(name="hidden", op=op)
    builder = ModuleBuilder()
    builder.constant(function.SerializeToString())
    write_module(path, builder)


def graph_in_an_attribute_of_a_function(path: Path, op: str) -> None:
    builder = ModuleBuilder()
    add_function(builder, "f", "NoOp")
    builder.meta_graph.graph_def.library.function[0].attr["_program"].s = graph_bytes(op)
    write_module(path, builder)


def graph_in_the_default_value_of_an_attribute(path: Path, op: str) -> None:
    builder = ModuleBuilder()
    add_function(builder, "f", "NoOp")
    attr = builder.meta_graph.graph_def.library.function[0].signature.attr.add(name="program", type="string")
    attr.default_value.s = graph_bytes(op)
    write_module(path, builder)


def function_that_implements_the_same(path: Path, op: str) -> None:
    """The graph optimizer puts it in the place of the one that is called."""
    builder = ModuleBuilder()
    for name, inner in (("called", "NoOp"), ("other", op)):
        add_function(builder, name, inner)
        builder.meta_graph.graph_def.library.function[-1].attr["api_implements"].s = b"lstm"
    builder.node("PartitionedCall", (), {"f": Func("called")})
    write_module(path, builder)


def default_value_of_a_function_attribute(path: Path, op: str) -> None:
    builder = ModuleBuilder()
    add_function(builder, "f", op)
    add_function(builder, "g", "NoOp")
    attr = builder.meta_graph.graph_def.library.function[-1].signature.attr.add(name="f", type="func")
    attr.default_value.func.name = "f"
    builder.node("g")
    write_module(path, builder)


def nested_attribute_of_a_function(path: Path, op: str) -> None:
    builder = ModuleBuilder()
    builder.node("PartitionedCall", (), {"f": Func("g", {"program": [Values.of(graph_bytes(op))]})})
    add_function(builder, "g", "Identity")
    write_module(path, builder)


def split_graph(path: Path, op: str) -> None:
    """Two graph_def fields in one meta graph, which TensorFlow merges."""
    first, second = ModuleBuilder(), ModuleBuilder()
    first.node(op, name="bad")
    second.constant("long enough for a length of two bytes " * 4)
    meta_graph = first.meta_graph.SerializeToString() + second.meta_graph.SerializeToString()
    path.mkdir()
    model = b"\x12" + bytes([len(meta_graph) & 127 | 128, len(meta_graph) >> 7]) + meta_graph
    assert len(meta_graph) >= 128
    (path / "saved_model.pb").write_bytes(model)


PLACEMENTS: list[Build] = [
    top_graph,
    function_body,
    function_of_a_call,
    branch_of_a_branch,
    list_of_functions,
    gradient_function,
    second_meta_graph,
    text_file,
    text_file_beside_a_clean_one,
    control_edge,
    main_op,
    variable_initializer,
    graph_in_a_constant,
    graph_in_encoded_strings,
    graph_in_an_attribute,
    graph_in_a_graph,
    function_in_a_constant,
    graph_in_an_attribute_of_a_function,
    graph_in_the_default_value_of_an_attribute,
    function_that_implements_the_same,
    default_value_of_a_function_attribute,
    nested_attribute_of_a_function,
    split_graph,
]


@pytest.mark.parametrize("place", PLACEMENTS, ids=lambda place: place.__name__)
def test_every_unsafe_op_is_found(place: Build, tmp_path: Path) -> None:
    missed = []
    for op, level in UNSAFE.items():
        place(tmp_path / op, op)
        if level not in {f.level for f in scan_directory(tmp_path / op) if f"op {op} " in f.message}:
            missed.append(op)
    assert missed == []


@pytest.mark.parametrize(
    ("op", "level"), [("ReadFile", "error"), ("PyFunc", "error"), ("Abort", "warning"), ("NotAnOpAtAll", "error")]
)
def test_an_op_in_a_function_that_nothing_uses_is_as_bad_as_anywhere(tmp_path: Path, op: str, level: str) -> None:
    builder = ModuleBuilder()
    add_function(builder, "f", op)
    write_module(tmp_path / "m", builder)
    assert [(finding.level, finding.where) for finding in scan_directory(tmp_path / "m")] == [
        (level, "function 'f', node 'inner_0'")
    ]


def test_two_functions_of_one_name_are_refused_and_both_are_looked_at(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    add_function(builder, "f", "ReadFile")
    add_function(builder, "f", "WriteFile")
    write_module(tmp_path / "m", builder)
    assert sorted(finding.rule for finding in scan_directory(tmp_path / "m")) == [
        "safe/function-name",
        "safe/reads-files",
        "safe/writes-files",
    ]


def test_a_function_that_takes_the_place_of_an_op_is_refused(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    add_function(builder, "Identity", "NoOp")
    write_module(tmp_path / "m", builder)
    (finding,) = scan_directory(tmp_path / "m")
    assert (finding.rule, finding.level) == ("safe/function-name", "error")
    assert "takes its place" in finding.message


def test_an_unknown_op_blocks_and_names_its_package(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    builder.node("SentencepieceOp", name="sp")
    builder.node("MysteryOp", name="m")
    write_module(tmp_path / "m", builder)
    text, mystery = scan_directory(tmp_path / "m")
    assert (text.rule, text.level) == ("safe/unknown-op", "error")
    assert "tensorflow-text" in text.message
    assert "no package is known" in mystery.message
    allowing = scan_directory(tmp_path / "m", frozenset({"SentencepieceOp"}))
    assert [f.where for f in allowing if f.level == "error"] == ["node 'm'"]


def test_an_allowed_op_is_a_note_that_says_where_it_occurs(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    builder.node("ReadFile", [builder.constant("/etc/passwd")], name="top")
    add_function(builder, "f", "ReadFile", "Identity")
    builder.constant(b'%0 = "tf.ReadFile"(%arg) : (tensor<!tf.string>) -> tensor<!tf.string>', name="mlir")
    write_module(tmp_path / "m", builder)
    (finding,) = scan_directory(tmp_path / "m", frozenset({"ReadFile"}))
    assert (finding.rule, finding.level) == ("safe/allowed-op", "note")
    assert finding.where == "node 'top'"
    assert finding.message == (
        "op ReadFile can read files; it is allowed by name, and occurs 3 times: node 'top', given '/etc/passwd'; "
        "node 'mlir', in an MLIR program in a string; function 'f', node 'inner_0'"
    )


def test_an_allowed_op_that_is_everywhere_makes_a_short_report(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    for number in range(500):
        builder.meta_graph.graph_def.node.add(name=f"n{number}", op="ReadFile")
    write_module(tmp_path / "m", builder)
    (finding,) = scan_directory(tmp_path / "m", frozenset({"ReadFile"}))
    assert "occurs 500 times" in finding.message
    assert finding.message.endswith("; and 480 more")


def test_a_finding_shows_op_node_function_variant_and_literal_argument(tmp_path: Path) -> None:
    builder = ModuleBuilder(["train"])
    function = builder.meta_graph.graph_def.library.function.add()
    function.signature.name = "loader"
    constant = function.node_def.add(name="path", op="Const")
    Values.of("/etc/passwd").put(constant.attr["value"].tensor)
    function.node_def.add(name="again", op="Identity").input.append("path:output:0")
    function.node_def.add(name="read", op="ReadFile").input.append("again:output:0")
    builder.node("PartitionedCall", (), {"f": Func("loader")})
    write_module(tmp_path / "m", builder)
    (finding,) = scan_directory(tmp_path / "m")
    assert finding.tags == {"train"}
    assert finding.rule == "safe/reads-files"
    assert finding.level == "error"
    assert finding.where == "function 'loader', node 'read'"
    assert "op ReadFile can read files" in finding.message
    assert "'/etc/passwd'" in finding.message


def test_a_path_in_an_attribute_is_shown(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    builder.node("ImmutableConst", (), {"memory_region_name": "/etc/shadow"})
    write_module(tmp_path / "m", builder)
    (finding,) = scan_directory(tmp_path / "m")
    assert "memory_region_name='/etc/shadow'" in finding.message


@pytest.mark.parametrize(
    ("op", "attr", "good", "bad"),
    [
        ("PrintV2", "output_stream", "stderr", "file:///home/user/.bashrc"),
        ("FixedUnigramCandidateSampler", "vocab_file", "", "/etc/passwd"),
        ("DecodeProtoV2", "descriptor_source", "local://", "/etc/passwd"),
        ("EncodeProto", "descriptor_source", "bytes://...", "bytes:/etc/passwd"),
        ("PrintV2", "output_stream", "log(info)", True),
    ],
)
def test_ops_that_an_attribute_makes_harmless_are_notes(
    tmp_path: Path, op: str, attr: str, good: str, bad: str | bool
) -> None:
    for name, value, level in (("good", good, "note"), ("bad", bad, "error")):
        builder = ModuleBuilder()
        builder.node(op, (), {attr: value})
        write_module(tmp_path / name, builder)
        assert [finding.level for finding in scan_directory(tmp_path / name)] == [level]


@pytest.mark.parametrize("op", ["PrintV2", "FixedUnigramCandidateSampler", "DecodeProtoV2", "EncodeProto"])
def test_a_missing_attribute_is_harmless_only_where_the_exporter_says_that_it_left_out_defaults(
    tmp_path: Path, op: str
) -> None:
    for name, stripped, level in (("exported", True, "note"), ("written", False, "error")):
        builder = ModuleBuilder()
        builder.node(op)
        builder.meta_graph.meta_info_def.stripped_default_attrs = stripped
        write_module(tmp_path / name, builder)
        assert [finding.level for finding in scan_directory(tmp_path / name)] == [level]


def test_what_an_exporter_left_out_says_nothing_about_programs_in_strings(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    builder.constant(graph_bytes("PrintV2"))
    builder.meta_graph.meta_info_def.stripped_default_attrs = True
    write_module(tmp_path / "m", builder)
    assert [finding.level for finding in scan_directory(tmp_path / "m")] == ["error"]


def test_mlir_in_a_string_is_looked_at(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    text = b'module { func.func @main() { %0 = "tf.ReadFile"(%arg) : (tensor<!tf.string>) -> tensor<!tf.string> } }'
    builder.constant(text)
    builder.constant(b"ML\xefR" + bytes(60))
    write_module(tmp_path / "m", builder)
    assert sorted(f.rule for f in scan_directory(tmp_path / "m")) == ["safe/nested-program", "safe/reads-files"]


def test_a_saved_model_in_pieces_is_refused(tmp_path: Path) -> None:
    write_module(tmp_path / "m", ModuleBuilder())
    (tmp_path / "m" / "saved_model.cpb").write_bytes(b"")
    (finding,) = scan_directory(tmp_path / "m")
    assert (finding.rule, finding.level) == ("safe/chunked", "error")


def test_a_directory_without_saved_model_is_not_clean(tmp_path: Path) -> None:
    (finding,) = scan_directory(tmp_path)
    assert finding.rule == "safe/not-checked"


def test_a_million_bad_nodes_make_a_short_report(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    for number in range(500):
        builder.meta_graph.graph_def.node.add(name=f"n{number}", op="ReadFile")
    write_module(tmp_path / "m", builder)
    findings = scan_directory(tmp_path / "m")
    assert len(findings) == 101
    assert findings[-1].message == "400 more findings of this kind"


def test_programs_nested_too_deep_are_refused(tmp_path: Path) -> None:
    data = graph_bytes("Identity")
    for _ in range(12):
        builder = ModuleBuilder()
        builder.constant(data)
        data = builder.meta_graph.graph_def.SerializeToString()
    write_module(tmp_path / "m", builder)
    assert [f.rule for f in scan_directory(tmp_path / "m")] == ["safe/nested-program"]


def rings() -> Any:
    builder = ModuleBuilder()
    for a, b in (("a", "b"), ("b", "a")):
        node = builder.meta_graph.graph_def.node.add(name=a, op="Identity")
        node.input.append(b)
    builder.node("InitializeTableFromTextFileV2", ["a", "a"])
    for f, g in (("f", "g"), ("g", "f")):
        function = builder.meta_graph.graph_def.library.function.add()
        function.signature.name = f
        function.signature.input_arg.add(name="x")
        call = function.node_def.add(name="call", op="PartitionedCall")
        call.input.append("x")
        call.attr["f"].func.name = g
        restore = function.node_def.add(name="restore", op="RestoreV2")
        restore.input.append("x")
    builder.meta_graph.saver_def.filename_tensor_name = "a:0"
    builder.meta_graph.saver_def.restore_op_name = "call"
    return builder


def test_rings_of_nodes_and_of_calls_end(tmp_path: Path) -> None:
    builder = rings()
    builder.node("StatefulPartitionedCall", ["a"], {"f": Func("f")}, name="call")
    write_module(tmp_path / "m", builder)
    assert {"safe/table-file", "safe/reads-files"} >= {f.rule for f in scan_directory(tmp_path / "m")}
    assert len(scan_directory(tmp_path / "m")) >= 2
