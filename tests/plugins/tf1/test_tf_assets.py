"""Asset files: from the author's disk into a module, and from there into a graph."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import hubplug
from hubplug_tf1._reading.asset_names import find_escape

v1 = tf.compat.v1


def table_spec(*vocabularies: Path | str, variants: Any = None) -> hubplug.ModuleSpec:
    """Looks words up in the files, one output per file."""

    def module_fn(order: Any = None) -> None:
        words = v1.placeholder(tf.string, [None])
        outputs = {}
        for number in order if order is not None else range(len(vocabularies)):
            source = tf.lookup.TextFileInitializer(
                str(vocabularies[number]),
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            )
            outputs[f"ids{len(outputs)}"] = tf.lookup.StaticHashTable(source, -1).lookup(words)
        hubplug.add_signature(inputs=words, outputs=outputs)

    return hubplug.create_module_spec(module_fn, variants)


def look_up(spec: Any, words: list[str], **arguments: Any) -> dict[str, list[int]]:
    with tf.Graph().as_default():
        results = hubplug.Module(spec, **arguments)(words, as_dict=True)
        with v1.Session() as session:
            session.run(v1.tables_initializer())
            return {key: value.tolist() for key, value in session.run(results).items()}


@pytest.fixture
def vocabulary(tmp_path: Path) -> Any:
    def write(name: str, *words: str) -> Path:
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(word + "\n" for word in words))
        return path

    return write


def test_a_module_carries_its_vocabulary_along(tmp_path: Path, vocabulary: Any, export_module: Any) -> None:
    spec = table_spec(vocabulary("vocab.txt", "a", "b"))
    path = export_module(spec, tmp_path / "m")
    assert (path / "assets" / "vocab.txt").read_text() == "a\nb\n"
    shutil.rmtree(tmp_path / "source")
    path = path.rename(tmp_path / "moved")
    assert look_up(str(path), ["b", "x"]) == {"ids0": [1, -1]}


def test_equal_base_names_get_a_number_appended(tmp_path: Path, vocabulary: Any, export_module: Any) -> None:
    files = [vocabulary(f"{folder}/vocab.txt", folder) for folder in "abc"] + [vocabulary("d/vocab.txt0", "d")]
    path = export_module(table_spec(*files), tmp_path / "m")
    contents = {file.name: file.read_text() for file in (path / "assets").iterdir()}
    assert contents == {"vocab.txt": "a\n", "vocab.txt0": "b\n", "vocab.txt1": "c\n", "vocab.txt00": "d\n"}
    assert look_up(str(path), ["a", "b", "c", "d"]) == {
        "ids0": [0, -1, -1, -1],
        "ids1": [-1, 0, -1, -1],
        "ids2": [-1, -1, 0, -1],
        "ids3": [-1, -1, -1, 0],
    }


def test_one_source_is_one_file_over_all_nodes_and_variants(
    tmp_path: Path, vocabulary: Any, export_module: Any
) -> None:
    files = [vocabulary("a/vocab.txt", "a"), vocabulary("b/vocab.txt", "b")]
    spec = table_spec(*files, variants=[(set(), {"order": [0, 0]}), ({"train"}, {"order": [1, 0]})])
    path = export_module(spec, tmp_path / "m")
    assert sorted(os.listdir(path / "assets")) == ["vocab.txt", "vocab.txt0"]
    assert look_up(str(path), ["a", "b"]) == {"ids0": [0, -1], "ids1": [0, -1]}
    assert look_up(str(path), ["a", "b"], tags={"train"}) == {"ids0": [-1, 0], "ids1": [0, -1]}


def test_on_disk_constants_are_blank_and_files_are_listed(
    tmp_path: Path, vocabulary: Any, export_module: Any, read_saved_model: Any
) -> None:
    path = export_module(table_spec(vocabulary("b.txt", "b"), vocabulary("a.txt", "a")), tmp_path / "m")
    (meta_graph,) = read_saved_model(path).meta_graphs
    listed = list(meta_graph.collection_def["saved_model_assets"].any_list.value)
    assert [item.type_url for item in listed] == ["type.googleapis.com/tensorflow.AssetFileDef"] * 2
    definitions = []
    for item in listed:
        definition = meta_graph.asset_file_def.add()
        assert item.Unpack(definition)
        definitions.append((definition.tensor_info.name, definition.filename))
    tensors = list(meta_graph.collection_def["asset_filepaths"].node_list.value)
    assert definitions == sorted(definitions)
    assert [name for name, _ in definitions] == sorted(tensors)
    assert sorted(filename for _, filename in definitions) == ["a.txt", "b.txt"]
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    for tensor in tensors:
        assert nodes[tensor.removesuffix(":0")].attr["value"].tensor.string_val[0] == b"SAVEDMODEL-ASSET"


def test_exporting_a_loaded_module_keeps_its_assets(tmp_path: Path, vocabulary: Any, export_module: Any) -> None:
    first = export_module(table_spec(vocabulary("vocab.txt", "a", "b")), tmp_path / "a")
    second = export_module(str(first), tmp_path / "b")
    assert (second / "saved_model.pb").read_bytes() == (first / "saved_model.pb").read_bytes()
    shutil.rmtree(first)
    assert look_up(str(second), ["b"]) == {"ids0": [1]}


def test_a_module_that_applies_another_one_takes_its_assets_over(
    tmp_path: Path, vocabulary: Any, export_module: Any
) -> None:
    inner = export_module(table_spec(vocabulary("vocab.txt", "a", "b")), tmp_path / "inner")

    def module_fn() -> None:
        words = v1.placeholder(tf.string, [None])
        hubplug.add_signature(inputs=words, outputs=hubplug.Module(str(inner))(words, as_dict=True))

    outer = export_module(hubplug.create_module_spec(module_fn), tmp_path / "outer")
    shutil.rmtree(inner)
    assert os.listdir(outer / "assets") == ["vocab.txt"]
    assert look_up(str(outer), ["b"]) == {"ids0": [1]}


def test_a_relative_path_stays_relative(
    tmp_path: Path, vocabulary: Any, export_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_module(table_spec(vocabulary("vocab.txt", "a")), tmp_path / "m")
    monkeypatch.chdir(tmp_path)
    with tf.Graph().as_default() as graph:
        hubplug.Module("m")
        (tensor,) = graph.get_collection(v1.GraphKeys.ASSET_FILEPATHS)
        with v1.Session() as session:
            assert session.run(tensor) == b"m/assets/vocab.txt"


def test_an_asset_that_is_no_constant_is_a_type_error(tmp_path: Path, export_module: Any) -> None:
    def module_fn() -> None:
        path = v1.placeholder_with_default("vocab.txt", [])
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, path)
        hubplug.add_signature(outputs=path)

    with pytest.raises(TypeError, match="'PlaceholderWithDefault'"):
        export_module(hubplug.create_module_spec(module_fn), tmp_path / "m")
    assert os.listdir(tmp_path) == []


def test_a_constant_of_several_paths_is_a_type_error(tmp_path: Path, export_module: Any) -> None:
    def module_fn() -> None:
        paths = tf.constant(["a.txt", "b.txt"])
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, paths)
        hubplug.add_signature(outputs=paths)

    with pytest.raises(TypeError, match="one path"):
        export_module(hubplug.create_module_spec(module_fn), tmp_path / "m")


def test_a_missing_asset_file_is_named_and_nothing_is_written(
    tmp_path: Path, vocabulary: Any, export_module: Any
) -> None:
    spec = table_spec(vocabulary("vocab.txt", "a"))
    (tmp_path / "source" / "vocab.txt").unlink()

    def module_fn() -> None:
        path = tf.constant(str(tmp_path / "nothing.txt"))
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, path)
        hubplug.add_signature(outputs=path)

    assert spec.get_tags() == [frozenset()]
    with pytest.raises(tf.errors.NotFoundError, match=r"nothing\.txt does not exist"):
        export_module(hubplug.create_module_spec(module_fn), tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "name", ["../evil", "../assets_evil", "a/../../evil", "/etc/passwd", "..", "", ".", "a\0b", "..\\evil", "a/.."]
)
def test_names_that_leave_the_assets_directory_are_found(name: str) -> None:
    error = find_escape(name)
    assert error is not None
    assert repr(name) in error


@pytest.mark.parametrize("name", ["vocab.txt", "a/b.txt", "a/../b.txt", "..a", "a..", "...", "ä.txt"])
def test_names_below_the_assets_directory_are_fine(name: str) -> None:
    assert find_escape(name) is None


@pytest.mark.parametrize("name", ["../assets_evil", "../../etc/passwd"])
def test_a_module_whose_assets_escape_is_refused_when_it_is_loaded(
    tmp_path: Path, vocabulary: Any, export_module: Any, read_saved_model: Any, name: str
) -> None:
    path = export_module(table_spec(vocabulary("vocab.txt", "a")), tmp_path / "m")
    saved_model = read_saved_model(path)
    (item,) = saved_model.meta_graphs[0].collection_def["saved_model_assets"].any_list.value
    definition = saved_model.meta_graphs[0].asset_file_def.add()
    item.Unpack(definition)
    definition.filename = name
    item.Pack(definition)
    del saved_model.meta_graphs[0].asset_file_def[:]
    (path / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    with pytest.raises(ValueError, match="leads out of assets/"):
        hubplug.load_module_spec(str(path))
