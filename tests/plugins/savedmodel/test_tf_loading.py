"""``hubplug.load`` with real models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hubplug
from hubplug.errors import FormatError, UnknownTagsError, ValidationError
from hubplug.in_effect import current_hub
from hubplug_format import ModuleBuilder, Type, write_module

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def tf() -> Any:
    import tensorflow

    return tensorflow


def doubling(tags: tuple[str, ...] = ()) -> ModuleBuilder:
    builder = ModuleBuilder(tags)
    x = builder.placeholder("x", "float32", [None])
    factor = builder.variable("factor", 2.0)
    y = builder.node("Mul", [x, factor], {"T": Type("float32")}, shape=[None])
    builder.signature(inputs={"x": x}, outputs={"default": y})
    return builder


@pytest.fixture
def module(tmp_path: Path) -> Path:
    write_module(tmp_path / "module", doubling(), doubling(("train",)))
    return tmp_path / "module"


@pytest.fixture
def tf2_model(tf: Any, eager: None, tmp_path: Path) -> Path:
    root = tf.Module()
    root.v = tf.Variable(2.0)
    root.__call__ = tf.function(lambda x: x * root.v, input_signature=[tf.TensorSpec([None])])
    tf.saved_model.save(root, str(tmp_path / "tf2"), signatures=root.__call__)
    return tmp_path / "tf2"


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("tags", [None, [], ["train"], "train", {"train"}])
def test_a_module_in_tf1_hub_format_has_its_signatures(tf: Any, module: Path, tags: Any) -> None:
    loaded = hubplug.load(str(module), tags=tags)
    assert loaded._is_hub_module_v1
    assert loaded.signatures["default"](tf.constant([1.0, 3.0]))["default"].numpy().tolist() == [2.0, 6.0]
    assert loaded([1.0, 3.0]).numpy().tolist() == [2.0, 6.0]
    assert loaded({"x": [1.0]}, signature="default", as_dict=True)["default"].numpy().tolist() == [2.0]
    assert [variable.numpy() for variable in loaded.variables] == [2.0]


def test_in_a_graph_the_signatures_are_there_once_the_initializers_have_run(tf: Any, module: Path) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = hubplug.load(str(module))
        output = loaded.signatures["default"](tf.constant([1.0, 3.0]))["default"]
        session.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])
        assert session.run(output).tolist() == [2.0, 6.0]
        assert session.run(loaded.variables) == [2.0]


@pytest.mark.usefixtures("eager")
def test_what_is_loaded_can_be_saved_again(tf: Any, module: Path, tmp_path: Path) -> None:
    loaded = hubplug.load(str(module))
    tf.saved_model.save(loaded, str(tmp_path / "again"), signatures=loaded.signatures["default"])
    again = hubplug.load(str(tmp_path / "again"))
    assert again.signatures["serving_default"](x=tf.constant([1.0]))["default"].numpy() == 2.0


def test_calling_a_module_in_a_graph_says_what_to_call_instead(tf: Any, module: Path) -> None:
    with tf.Graph().as_default():
        loaded = hubplug.load(str(module))
        assert not callable(loaded)
        with pytest.raises(
            TypeError, match=r"AutoTrackable .*TF1 Hub format: call \.signatures\['default'\]\(.*not callable"
        ):
            loaded(tf.constant([1.0]))


def test_a_module_that_does_not_keep_what_its_prefix_demands_is_not_loaded(module: Path, tf2_model: Path) -> None:
    for path in (module, tf2_model):
        settings = {"chain": ["file", "tf1", "savedmodel", "signatures"]}
        with hubplug.Hub({**settings, "validate": {f"file://{path}": ["safe"]}}).activate():
            hubplug.load(str(path), tags=["train"] if path == module else None)
        demanding = hubplug.Hub({**settings, "validate": {f"file://{path}": ["image-classification"]}})
        with demanding.activate(), pytest.raises(ValidationError, match="does not keep image-classification"):
            hubplug.load(str(path))


def test_a_tf2_saved_model_can_be_called(tf: Any, tf2_model: Path) -> None:
    loaded = hubplug.load(str(tf2_model))
    assert not loaded._is_hub_module_v1
    assert loaded.signatures["serving_default"](x=tf.constant([4.0])) is not None
    options = tf.saved_model.LoadOptions(experimental_io_device=None)
    assert hubplug.load(str(tf2_model), ["serve"], options).v.numpy() == 2.0


def test_unknown_tags_list_the_graph_variants(module: Path, tf2_model: Path) -> None:
    with pytest.raises(UnknownTagsError, match=r"tags=\['x'\]. Graph variants here: \[\] \(inference\), \['train'\]"):
        hubplug.load(str(module), tags=["x"])
    with pytest.raises(ValueError, match=r"graph variants here: \['serve'\]; you asked for \[\]"):
        hubplug.load(str(tf2_model), tags=[])


def test_several_graph_variants_of_a_plain_saved_model_need_tags(module: Path) -> None:
    (module / "tfhub_module.pb").unlink()
    with pytest.raises(ValueError, match="2 graph variants, and no tags were given"):
        hubplug.load(str(module))


def test_a_directory_without_saved_model_says_what_it_holds(module: Path) -> None:
    with pytest.raises(FormatError, match=r"it contains neither .*, but module/; did you mean .*/module\?"):
        hubplug.load(str(module.parent))


def test_options_that_are_none_are_refused(tf: Any, tf2_model: Path) -> None:
    with pytest.raises(TypeError, match=r"options is of type str, expected a tf\.saved_model\.LoadOptions"):
        hubplug.load(str(tf2_model), options="/job:localhost")
    assert hubplug.load(str(tf2_model), options=tf.saved_model.LoadOptions())


@pytest.mark.parametrize("handle", [b"/x", Path("/x"), None])
def test_only_strings_are_handles(handle: Any) -> None:
    with pytest.raises(ValueError, match=r"Expected a string, got .*; give str\(path\)"):
        hubplug.load(handle)


def test_a_tf2_saved_model_is_called_so(tf: Any, tf2_model: Path) -> None:
    spec = current_hub().load_spec(str(tf2_model))
    assert list(spec.signatures(["serve"])) == ["serving_default"]
    for use in (
        lambda: spec.instantiate("module", False, frozenset()),
        lambda: hubplug.load_module_spec(str(tf2_model)),
        lambda: hubplug.Module(str(tf2_model)),
    ):
        with pytest.raises(FormatError, match="is a TF2 SavedModel, not in TF1 Hub format") as caught:
            use()
        assert isinstance(caught.value, tf.errors.NotFoundError)
        assert "hubplug.load" in str(caught.value.hint)
        assert "create_module_spec" not in str(caught.value.hint)
