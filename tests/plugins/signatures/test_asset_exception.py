"""A table may read the file of an asset only where a loader puts that path, and nothing else can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hubplug.types import Finding
from hubplug_format import Func, ModuleBuilder, Tensor, Type, Values, dtype_number, message_class, write_module
from hubplug_signatures._scan import scan_directory

TABLE = {"Tin": Type("string"), "Tout": Type("int64")}


def fill(builder: ModuleBuilder, path: Tensor | str, name: str = "fill", *waits: str) -> Tensor:
    return builder.node("InitializeTableFromTextFileV2", ["table", path, *waits], name=name)


def hub_module() -> ModuleBuilder:
    """A vocabulary, as modules in TF1 Hub format have it."""
    builder = ModuleBuilder()
    builder.node("HashTableV2", (), {"key_dtype": Type("string"), "value_dtype": Type("int64")}, name="table")
    path = builder.asset("passwd", b"a\n", name="path")
    fill(builder, path)
    builder.collection("table_initializer").node_list.value.append("fill")
    builder.signature(outputs={"default": builder.constant(1.0, name="out")})
    return builder


def v1_saved_model() -> ModuleBuilder:
    """As TF1 SavedModels have it: the constant still holds the path that the file had."""
    builder = hub_module()
    node_of(builder, "path").attr["value"].tensor.string_val[0] = b"/home/me/passwd"
    builder.node("NoOp", ["^fill"], name="init")
    builder.collection("legacy_init_op").node_list.value.append("init")
    return builder


def tf2_saved_model() -> ModuleBuilder:
    """As ``tf.saved_model.save`` writes it: an object for its own loader, a variable for those of TensorFlow 1."""
    builder = ModuleBuilder(["serve"])
    builder.node("HashTableV2", (), {"key_dtype": Type("string"), "value_dtype": Type("int64")}, name="table")
    builder.placeholder("asset_path_initializer", "string", [])
    string = {"dtype": Type("string")}
    builder.node("VarHandleOp", (), string | {"shared_name": "Variable"}, name="Variable")
    builder.node("AssignVariableOp", ["Variable", "asset_path_initializer"], string, name="Variable/Assign")
    read = builder.node("ReadVariableOp", ["Variable", "^Variable/Assign"], string, name="read")
    builder.node("StatefulPartitionedCall", [read, "table"], {"f": Func("initializer")}, name="initialize")
    builder.node("NoOp", ["^initialize", "^Variable/Assign"], name="NoOp")
    builder.collection("saved_model_main_op").node_list.value.append("NoOp")
    initializer = builder.meta_graph.graph_def.library.function.add()
    initializer.signature.name = "initializer"
    for name in ("filename", "handle"):
        initializer.signature.input_arg.add(name=name)
    initializer.node_def.add(name="fill", op="InitializeTableFromTextFileV2").input.extend(["handle", "filename"])
    asset = builder.meta_graph.asset_file_def.add(filename="passwd")
    asset.tensor_info.name = "asset_path_initializer:0"
    builder.assets["passwd"] = b"a\n"
    objects = builder.meta_graph.object_graph_def
    objects.nodes.add().asset.asset_file_def_index = 0
    objects.nodes.add()
    objects.concrete_functions["initializer"].bound_inputs.extend([0, 1])
    return builder


def node_of(builder: ModuleBuilder, name: str) -> Any:
    return next(node for node in builder.meta_graph.graph_def.node if node.name == name)


def initializer_of(builder: ModuleBuilder) -> Any:
    return builder.meta_graph.graph_def.library.function[0]


def errors(tmp_path: Path, builder: ModuleBuilder) -> list[Finding]:
    write_module(tmp_path / "m", builder)
    return [finding for finding in scan_directory(tmp_path / "m") if finding.level == "error"]


@pytest.mark.parametrize("make", [hub_module, v1_saved_model, tf2_saved_model], ids=lambda make: make.__name__)
def test_a_table_of_an_asset_is_quiet(tmp_path: Path, make: Callable[[], ModuleBuilder]) -> None:
    assert errors(tmp_path, make()) == []


Spoil = Callable[[ModuleBuilder], None]


def another_constant(builder: ModuleBuilder) -> None:
    builder.constant("/etc/passwd", name="other")
    node_of(builder, "fill").input[1] = "other"


def literal_of_another_file(builder: ModuleBuilder) -> None:
    node_of(builder, "path").attr["value"].tensor.string_val[0] = b"/etc/shadow"


def literal_in_content(builder: ModuleBuilder) -> None:
    node_of(builder, "path").attr["value"].tensor.tensor_content = b"\x0b/etc/passwd"


def literal_of_that_name_which_a_program_reads_itself(builder: ModuleBuilder) -> None:
    node_of(builder, "path").attr["value"].tensor.string_val[0] = b"/etc/passwd"


def filled_by_a_signature(builder: ModuleBuilder) -> None:
    builder.node("Identity", ["out", "^fill"], name="out_1")
    builder.meta_graph.signature_def["default"].outputs["default"].name = "out_1:0"


def filled_by_a_signature_only(builder: ModuleBuilder) -> None:
    filled_by_a_signature(builder)
    del builder.meta_graph.collection_def["table_initializer"]


def filled_by_nobody(builder: ModuleBuilder) -> None:
    del builder.meta_graph.collection_def["table_initializer"]


def filled_by_a_training_program(builder: ModuleBuilder) -> None:
    filled_by_nobody(builder)
    builder.collection("local_init_op").node_list.value.append("fill")


def filled_before_a_restore(builder: ModuleBuilder) -> None:
    saver = builder.meta_graph.saver_def
    saver.restore_op_name = "fill"


def filled_by_an_update(builder: ModuleBuilder) -> None:
    builder.collection("update_ops").node_list.value.append("fill")


def filled_by_the_initializer_of_a_variable(builder: ModuleBuilder) -> None:
    builder.variable("v", 1.0)
    node_of(builder, "v/Assign").input.append("^fill")


def asset_of_a_default(builder: ModuleBuilder) -> None:
    builder.constant("/etc/passwd", name="default")
    node = node_of(builder, "path")
    node.op = "PlaceholderWithDefault"
    node.input.append("default")


def second_output(builder: ModuleBuilder) -> None:
    node_of(builder, "fill").input[1] = "path:1"


def asset_of_another_output(builder: ModuleBuilder) -> None:
    packed = builder.collection("saved_model_assets").any_list.value[0]
    definition = message_class("AssetFileDef").FromString(packed.value)
    definition.tensor_info.name = "path:1"
    packed.value = definition.SerializeToString()


def collection_that_a_field_hides(builder: ModuleBuilder) -> None:
    asset = builder.meta_graph.asset_file_def.add(filename="passwd")
    asset.tensor_info.name = "out:0"


def two_assets_of_one_tensor(builder: ModuleBuilder) -> None:
    items = builder.collection("saved_model_assets").any_list.value
    definition = message_class("AssetFileDef").FromString(items[0].value)
    definition.filename = "other"
    items.add(type_url=items[0].type_url, value=definition.SerializeToString())
    builder.assets["other"] = b""


def _between(builder: ModuleBuilder, op: str, *more: str) -> None:
    builder.constant("/etc/passwd", name="evil")
    builder.node(op, ["path", *more], name="between")
    node_of(builder, "fill").input[1] = "between"


def joined(builder: ModuleBuilder) -> None:
    _between(builder, "StringJoin", "evil")


def merged(builder: ModuleBuilder) -> None:
    _between(builder, "Merge", "evil")


def switched(builder: ModuleBuilder) -> None:
    _between(builder, "Switch", "evil")


def selected(builder: ModuleBuilder) -> None:
    _between(builder, "SelectV2", "evil", "evil")


def formatted(builder: ModuleBuilder) -> None:
    _between(builder, "StringFormat")


def unbatched(builder: ModuleBuilder) -> None:
    _between(builder, "Unbatch")


def looked_up(builder: ModuleBuilder) -> None:
    _between(builder, "LookupTableFindV2", "evil")


@pytest.mark.parametrize(
    "spoil",
    [
        another_constant,
        literal_of_another_file,
        literal_in_content,
        literal_of_that_name_which_a_program_reads_itself,
        filled_by_a_signature,
        filled_by_a_signature_only,
        filled_by_nobody,
        filled_by_a_training_program,
        filled_before_a_restore,
        filled_by_an_update,
        filled_by_the_initializer_of_a_variable,
        asset_of_a_default,
        second_output,
        asset_of_another_output,
        collection_that_a_field_hides,
        two_assets_of_one_tensor,
        joined,
        merged,
        switched,
        selected,
        formatted,
        unbatched,
        looked_up,
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_a_path_that_can_be_another_is_a_finding(tmp_path: Path, spoil: Spoil) -> None:
    builder = hub_module()
    spoil(builder)
    assert "safe/table-file" in {finding.rule for finding in errors(tmp_path, builder)}


def test_a_literal_counts_where_the_loader_runs_another_initializer(tmp_path: Path) -> None:
    builder = v1_saved_model()
    builder.node("NoOp", name="other")
    builder.collection("saved_model_main_op").node_list.value.append("other")
    (finding,) = errors(tmp_path, builder)
    assert "a program by itself runs 'fill': '/home/me/passwd'" in finding.message


def captured_constant(builder: ModuleBuilder) -> None:
    """The published read of any file: the loader of TensorFlow 2 feeds no constant."""
    path = builder.constant("/etc/passwd", name="path")
    builder.meta_graph.asset_file_def[0].tensor_info.name = path.name
    builder.meta_graph.object_graph_def.nodes[0].constant.operation = "path"


def captured_variable(builder: ModuleBuilder) -> None:
    builder.meta_graph.object_graph_def.nodes[0].variable.name = "path"


def captured_in_another_order(builder: ModuleBuilder) -> None:
    bound = builder.meta_graph.object_graph_def.concrete_functions["initializer"].bound_inputs
    bound[:] = [1, 1, 1, 0, 1]


def object_of_a_class_of_its_own(builder: ModuleBuilder) -> None:
    builder.meta_graph.object_graph_def.nodes[0].registered_name = "Other"


def asset_beyond_the_end(builder: ModuleBuilder) -> None:
    builder.meta_graph.object_graph_def.nodes[0].asset.asset_file_def_index = -1


def called_with_any_path(builder: ModuleBuilder) -> None:
    builder.meta_graph.object_graph_def.concrete_functions["initializer"].bound_inputs[:] = [1]


def named_by_an_object_that_binds_nothing(builder: ModuleBuilder) -> None:
    objects = builder.meta_graph.object_graph_def
    del objects.concrete_functions["initializer"]
    objects.nodes[1].function.concrete_functions.append("initializer")


def swapped_for_another(builder: ModuleBuilder) -> None:
    initializer_of(builder).attr["api_implements"].s = b"same"


def called_by_a_branch(builder: ModuleBuilder) -> None:
    builder.node("If", ["read", "read", "table"], {"then_branch": Func("initializer")})


def called_with_another_path(builder: ModuleBuilder) -> None:
    path = builder.constant("/etc/passwd")
    builder.node("PartitionedCall", [path, "table"], {"f": Func("initializer")})


def called_through_a_function(builder: ModuleBuilder) -> None:
    outer = builder.meta_graph.graph_def.library.function.add()
    outer.signature.name = "outer"
    inside = ModuleBuilder()
    path = inside.constant("/etc/passwd", name="path")
    inside.node("PartitionedCall", [path, path], {"f": Func("initializer")})
    outer.node_def.extend(inside.meta_graph.graph_def.node)


def called_by_a_function_that_is_given_it(builder: ModuleBuilder) -> None:
    """The call in the graph hands the function on, and its asset to nobody."""
    outer = builder.meta_graph.graph_def.library.function.add()
    outer.signature.name = "outer"
    for name in ("filename", "handle"):
        outer.signature.input_arg.add(name=name)
    inside = ModuleBuilder()
    inside.constant("/etc/passwd", name="path")
    inside.node("PartitionedCall", ["path:output:0", "handle"], name="call")
    outer.node_def.extend(inside.meta_graph.graph_def.node)
    outer.node_def[-1].attr["f"].placeholder = "g"
    node_of(builder, "initialize").attr["f"].func.name = "outer"
    node_of(builder, "initialize").attr["f"].func.attr["g"].func.name = "initializer"


def list_of_arguments(builder: ModuleBuilder) -> None:
    initializer_of(builder).signature.input_arg[0].type_list_attr = "T"


def filled_by_another_output_of_the_init_signature(builder: ModuleBuilder) -> None:
    del builder.meta_graph.collection_def["saved_model_main_op"]
    builder.node("NoOp", name="nothing")
    outputs = builder.meta_graph.signature_def["__saved_model_init_op"].outputs
    outputs["__saved_model_init_op"].name = "nothing"
    outputs["other"].name = "NoOp"


def assigned_by_a_signature(builder: ModuleBuilder) -> None:
    output = builder.node("Identity", ["read"], name="out")
    builder.signature(outputs={"x": output})


def assigned_another_path(builder: ModuleBuilder) -> None:
    path = builder.constant("/etc/passwd")
    builder.node("AssignVariableOp", ["Variable", path], {"dtype": Type("string")})


def restored_by_the_saver(builder: ModuleBuilder) -> None:
    builder.node("StatefulPartitionedCall", ["Variable"], {"f": Func("nothing")})


def restored_by_name(builder: ModuleBuilder) -> None:
    definition = message_class("VariableDef")(variable_name="Variable:0", is_resource=True)
    builder.collection("variables").bytes_list.value.append(definition.SerializeToString())


def handle_of_the_same_name(builder: ModuleBuilder) -> None:
    other = builder.node("VarHandleOp", (), {"dtype": Type("string"), "shared_name": "Variable"})
    builder.node("AssignVariableOp", [other, builder.constant("/etc/passwd")], {"dtype": Type("string")})


def handle_of_a_name_that_the_caller_gives(builder: ModuleBuilder) -> None:
    initializer_of(builder).node_def.add(name="again", op="VarHandleOp").attr["shared_name"].placeholder = "name"


def handle_that_is_assigned_to_a_variable(builder: ModuleBuilder) -> None:
    builder.node("VarHandleOp", (), {"dtype": Type("resource"), "shared_name": "keeps"}, name="keeps")
    builder.node("AssignVariableOp", ["keeps", "Variable"], {"dtype": Type("resource")})


def handle_that_is_forged(builder: ModuleBuilder) -> None:
    forged = builder.node("Const", (), {"dtype": Type("resource")})
    handle = node_of(builder, "Const").attr["value"].tensor
    handle.dtype = dtype_number("resource")
    handle.resource_handle_val.add(name="Variable")
    builder.node("AssignVariableOp", [forged, builder.constant("/etc/passwd")], {"dtype": Type("string")})


def handle_of_parsed_bytes(builder: ModuleBuilder) -> None:
    forged = builder.node("ParseTensor", [builder.constant("x")], {"out_type": Type("resource")})
    builder.node("AssignVariableOp", [forged, builder.constant("/etc/passwd")], {"dtype": Type("string")})


@pytest.mark.parametrize(
    "spoil",
    [
        captured_constant,
        captured_variable,
        captured_in_another_order,
        object_of_a_class_of_its_own,
        asset_beyond_the_end,
        called_with_any_path,
        named_by_an_object_that_binds_nothing,
        swapped_for_another,
        called_by_a_branch,
        called_with_another_path,
        called_through_a_function,
        called_by_a_function_that_is_given_it,
        filled_by_another_output_of_the_init_signature,
        list_of_arguments,
        assigned_by_a_signature,
        assigned_another_path,
        restored_by_the_saver,
        restored_by_name,
        handle_of_the_same_name,
        handle_of_a_name_that_the_caller_gives,
        handle_that_is_assigned_to_a_variable,
        handle_that_is_forged,
        handle_of_parsed_bytes,
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_a_path_from_elsewhere_in_a_tf2_saved_model_is_a_finding(tmp_path: Path, spoil: Spoil) -> None:
    builder = tf2_saved_model()
    spoil(builder)
    assert "safe/table-file" in {finding.rule for finding in errors(tmp_path, builder)}


def test_paths_of_too_many_ways_are_a_finding(tmp_path: Path) -> None:
    builder = hub_module()
    for number in range(11_000):
        builder.meta_graph.graph_def.node.add(name=f"n{number}", op="Identity").input.append(f"n{number + 1}")
    builder.meta_graph.graph_def.node.add(name="n11000", op="Identity").input.append("path")
    node_of(builder, "fill").input[1] = "n0"
    assert [finding.rule for finding in errors(tmp_path, builder)] == ["safe/table-file"]


def test_a_file_that_an_export_would_copy_is_an_asset_or_a_finding(tmp_path: Path) -> None:
    builder = hub_module()
    path = builder.node("Const", (), {"dtype": Type("string"), "value": Values.of("/etc/passwd")})
    builder.collection("asset_filepaths").node_list.value.append(path.name)
    (finding,) = errors(tmp_path, builder)
    assert (finding.rule, finding.where) == ("safe/asset", "Const:0")
    assert "'/etc/passwd'" in finding.message


@pytest.mark.parametrize("make", [hub_module, tf2_saved_model], ids=lambda make: make.__name__)
def test_two_nodes_of_one_name_are_a_finding(tmp_path: Path, make: Callable[[], ModuleBuilder]) -> None:
    builder = make()
    function = make is tf2_saved_model
    nodes = initializer_of(builder).node_def if function else builder.meta_graph.graph_def.node
    nodes.add().CopyFrom(nodes[0])
    assert "safe/node-name" in {finding.rule for finding in errors(tmp_path, builder)}
