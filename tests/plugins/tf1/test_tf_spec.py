"""Module definitions: what they tell, from memory and from disk, and which files are no module."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from google.protobuf.wrappers_pb2 import Int32Value

import hubplug
from hubplug.errors import FormatError, UnknownSignatureError, UnknownTagsError
from hubplug.types import Declined, Handle, LocalModule
from hubplug_tf1 import Tf1Format
from hubplug_tf1._errors import MissingFileError, NotAFileError

v1 = tf.compat.v1


def module_fn() -> None:
    x = v1.placeholder(tf.float32, [None, 3])
    sparse = v1.sparse_placeholder(tf.int64, [None, 4])
    ragged = v1.ragged.placeholder(tf.string, 1, [])
    w = v1.get_variable("w", [3, 2])
    hubplug.add_signature(inputs=x, outputs=tf.matmul(x, w))
    hubplug.add_signature("kinds", {"sparse": sparse, "ragged": ragged}, {"sparse": sparse, "ragged": ragged})
    hubplug.attach_message("answer", Int32Value(value=42))


@pytest.fixture(params=["memory", "disk"])
def spec(request: pytest.FixtureRequest, tmp_path: Path, export_module: Any) -> hubplug.ModuleSpec:
    made = hubplug.create_module_spec(module_fn, [(set(), {}), ({"train"}, {})])
    return made if request.param == "memory" else hubplug.load_module_spec(str(export_module(made, tmp_path / "m")))


def test_it_tells_its_tags_as_frozensets(spec: hubplug.ModuleSpec) -> None:
    assert spec.get_tags() == [frozenset(), frozenset({"train"})]


def test_it_tells_its_signatures(spec: hubplug.ModuleSpec) -> None:
    assert sorted(spec.get_signature_names()) == ["default", "kinds"]
    assert sorted(spec.get_signature_names(tags={"train"})) == ["default", "kinds"]


def test_it_describes_inputs_and_outputs(spec: hubplug.ModuleSpec) -> None:
    info = spec.get_input_info_dict()["default"]
    assert (info.dtype, info.get_shape().as_list()) == (tf.float32, [None, 3])
    assert (info.is_sparse, info.is_composite, info.is_supported_type) == (False, False, True)
    assert repr(info) == f"<hub.ParsedTensorInfo shape={tf.TensorShape([None, 3])} dtype=float32 is_sparse=False>"
    assert spec.get_output_info_dict(None, {"train"})["default"].get_shape().as_list() == [None, 2]
    infos = spec.get_input_info_dict("kinds")
    assert (infos["sparse"].is_sparse, infos["sparse"].is_composite) == (True, True)
    assert infos["sparse"].type_spec == tf.SparseTensorSpec([None, 4], tf.int64)
    assert (infos["ragged"].is_sparse, infos["ragged"].is_composite) == (False, True)
    assert infos["ragged"].type_spec == tf.RaggedTensorSpec([None, None], tf.string, 1)


def test_it_describes_signatures_without_tensorflow_types(spec: hubplug.ModuleSpec) -> None:
    signatures = spec.signatures()
    assert (signatures["default"].inputs["default"].dtype, signatures["default"].inputs["default"].shape) == (
        "float32",
        (None, 3),
    )
    assert {key: info.kind for key, info in signatures["kinds"].inputs.items()} == {
        "sparse": "sparse",
        "ragged": "composite",
    }


def test_unknown_tags_are_key_errors_and_value_errors_that_list_the_variants(spec: hubplug.ModuleSpec) -> None:
    for ask in (spec.get_signature_names, spec.signatures, lambda tags: spec.get_input_info_dict(None, tags)):
        with pytest.raises(UnknownTagsError, match=r"No such graph variant: tags=\['q'\]") as got:
            ask(["q"])
        assert isinstance(got.value, KeyError)
        assert "[] (inference), ['train']" in str(got.value)
    with pytest.raises(KeyError):
        spec.get_attached_message("answer", Int32Value, tags=["q"])


def test_tags_that_are_the_letters_of_one_are_said_to_be_a_set(spec: hubplug.ModuleSpec) -> None:
    for ask in (spec.get_signature_names, lambda tags: hubplug.Module(spec, tags=tags)):
        with pytest.raises(UnknownTagsError) as got:
            ask("train")
        assert got.value.hint == "tags are given as a set: tags={'train'}"


@pytest.mark.parametrize("name", ["zz", ""])
def test_unknown_signatures_are_key_errors_and_value_errors(spec: hubplug.ModuleSpec, name: str) -> None:
    for ask in (spec.get_input_info_dict, spec.get_output_info_dict):
        with pytest.raises(UnknownSignatureError, match=f"Signature '{name}' is missing from meta graph"):
            ask(name)


def test_copies_and_pickles_are_as_good(spec: hubplug.ModuleSpec) -> None:
    spec.get_input_info_dict()
    for other in (copy.copy(spec), copy.deepcopy(spec), pickle.loads(pickle.dumps(spec))):
        assert other.get_tags() == spec.get_tags()
        assert other.get_attached_message("answer", Int32Value).value == 42
        with tf.Graph().as_default():
            assert list(hubplug.Module(other).variable_map) == ["w"]


def test_specs_are_equal_only_to_themselves(spec: hubplug.ModuleSpec) -> None:
    assert spec == spec
    assert spec != copy.deepcopy(spec)


def test_one_spec_serves_many_graphs(spec: hubplug.ModuleSpec) -> None:
    for _ in range(2):
        with tf.Graph().as_default():
            first, second = hubplug.Module(spec), hubplug.Module(spec, tags={"train"})
            assert [v.name for v in first.variables + second.variables] == ["module/w:0", "module_1/w:0"]


def test_it_knows_its_directory(tmp_path: Path, export_module: Any) -> None:
    made = hubplug.create_module_spec(module_fn)
    path = export_module(made, tmp_path / "m")
    assert made.directory is None
    assert hubplug.load_module_spec(str(path)).directory == path  # type: ignore[attr-defined]


def test_loading_reads_no_values(tmp_path: Path, export_module: Any) -> None:
    path = export_module(hubplug.create_module_spec(module_fn), tmp_path / "m")
    for file in (path / "variables").iterdir():
        file.write_bytes(b"")
    spec = hubplug.load_module_spec(str(path))
    assert list(spec.get_output_info_dict()) == ["default"]


def test_a_loaded_spec_answers_without_tensorflow(tmp_path: Path, export_module: Any) -> None:
    path = export_module(hubplug.create_module_spec(module_fn, [(set(), {}), ({"train"}, {})]), tmp_path / "m")
    program = """
        import sys
        sys.modules["tensorflow"] = None
        import hubplug
        from hubplug_tf1 import Tf1Format
        from google.protobuf.wrappers_pb2 import Int32Value
        from hubplug.types import Handle, LocalModule
        from pathlib import Path

        spec = Tf1Format().hubplug_load_format(LocalModule(Path(sys.argv[1]), Handle("m")))
        print(sorted(map(sorted, spec.get_tags())), sorted(spec.get_signature_names({"train"})))
        print(spec.signatures()["kinds"].inputs["ragged"].dtype, spec.get_attached_message("answer", Int32Value).value)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.splitlines() == ["[[], ['train']] ['default', 'kinds']", "string 42"]


def load(path: Path) -> Any:
    return Tf1Format().hubplug_load_format(LocalModule(path, Handle.parse(str(path))))


def test_a_directory_without_the_marker_is_not_ours(tmp_path: Path, export_module: Any) -> None:
    def declined(reason: str, error: type[Any]) -> Declined:
        what = "a TF1 Hub module is a directory with tfhub_module.pb, saved_model.pb and variables/"
        return Declined(reason, error=error, hint=what)

    assert load(tmp_path) == declined(f"{tmp_path} has no tfhub_module.pb", MissingFileError)
    path = export_module(hubplug.create_module_spec(module_fn), tmp_path / "m")
    (path / "tfhub_module.pb").unlink()
    assert load(path) == declined(f"{path} has no tfhub_module.pb", MissingFileError)
    (path / "tfhub_module.pb").mkdir()
    assert load(path) == declined(f"{path / 'tfhub_module.pb'} is not a regular file", NotAFileError)


def test_a_spec_of_another_plugin_is_not_exported_here() -> None:
    assert Tf1Format().hubplug_export(hubplug.ExportRequest(hubplug.ModuleSpec(), "somewhere")) is None


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "Unsupported module def format: 0"),
        (b"\x08\x02", "Unsupported module def format: 2"),
        (b"\x08\x03\x12\x01x", r"Unsupported features: \['x'\]"),
        (b"\xff\xff\xff", "damaged"),
    ],
)
def test_a_format_that_is_not_known_is_refused(tmp_path: Path, export_module: Any, content: bytes, what: str) -> None:
    path = export_module(hubplug.create_module_spec(module_fn), tmp_path / "m")
    (path / "tfhub_module.pb").write_bytes(content)
    with pytest.raises(FormatError, match=what):
        load(path)


def test_unknown_fields_are_ignored_and_survive_a_re_export(
    tmp_path: Path, export_module: Any, read_saved_model: Any
) -> None:
    path = export_module(hubplug.create_module_spec(module_fn), tmp_path / "m")
    (path / "tfhub_module.pb").write_bytes(b"\x08\x03\xba\x3e\x01x")
    saved_model = read_saved_model(path)
    meta_graph = saved_model.meta_graphs[0]
    meta_graph.MergeFromString(b"\xba\x3e\x03new")
    (path / "saved_model.pb").write_bytes(saved_model.SerializeToString() + b"\xba\x3e\x05newer")
    again = export_module(str(path), tmp_path / "again")
    written = (again / "saved_model.pb").read_bytes()
    assert b"\xba\x3e\x03new" in written
    assert b"\xba\x3e\x05newer" in written
    assert (again / "tfhub_module.pb").read_bytes() == b"\x08\x03"


def test_unsupported_collections_are_refused_on_loading_too(
    tmp_path: Path, export_module: Any, read_saved_model: Any
) -> None:
    path = export_module(hubplug.create_module_spec(module_fn), tmp_path / "m")
    saved_model = read_saved_model(path)
    collections = saved_model.meta_graphs[0].collection_def
    collections["mine"].int64_list.value.append(1)
    collections["empty"].SetInParent()
    (path / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    with pytest.raises(ValueError, match=r"Unsupported collections in graph: \['mine'\]"):
        load(path)


@pytest.mark.parametrize("error", [FormatError, ValueError, OSError])
def test_a_damaged_saved_model_is_an_os_error_and_a_value_error(
    tmp_path: Path, export_module: Any, error: type[Exception]
) -> None:
    path = export_module(hubplug.create_module_spec(module_fn), tmp_path / "m")
    (path / "saved_model.pb").write_bytes((path / "saved_model.pb").read_bytes()[:-5])
    with pytest.raises(error, match=r"saved_model\.pb is damaged"):
        load(path)


@pytest.mark.parametrize("error", [FormatError, ValueError, tf.errors.NotFoundError])
def test_a_missing_saved_model_is_a_not_found_error(tmp_path: Path, export_module: Any, error: type[Exception]) -> None:
    path = export_module(hubplug.create_module_spec(module_fn), tmp_path / "m")
    (path / "saved_model.pb").unlink()
    with pytest.raises(error, match=r"saved_model\.pb is missing") as caught:
        load(path)
    assert caught.value.hint  # type: ignore[attr-defined]


def test_a_saved_model_in_text_format_is_no_module(tmp_path: Path, export_module: Any) -> None:
    path = export_module(hubplug.create_module_spec(module_fn), tmp_path / "m")
    (path / "saved_model.pb").rename(path / "saved_model.pbtxt")
    with pytest.raises(tf.errors.NotFoundError):
        load(path)


def test_names_in_hubplug_are_those_of_the_plugin() -> None:
    import hubplug_tf1

    for name in ("create_module_spec", "add_signature", "attach_message", "ImageModuleInfo", "LatestModuleExporter"):
        assert getattr(hubplug, name) is getattr(hubplug_tf1, name)
        assert name in dir(hubplug_tf1)
    with pytest.raises(AttributeError, match="nothing_such"):
        hubplug_tf1.nothing_such  # noqa: B018


def test_training_the_variant_for_inference_is_warned_about_once_asked_for(
    spec: hubplug.ModuleSpec, caplog: pytest.LogCaptureFixture
) -> None:
    with tf.Graph().as_default():
        hubplug.Module(spec, tags={"train"}, trainable=True)
        hubplug.Module(spec)
        assert caplog.text == ""
        hubplug.Module(spec, trainable=True)
    assert 'tags={"train"}' in caplog.text
