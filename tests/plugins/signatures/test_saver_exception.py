"""A saver's ops are quiet only where nothing but the saver runs them, and where the path that they compute is its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from hubplug.types import Finding
from hubplug_format import Func, ModuleBuilder, Type, message_class, write_module
from hubplug_signatures._scan import scan_directory


def tf1_saver() -> ModuleBuilder:
    """The saver of a TF1 SavedModel, as TensorFlow writes it."""
    builder = ModuleBuilder(["serve"])
    value = builder.variable("v", 1.0)
    default = builder.constant("model", name="save/filename/input")
    given = builder.node("PlaceholderWithDefault", [default], name="save/filename")
    path = builder.node("PlaceholderWithDefault", [given], name="save/Const")
    suffix = builder.constant("_temp_0123/part", name="save/suffix")
    joined = builder.node("StringJoin", [path, suffix], name="save/StringJoin")
    sharded = builder.node("ShardedFilename", [joined, builder.constant(0), builder.constant(1)], name="save/Sharded")
    names = builder.constant(["v"], name="save/names")
    builder.node("SaveV2", [sharded, names, names, value], name="save/SaveV2")
    parts = builder.node("Pack", [sharded, "^save/SaveV2"], name="save/parts")
    builder.node("MergeV2Checkpoints", [parts, path], name="save/Merge")
    builder.node("Identity", [path, "^save/Merge"], name="save/Identity")
    restored = builder.node("RestoreV2", [path, names, names], name="save/RestoreV2")
    builder.node("AssignVariableOp", ["v", restored], name="save/Assign")
    builder.node("NoOp", ["^save/Assign"], name="save/restore_all")
    saver = builder.meta_graph.saver_def
    saver.filename_tensor_name = "save/Const:0"
    saver.save_tensor_name = "save/Identity:0"
    saver.restore_op_name = "save/restore_all"
    return builder


def node_of(builder: ModuleBuilder, name: str) -> Any:
    return next(node for node in builder.meta_graph.graph_def.node if node.name == name)


def errors(tmp_path: Path, builder: ModuleBuilder) -> list[Finding]:
    write_module(tmp_path / "m", builder)
    return [finding for finding in scan_directory(tmp_path / "m") if finding.level == "error"]


def places(tmp_path: Path, builder: ModuleBuilder) -> set[str]:
    return {finding.where or "" for finding in errors(tmp_path, builder)}


def test_the_saver_of_a_saved_model_is_quiet(tmp_path: Path) -> None:
    assert errors(tmp_path, tf1_saver()) == []


def test_the_same_saver_in_the_collection_of_training_programs_is_quiet(tmp_path: Path) -> None:
    builder = tf1_saver()
    builder.collection("savers").bytes_list.value.append(builder.meta_graph.saver_def.SerializeToString())
    assert errors(tmp_path, builder) == []


Spoil = Callable[[ModuleBuilder], None]


def run_by_a_signature(builder: ModuleBuilder) -> None:
    builder.signature(outputs={"x": builder.node("Identity", ["save/Identity"], name="innocent")})


def run_by_a_composite_output(builder: ModuleBuilder) -> None:
    info = builder.meta_graph.signature_def["default"].outputs["x"]
    part = info.composite_tensor.components.add().composite_tensor.components.add()
    part.name = "save/Identity:0"


def run_by_an_initializer(builder: ModuleBuilder) -> None:
    definition = message_class("VariableDef").FromString(builder.collection("variables").bytes_list.value[0])
    definition.initial_value_name = "save/Identity:0"
    definition.variable_name = "other:0"
    builder.collection("variables").bytes_list.value.append(definition.SerializeToString())


def run_by_the_restore_op_of_another_saver(builder: ModuleBuilder) -> None:
    """As training programs take it from the collection."""
    saver = message_class("SaverDef")(restore_op_name="save/Identity", filename_tensor_name="save/Const:0")
    builder.collection("savers").bytes_list.value.append(saver.SerializeToString())


def run_by_a_main_op(builder: ModuleBuilder) -> None:
    builder.collection("saved_model_main_op").node_list.value.append("save/Identity")


def run_by_the_init_signature(builder: ModuleBuilder) -> None:
    builder.meta_graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "save/Identity"


def run_by_a_table_initializer(builder: ModuleBuilder) -> None:
    builder.node("NoOp", ["^save/SaveV2"], name="init")
    builder.collection("table_initializer").node_list.value.append("init")


def run_by_the_init_op_of_a_scaffold(builder: ModuleBuilder) -> None:
    builder.collection("init_op").node_list.value.append("save/Merge")


def run_by_a_queue_runner(builder: ModuleBuilder) -> None:
    builder.collection("queue_runners").bytes_list.value.append(b"\n\x01q\x12\x0dsave/Identity")


def run_before_the_restore(builder: ModuleBuilder) -> None:
    node_of(builder, "save/Assign").input.append("^save/SaveV2")


def run_by_the_restore_through_its_data(builder: ModuleBuilder) -> None:
    node_of(builder, "save/RestoreV2").input[0] = "save/Identity"


def one_name_for_save_and_restore(builder: ModuleBuilder) -> None:
    builder.meta_graph.saver_def.restore_op_name = "save/Identity"


def run_by_a_node_that_nobody_names(builder: ModuleBuilder) -> None:
    builder.node("SaveV2", ["save/Sharded", "save/names", "save/names", "v/Read/ReadVariableOp"], name="save/SaveV2_1")


def path_of_its_own(builder: ModuleBuilder) -> None:
    builder.constant("/etc/cron.d/x", name="elsewhere")
    node_of(builder, "save/SaveV2").input[0] = "elsewhere"


def the_default_instead_of_what_is_fed(builder: ModuleBuilder) -> None:
    node_of(builder, "save/SaveV2").input[0] = "save/filename"


def absolute_default(builder: ModuleBuilder) -> None:
    node_of(builder, "save/filename/input").attr["value"].tensor.string_val[0] = b"/etc/cron.d/x"


def absolute_default_in_content(builder: ModuleBuilder) -> None:
    node_of(builder, "save/filename/input").attr["value"].tensor.tensor_content = b"\x06/etc/x"


def suffix_that_climbs(builder: ModuleBuilder) -> None:
    node_of(builder, "save/suffix").attr["value"].tensor.string_val[0] = b"/../../etc/x"


def suffix_in_content(builder: ModuleBuilder) -> None:
    node_of(builder, "save/suffix").attr["value"].tensor.tensor_content = b"\x09/../etc/x"


def dots_split_over_constants(builder: ModuleBuilder) -> None:
    for name, value in (("one", b"/."), ("two", b"./x")):
        builder.constant(value, name=name)
    node_of(builder, "save/StringJoin").input[1:] = ["one", "two"]


def separator_that_climbs(builder: ModuleBuilder) -> None:
    node_of(builder, "save/StringJoin").attr["separator"].s = b"/../"


def separator_that_the_caller_gives(builder: ModuleBuilder) -> None:
    node_of(builder, "save/StringJoin").attr["separator"].placeholder = "separator"


def branch_that_climbs(builder: ModuleBuilder) -> None:
    builder.constant("/../../x", name="climbs")
    builder.node("Select", [builder.constant(True), "save/suffix", "climbs"], name="chosen")
    node_of(builder, "save/StringJoin").input[1] = "chosen"


def path_that_does_not_come_first(builder: ModuleBuilder) -> None:
    builder.constant("/etc", name="root")
    node_of(builder, "save/StringJoin").input[:] = ["root", "save/Const"]


def suffix_that_is_computed(builder: ModuleBuilder) -> None:
    builder.node("DecodeBase64", ["save/suffix"], name="decoded")
    node_of(builder, "save/StringJoin").input[1] = "decoded"


def suffix_that_is_fed(builder: ModuleBuilder) -> None:
    builder.node("PlaceholderWithDefault", ["save/suffix"], name="fed")
    node_of(builder, "save/StringJoin").input[1] = "fed"


def suffix_of_a_ring(builder: ModuleBuilder) -> None:
    builder.node("StringJoin", ["save/suffix", "ring"], name="ring")
    node_of(builder, "save/StringJoin").input[1] = "ring"


@pytest.mark.parametrize(
    "spoil",
    [
        run_by_a_signature,
        run_by_a_composite_output,
        run_by_an_initializer,
        run_by_the_restore_op_of_another_saver,
        run_by_a_main_op,
        run_by_the_init_signature,
        run_by_a_table_initializer,
        run_by_the_init_op_of_a_scaffold,
        run_by_a_queue_runner,
        run_before_the_restore,
        run_by_the_restore_through_its_data,
        one_name_for_save_and_restore,
        path_of_its_own,
        the_default_instead_of_what_is_fed,
        absolute_default,
        absolute_default_in_content,
        suffix_that_climbs,
        suffix_in_content,
        dots_split_over_constants,
        separator_that_climbs,
        separator_that_the_caller_gives,
        branch_that_climbs,
        path_that_does_not_come_first,
        suffix_that_is_computed,
        suffix_that_is_fed,
        suffix_of_a_ring,
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_writing_is_a_finding_when_anything_else_has_a_part_in_it(tmp_path: Path, spoil: Spoil) -> None:
    builder = tf1_saver()
    spoil(builder)
    assert "node 'save/SaveV2'" in places(tmp_path, builder)


def test_writing_that_no_saver_names_is_a_finding(tmp_path: Path) -> None:
    builder = tf1_saver()
    run_by_a_node_that_nobody_names(builder)
    assert places(tmp_path, builder) == {"node 'save/SaveV2_1'"}


def test_a_constant_is_read_as_tensorflow_reads_it(tmp_path: Path) -> None:
    """The content goes before the values, values beyond the shape are dropped, and too few are repeated."""
    builder = tf1_saver()
    tensor = node_of(builder, "save/suffix").attr["value"].tensor
    tensor.string_val[:] = [b"_plain", b"/../dropped"]
    assert errors(tmp_path, builder) == []
    tensor.string_val[:] = [b"/../ignored"]
    tensor.tensor_content = b"\x06_plain"
    write_module(tmp_path / "content", builder)
    assert scan_directory(tmp_path / "content") == []
    for number, content in enumerate([b"\x07_plain", b"\x05_plain", b"\x80", b"\x86\x80\x80\x80\x80\x01_plain"]):
        tensor.tensor_content = content
        write_module(tmp_path / f"damaged{number}", builder)
        assert scan_directory(tmp_path / f"damaged{number}") != []


@pytest.mark.parametrize("name", ["save/filename", "elsewhere"])
def test_reading_another_path_is_a_finding(tmp_path: Path, name: str) -> None:
    builder = tf1_saver()
    builder.constant("/var/other", name="elsewhere")
    node_of(builder, "save/RestoreV2").input[0] = name
    assert places(tmp_path, builder) == {"node 'save/RestoreV2'"}


def tf2_saver() -> ModuleBuilder:
    """A saver in functions, as ``tf.saved_model.save`` writes it."""
    builder = ModuleBuilder(["serve"])
    value = builder.variable("v", 1.0)
    del builder.meta_graph.collection_def["variables"], builder.meta_graph.collection_def["trainable_variables"]
    path = builder.placeholder("saver_filename", "string", [])
    library = builder.meta_graph.graph_def.library
    inside = ModuleBuilder()
    names = inside.constant(["v"], name="names")
    suffix = inside.constant(".part", name="suffix")
    joined = inside.node("StringJoin", ["file_prefix", suffix], name="joined")
    inside.node("SaveV2", [joined, names, names, "value"], name="write")
    save = library.function.add()
    save.signature.name = "save"
    save.signature.input_arg.add(name="file_prefix")
    save.signature.input_arg.add(name="value")
    save.node_def.extend(inside.meta_graph.graph_def.node)
    restore = library.function.add()
    restore.signature.name = "restore"
    restore.signature.input_arg.add(name="file_prefix")
    restore.node_def.add(name="read", op="RestoreV2").input.extend(["file_prefix", "names:output:0", "names:output:0"])
    builder.node("StatefulPartitionedCall", [path, value], {"f": Func("save")}, name="saving")
    builder.node("StatefulPartitionedCall", [path], {"f": Func("restore")}, name="restoring")
    saver = builder.meta_graph.saver_def
    saver.filename_tensor_name = "saver_filename:0"
    saver.save_tensor_name = "saving:0"
    saver.restore_op_name = "restoring"
    return builder


def function_of(builder: ModuleBuilder, name: str) -> Any:
    return next(f for f in builder.meta_graph.graph_def.library.function if f.signature.name == name)


def test_a_saver_in_functions_is_quiet(tmp_path: Path) -> None:
    assert errors(tmp_path, tf2_saver()) == []


def called_by_the_restore_function(builder: ModuleBuilder) -> None:
    call = function_of(builder, "restore").node_def.add(name="call", op="StatefulPartitionedCall")
    call.input.extend(["file_prefix", "file_prefix"])
    call.attr["f"].func.name = "save"


def called_by_a_ring(builder: ModuleBuilder) -> None:
    called_by_the_restore_function(builder)
    call = function_of(builder, "save").node_def.add(name="back", op="StatefulPartitionedCall")
    call.input.append("file_prefix")
    call.attr["f"].func.name = "restore"


def called_by_an_object(builder: ModuleBuilder) -> None:
    builder.meta_graph.object_graph_def.nodes.add().function.concrete_functions.append("save")


def called_by_a_bare_object(builder: ModuleBuilder) -> None:
    builder.meta_graph.object_graph_def.nodes.add().bare_concrete_function.concrete_function_name = "save"


def gradient_of_another(builder: ModuleBuilder) -> None:
    builder.meta_graph.graph_def.library.gradient.add(function_name="restore", gradient_func="save")


def swapped_for_another(builder: ModuleBuilder) -> None:
    function_of(builder, "save").attr["api_implements"].s = b"same"


def default_of_an_attribute(builder: ModuleBuilder) -> None:
    attr = function_of(builder, "restore").signature.attr.add(name="f", type="func")
    attr.default_value.func.name = "save"


def branch(builder: ModuleBuilder) -> None:
    node_of(builder, "saving").op = "If"


def two_tensors_for_one_argument(builder: ModuleBuilder) -> None:
    function_of(builder, "save").signature.input_arg[0].number_attr = "N"


def another_call(builder: ModuleBuilder) -> None:
    path = builder.constant("/etc/cron.d/x")
    builder.node("PartitionedCall", [path, path], {"f": Func("save")})


def argument_that_is_the_value(builder: ModuleBuilder) -> None:
    node_of(builder, "saving").input[:] = ["v/Read/ReadVariableOp", "saver_filename"]


@pytest.mark.parametrize(
    "spoil",
    [
        called_by_the_restore_function,
        called_by_a_ring,
        called_by_an_object,
        called_by_a_bare_object,
        gradient_of_another,
        swapped_for_another,
        default_of_an_attribute,
        branch,
        two_tensors_for_one_argument,
        another_call,
        argument_that_is_the_value,
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_writing_in_a_function_is_a_finding_when_anything_else_can_call_it(tmp_path: Path, spoil: Spoil) -> None:
    builder = tf2_saver()
    spoil(builder)
    assert "function 'save', node 'write'" in places(tmp_path, builder)


def test_a_saver_of_another_graph_variant_covers_nothing(tmp_path: Path) -> None:
    saved, other = tf1_saver(), tf1_saver()
    other.meta_graph.meta_info_def.tags[:] = ["other"]
    other.meta_graph.ClearField("saver_def")
    write_module(tmp_path / "m", saved, other)
    found = scan_directory(tmp_path / "m")
    assert {finding.tags for finding in found} == {frozenset({"other"})}
    assert {finding.rule for finding in found} == {"safe/writes-files", "safe/reads-files"}


def test_the_op_of_a_signature_is_named_by_its_tensor(tmp_path: Path) -> None:
    """An operation of the name alone counts as well, as TensorFlow takes both."""
    builder = tf1_saver()
    output = builder.node("Identity", ["save/Identity"], {"T": Type("string")}, name="out")
    builder.signature(outputs={"x": output})
    builder.meta_graph.signature_def["default"].outputs["x"].name = "out"
    assert "node 'save/SaveV2'" in places(tmp_path, builder)


def test_an_allowed_op_where_it_is_harmless_is_not_reported(tmp_path: Path) -> None:
    write_module(tmp_path / "m", tf1_saver())
    assert scan_directory(tmp_path / "m", frozenset({"SaveV2"})) == []


@pytest.mark.parametrize("spoil", [called_by_an_object, called_by_a_bare_object], ids=lambda spoil: spoil.__name__)
def test_objects_in_the_text_format_count_as_well(tmp_path: Path, spoil: Spoil) -> None:
    builder = tf2_saver()
    spoil(builder)
    write_module(tmp_path / "m", builder)
    model = message_class("SavedModel").FromString((tmp_path / "m/saved_model.pb").read_bytes())
    (tmp_path / "m/saved_model.pb").unlink()
    (tmp_path / "m/saved_model.pbtxt").write_text(text_format.MessageToString(model), encoding="utf-8")
    assert "function 'save', node 'write'" in {finding.where for finding in scan_directory(tmp_path / "m")}
