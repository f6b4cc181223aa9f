"""``saved_model.pb``: graph variants, read without parsing their graphs."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format

from hubplug.errors import FormatError, UnknownTagsError
from hubplug_format import AssetInfo, ModuleBuilder, SavedModelFile, message_class, signatures_of


def model_bytes(*builders: ModuleBuilder) -> bytes:
    model = message_class("SavedModel")(meta_graphs=[builder.meta_graph for builder in builders])
    data: bytes = model.SerializeToString()
    return data


def test_every_variant_is_found_by_its_tags(small_module: Path) -> None:
    model = SavedModelFile.read(small_module)
    assert list(model.variants) == [frozenset(), frozenset({"train"})]
    assert model.variant(["train"]).tags == {"train"}
    assert model.variant().tags == frozenset()
    assert model.schema_version == 0


def test_unknown_tags_list_the_variants_there_are(small_module: Path) -> None:
    with pytest.raises(
        UnknownTagsError, match=r"No such graph variant: tags=\['x'\].*\[\] \(inference\), \['train'\]"
    ) as caught:
        SavedModelFile.read(small_module).variant({"x"})
    assert isinstance(caught.value, KeyError)
    assert isinstance(caught.value, ValueError)


def test_signatures_attachments_assets_and_variables_are_read(small_module: Path) -> None:
    variant = SavedModelFile.read(small_module).variant()
    assert list(variant.signatures) == ["constants", "default"]
    given = variant.signatures["default"].inputs["x"]
    assert (given.dtype, given.shape, given.kind, given.names) == ("float32", (None, 2), "dense", {"name": "x:0"})
    assert variant.method_names == {"constants": "", "default": ""}
    assert variant.attachments == {"note": b"\x0a\x05hello"}
    assert variant.assets == (AssetInfo("vocab_path:0", "vocab.txt", "saved_model_assets"),)
    assert [variable.key for variable in variant.variables] == ["scope/w", "names", "count"]
    weights, names, _ = variant.variables
    assert weights.collections == ("variables", "trainable_variables")
    assert weights.initializer_name == "scope/w/Assign"
    assert weights.snapshot_name == "scope/w/Read/ReadVariableOp:0"
    assert weights.is_resource
    assert weights.trainable
    assert names.collections == ("variables",)
    assert not names.trainable
    assert "MatMul" in variant.stripped_ops
    assert variant.saver is None
    assert not variant.has_object_graph


def test_collections_are_described_and_read(small_module: Path) -> None:
    variant = SavedModelFile.read(small_module).variant()
    assert (variant.collections["asset_filepaths"].kind, variant.collections["asset_filepaths"].size) == (
        "node_list",
        1,
    )
    assert variant.collection("asset_filepaths") == ("vocab_path:0",)
    assert variant.collection("no_such_collection") == ()
    ((type_url, _),) = variant.collection("saved_model_assets")
    assert type_url == "type.googleapis.com/tensorflow.AssetFileDef"
    assert "no_such_collection" not in variant.collections


def test_an_asset_may_stand_in_the_field_of_its_own() -> None:
    builder = ModuleBuilder()
    builder.meta_graph.asset_file_def.add(filename="a.txt").tensor_info.name = "Const:0"
    variant = SavedModelFile.from_bytes(model_bytes(builder)).variant()
    assert variant.assets == (AssetInfo("Const:0", "a.txt", "asset_file_def"),)


def test_the_meta_graph_bytes_are_those_of_the_file_with_unknown_fields() -> None:
    builder = ModuleBuilder()
    builder.constant(1.0)
    meta_graph = builder.meta_graph.SerializeToString() + b"\xaa\x3f\x03new"
    kind = message_class("MetaGraphDef")
    data = b"\x12" + bytes([len(meta_graph)]) + meta_graph if len(meta_graph) < 128 else None
    assert data is not None
    variant = SavedModelFile.from_bytes(data).variant()
    assert variant.meta_graph_bytes == meta_graph
    assert kind.FromString(meta_graph).SerializeToString().endswith(b"\xaa\x3f\x03new")


def test_the_graph_is_parsed_only_when_asked_for() -> None:
    data = b"\x12\x06\x12\x04\xff\xff\xff\xff"
    model = SavedModelFile.from_bytes(data)
    assert model.variant().signatures == {}
    with pytest.raises(FormatError, match=r"the graph of meta graph 0 of saved_model\.pb is damaged"):
        _ = model.variant().graph


def test_a_graph_that_comes_in_pieces_is_joined_as_tensorflow_does() -> None:
    first, second = ModuleBuilder(), ModuleBuilder()
    first.constant(1.0, name="a")
    second.constant(2.0, name="b")
    pieces = first.meta_graph.SerializeToString() + second.meta_graph.SerializeToString()
    length = len(pieces)
    data = b"\x12" + bytes([length & 127 | 128, length >> 7]) + pieces
    assert [node.name for node in SavedModelFile.from_bytes(data).variant().graph.nodes] == ["a", "b"]


def test_nodes_and_functions_are_there(small_module: Path) -> None:
    graph = SavedModelFile.read(small_module).variant().graph
    assert {"x", "MatMul", "vocab_path"} <= {node.name for node in graph.nodes}
    assert list(graph.functions) == []


def test_a_variant_pickles_as_its_bytes(small_module: Path) -> None:
    variant = SavedModelFile.read(small_module).variant(["train"])
    again = pickle.loads(pickle.dumps(variant))
    assert again.tags == {"train"}
    assert again.meta_graph_bytes == variant.meta_graph_bytes
    assert again.signatures == variant.signatures


def test_in_memory_meta_graphs_have_signatures_too(small_module: Path) -> None:
    variant = SavedModelFile.read(small_module).variant()
    assert signatures_of(variant.meta_graph_bytes) == variant.signatures


def test_two_variants_with_the_same_tags_are_an_error() -> None:
    with pytest.raises(FormatError, match=r"two graph variants with the same tags \['train'\]"):
        SavedModelFile.from_bytes(model_bytes(ModuleBuilder(["train"]), ModuleBuilder(["train"])))


def test_a_file_without_meta_graph_is_an_error() -> None:
    with pytest.raises(FormatError, match="holds no meta graph in its 0 bytes"):
        SavedModelFile.from_bytes(b"")


def test_without_a_saved_model_the_error_says_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "variables").mkdir()
    with pytest.raises(FormatError, match=r"There is no SavedModel in .*: it holds variables/, but no saved_model\.pb"):
        SavedModelFile.read(tmp_path)


def test_a_saved_model_in_pieces_is_refused(tmp_path: Path) -> None:
    (tmp_path / "saved_model.cpb").write_bytes(b"")
    with pytest.raises(FormatError, match="in pieces"):
        SavedModelFile.read(tmp_path)


def test_a_larger_file_than_the_cap_is_refused(small_module: Path) -> None:
    with pytest.raises(FormatError, match="more than the 100 that"):
        SavedModelFile.read(small_module, max_bytes=100)


def test_the_text_format_reads_the_same(small_module: Path, tmp_path: Path) -> None:
    data = (small_module / "saved_model.pb").read_bytes()
    text = text_format.MessageToString(message_class("SavedModel").FromString(data))
    (tmp_path / "saved_model.pbtxt").write_text(text, encoding="utf-8")
    read, expected = SavedModelFile.read(tmp_path), SavedModelFile.read(small_module)
    assert read.variant().signatures == expected.variant().signatures
    assert read.variant().attachments == expected.variant().attachments
    assert read.variant().assets == expected.variant().assets
    assert len(read.variant().graph.nodes) == len(expected.variant().graph.nodes)


def test_damaged_text_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pbtxt").write_text("meta_graphs { graph_def { node {", encoding="utf-8")
    with pytest.raises(FormatError, match="not a SavedModel in text format"):
        SavedModelFile.read(tmp_path)


@pytest.mark.parametrize("unknown", [True, False])
def test_sparse_signatures_are_read(unknown: bool) -> None:
    builder = ModuleBuilder()
    info = builder.meta_graph.signature_def["default"].inputs["s"]
    info.dtype = 7
    info.tensor_shape.unknown_rank = unknown
    info.coo_sparse.values_tensor_name = "v:0"
    info.coo_sparse.indices_tensor_name = "i:0"
    info.coo_sparse.dense_shape_tensor_name = "d:0"
    found = SavedModelFile.from_bytes(model_bytes(builder)).variant().signatures["default"].inputs["s"]
    assert (found.dtype, found.kind, found.shape) == ("string", "sparse", None if unknown else ())
    assert found.names == {"values": "v:0", "indices": "i:0", "shape": "d:0"}


def test_ragged_signatures_have_the_dtype_and_shape_of_their_type_spec() -> None:
    builder = ModuleBuilder()
    composite = builder.meta_graph.signature_def["default"].inputs["r"].composite_tensor
    composite.type_spec.type_spec_class = 3
    state = composite.type_spec.type_state.tuple_value.values
    shape = state.add().tensor_shape_value
    shape.dim.add(size=2)
    shape.dim.add(size=-1)
    state.add().tensor_dtype_value = 1
    state.add().int64_value = 1
    state.add().tensor_dtype_value = 9
    for name in ("values:0", "row_splits:0"):
        composite.components.add(name=name)
    found = SavedModelFile.from_bytes(model_bytes(builder)).variant().signatures["default"].inputs["r"]
    assert (found.dtype, found.shape, found.kind) == ("float32", (2, None), "composite")
    assert found.names == {"0": "values:0", "1": "row_splits:0"}


def test_signatures_are_read_without_parsing_the_graph() -> None:
    builder = ModuleBuilder()
    builder.signature(outputs={"default": builder.constant(1.0)})
    meta_graph = builder.meta_graph
    meta_graph.ClearField("graph_def")
    unparsable = meta_graph.SerializeToString() + b"\x12\x03\xff\xff\xff"
    assert len(unparsable) < 0x4000
    data = b"\x12" + bytes([len(unparsable) & 0x7F | 0x80, len(unparsable) >> 7]) + unparsable
    variant = SavedModelFile.from_bytes(data).variant()
    assert list(variant.signatures) == ["default"]
    with pytest.raises(FormatError):
        _ = variant.graph


def test_tensorflow_is_not_imported_and_the_default_pool_is_left_alone(small_module: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['tensorflow'] = None\n"
        "from google.protobuf import descriptor_pool\n"
        "from hubplug_format import SavedModelFile\n"
        "print(sorted(SavedModelFile.read(sys.argv[1]).variant().signatures))\n"
        "try:\n"
        "    descriptor_pool.Default().FindMessageTypeByName('tensorflow.GraphDef')\n"
        "except KeyError:\n"
        "    print('untouched')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(small_module)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["['constants', 'default']", "untouched"]
