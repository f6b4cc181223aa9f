"""create_module_spec_from_saved_model."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import hubplug

v1 = tf.compat.v1

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def saved_model(tmp_path: Path) -> Path:
    """A TF1 SavedModel with a variable, a table over a file, and a global step."""
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("a\nb\n")
    with tf.Graph().as_default(), v1.Session() as session:
        words = v1.placeholder(tf.string, [None], name="words")
        source = tf.lookup.TextFileInitializer(
            str(vocabulary),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        table = tf.lookup.StaticHashTable(source, -1)
        weight = v1.get_variable("w", [], initializer=v1.constant_initializer(10.0), use_resource=True)
        v1.train.create_global_step()
        scores = tf.cast(table.lookup(words), tf.float32) * weight
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        v1.saved_model.simple_save(
            session,
            str(tmp_path / "saved_model"),
            {"words": words},
            {"scores": scores},
            legacy_init_op=v1.tables_initializer(name="init_all"),
        )
    vocabulary.unlink()
    return tmp_path / "saved_model"


def scores_of(spec: Any) -> list[float]:
    with tf.Graph().as_default():
        module = hubplug.Module(spec, tags={"serve"})
        scores = module({"words": ["b", "x"]}, signature="serving_default", as_dict=True)["scores"]
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            values: list[float] = session.run(scores).tolist()
            return values


def test_it_keeps_tags_signatures_and_values(saved_model: Path) -> None:
    spec = hubplug.create_module_spec_from_saved_model(str(saved_model))
    assert spec.get_tags() == [frozenset({"serve"})]
    assert spec.get_signature_names(tags={"serve"}) == ["serving_default"]
    assert scores_of(spec) == [10.0, -10.0]


def test_it_becomes_a_module_that_stands_alone(
    saved_model: Path, tmp_path: Path, export_module: Any, read_saved_model: Any
) -> None:
    path = export_module(hubplug.create_module_spec_from_saved_model(saved_model), tmp_path / "m", tags={"serve"})
    original = read_saved_model(saved_model).meta_graphs[0]
    (written,) = read_saved_model(path).meta_graphs
    shutil.rmtree(saved_model)
    assert scores_of(str(path)) == [10.0, -10.0]
    assert os.listdir(path / "assets") == ["vocab.txt"]
    assert dict(tf.train.list_variables(str(path / "variables" / "variables"))) == {"w": [], "global_step": []}
    assert written.saver_def == original.saver_def
    assert not written.meta_info_def.stripped_default_attrs
    assert written.signature_def["serving_default"].method_name == "tensorflow/serving/predict"
    for before, after in zip(original.graph_def.node, written.graph_def.node, strict=True):
        assert after == before or after.name == "asset_path"


def test_collections_of_serving_and_training_are_dropped(saved_model: Path, read_saved_model: Any) -> None:
    there = read_saved_model(saved_model).meta_graphs[0].collection_def
    assert {"global_step", "saved_model_main_op"} <= set(there)
    spec = hubplug.create_module_spec_from_saved_model(str(saved_model))
    with tf.Graph().as_default() as graph:
        module = hubplug.Module(spec, tags={"serve"})
        assert sorted(module.variable_map) == ["global_step", "w"]
        assert not {"global_step", "legacy_init_op", "saved_model_main_op"} & set(graph.get_all_collection_keys())


def test_other_collections_must_be_dropped_by_name(saved_model: Path, read_saved_model: Any) -> None:
    changed = read_saved_model(saved_model)
    changed.meta_graphs[0].collection_def["mine"].int64_list.value.append(1)
    (saved_model / "saved_model.pb").write_bytes(changed.SerializeToString())
    with pytest.raises(ValueError, match=r"Unsupported collections in graph: \['mine'\][\s\S]*drop_collections"):
        hubplug.create_module_spec_from_saved_model(str(saved_model))
    spec = hubplug.create_module_spec_from_saved_model(str(saved_model), drop_collections=["mine"])
    assert scores_of(spec) == [10.0, -10.0]


def test_a_module_is_a_saved_model_too(tmp_path: Path, export_module: Any) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [None])
        hubplug.add_signature(inputs=x, outputs=x * v1.get_variable("w", [], initializer=v1.ones_initializer()))

    path = export_module(hubplug.create_module_spec(module_fn, [(set(), {}), ({"train"}, {})]), tmp_path / "m")
    spec = hubplug.create_module_spec_from_saved_model(str(path))
    assert spec.get_tags() == [frozenset(), frozenset({"train"})]
    assert list(spec.get_input_info_dict()) == ["default"]


def test_a_text_format_saved_model_is_read(saved_model: Path, read_saved_model: Any) -> None:
    from google.protobuf import text_format

    message = read_saved_model(saved_model)
    (saved_model / "saved_model.pbtxt").write_text(text_format.MessageToString(message))
    (saved_model / "saved_model.pb").unlink()
    assert scores_of(hubplug.create_module_spec_from_saved_model(str(saved_model))) == [10.0, -10.0]


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_no_saved_model_is_a_not_found_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(tf.errors.NotFoundError, match=f"There is no SavedModel at .*{name}"):
        hubplug.create_module_spec_from_saved_model(str(tmp_path / name))


@pytest.mark.usefixtures("eager")
def test_a_tf2_saved_model_with_variables_is_refused(tmp_path: Path) -> None:
    root = tf.Module()
    root.weight = tf.Variable(2.0)
    function = tf.function(lambda x: {"y": x * root.weight}, input_signature=[tf.TensorSpec([], tf.float32)])
    tf.saved_model.save(root, str(tmp_path / "tf2"), signatures={"serving_default": function})
    with pytest.raises(ValueError, match=r"TF2 SavedModel[\s\S]*hubplug\.load"):
        hubplug.create_module_spec_from_saved_model(str(tmp_path / "tf2"))


def test_a_saved_model_over_a_url_is_read(saved_model: Path) -> None:
    spec = hubplug.create_module_spec_from_saved_model(f"file://{saved_model}")
    assert scores_of(spec) == [10.0, -10.0]


def test_what_is_no_graph_variant_is_kept_too(
    saved_model: Path, tmp_path: Path, export_module: Any, read_saved_model: Any
) -> None:
    with (saved_model / "saved_model.pb").open("ab") as file:
        file.write(b"\xba\x3e\x05newer")
    path = export_module(hubplug.create_module_spec_from_saved_model(saved_model), tmp_path / "m", tags={"serve"})
    assert read_saved_model(path).saved_model_schema_version == read_saved_model(saved_model).saved_model_schema_version
    assert b"\xba\x3e\x05newer" in (path / "saved_model.pb").read_bytes()
