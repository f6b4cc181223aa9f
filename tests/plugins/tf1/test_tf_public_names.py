"""The names that programs written for tensorflow_hub 0.15 use, and how they may be called."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import hubplug

v1 = tf.compat.v1

SIGNATURES = {
    "Module": "spec, trainable=False, name='module', tags=None",
    "Module.__call__": "self, inputs=None, _sentinel=None, signature=None, as_dict=None",
    "Module.export": "self, path, session",
    "Module.get_signature_names": "self",
    "Module.get_input_info_dict": "self, signature=None",
    "Module.get_output_info_dict": "self, signature=None",
    "Module.get_attached_message": "self, key, message_type, required=False",
    "ModuleSpec.get_tags": "self",
    "ModuleSpec.get_signature_names": "self, tags=None",
    "ModuleSpec.get_input_info_dict": "self, signature=None, tags=None",
    "ModuleSpec.get_output_info_dict": "self, signature=None, tags=None",
    "ModuleSpec.get_attached_message": "self, key, message_type, tags=None, required=False",
    "ModuleSpec.export": "self, path, _sentinel=None, checkpoint_path=None, name_transform_fn=None",
    "create_module_spec": "module_fn, tags_and_args=None, drop_collections=None",
    "create_module_spec_from_saved_model": "saved_model_path, drop_collections=None",
    "add_signature": "name=None, inputs=None, outputs=None",
    "attach_message": "key, message",
    "attach_image_module_info": "image_module_info",
    "get_expected_image_size": "module_or_spec, signature=None, input_name=None",
    "get_num_image_channels": "module_or_spec, signature=None, input_name=None",
    "load_module_spec": "path",
    "eval_function_for_module": "spec, tags=None",
    "resolve": "handle",
    "load": "handle, tags=None, options=None",
    "text_embedding_column": "key, module_spec, trainable=False",
    "sparse_text_embedding_column": "key, module_spec, combiner, default_value, trainable=False",
    "image_embedding_column": "key, module_spec, image_size=None",
    "register_module_for_export": "module, export_name",
    "LatestModuleExporter": "name, serving_input_fn, exports_to_keep=5",
    "LatestModuleExporter.export": (
        "self, estimator, export_path, checkpoint_path=None, eval_result=None, is_the_final_export=None"
    ),
}


def named(name: str) -> Any:
    found: Any = hubplug
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("name", SIGNATURES)
def test_parameters_have_the_names_the_order_and_the_defaults_of_tensorflow_hub(name: str) -> None:
    parameters = inspect.signature(named(name)).parameters.values()
    shown = [
        each.name if each.default is inspect.Parameter.empty else f"{each.name}={each.default!r}" for each in parameters
    ]
    assert ", ".join(shown) == SIGNATURES[name]
    assert {each.kind for each in parameters} <= {inspect.Parameter.POSITIONAL_OR_KEYWORD}


def test_all_of_them_but_the_keras_layer_are_listed() -> None:
    wanted = {name.partition(".")[0] for name in SIGNATURES} | {"ImageModuleInfo"}
    assert wanted <= set(hubplug.__all__)
    assert hubplug.__version__


def test_a_module_has_the_public_attributes_of_tensorflow_hubs_and_no_others(new_graph: tf.Graph) -> None:
    module = hubplug.Module(hubplug.create_module_spec(doubling))
    assert [name for name in dir(module) if not name.startswith("_")] == [
        "export",
        "get_attached_message",
        "get_input_info_dict",
        "get_output_info_dict",
        "get_signature_names",
        "variable_map",
        "variables",
    ]


def test_a_module_is_not_pickled_unlike_its_spec(new_graph: tf.Graph) -> None:
    spec = hubplug.create_module_spec(doubling)
    assert pickle.loads(pickle.dumps(spec)).get_signature_names() == ["default"]
    with pytest.raises((TypeError, AttributeError)):
        pickle.dumps(hubplug.Module(spec))


@pytest.mark.parametrize("spec", [3, None, b"/a/path", Path("/a/path")])
def test_what_is_neither_a_spec_nor_a_handle_is_a_value_error(new_graph: tf.Graph, spec: Any) -> None:
    with pytest.raises(ValueError, match=r"Unknown module spec type.*str\(path\) for a path"):
        hubplug.Module(spec)


@pytest.mark.parametrize("handle", [b"/a/path", Path("/a/path")])
def test_what_is_no_handle_is_a_value_error_to_load_and_a_type_error_to_resolve(handle: Any) -> None:
    with pytest.raises(ValueError, match="Expected a string"):
        hubplug.load(handle)
    for ask in (hubplug.resolve, lambda handle: hubplug.validate(handle, ["safe"])):
        with pytest.raises(TypeError, match=r"A handle is a str \(a URL, or str\(path\) for a path\), got"):
            ask(handle)


def test_the_base_class_of_specs_can_be_instantiated() -> None:
    assert isinstance(hubplug.ModuleSpec(), hubplug.ModuleSpec)


def doubling() -> None:
    x = v1.placeholder(tf.float32, [None])
    hubplug.add_signature(inputs=x, outputs=x * 2.0)
