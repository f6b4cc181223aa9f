"""The submodules of tensorflow_hub 0.15, the names of theirs that hubplug has, and what there is in the place of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

OFFERED: Mapping[str, Sequence[str]] = {
    "compressed_module_resolver": (),
    "config": (),
    "estimator": ("LatestModuleExporter", "register_module_for_export"),
    "feature_column": (
        "image_embedding_column",
        "sparse_text_embedding_column",
        "text_embedding_column",
        "_ImageEmbeddingColumn",
        "_SparseTextEmbeddingColumn",
        "_TextEmbeddingColumn",
    ),
    "feature_column_v2": ("text_embedding_column_v2", "_TextEmbeddingColumnV2"),
    "file_utils": (),
    "image_module_info_pb2": ("ImageModuleInfo",),
    "image_util": (
        "ImageModuleInfo",
        "attach_image_module_info",
        "get_expected_image_size",
        "get_num_image_channels",
    ),
    "keras_layer": ("KerasLayer",),
    "meta_graph_lib": (),
    "module": ("Module", "eval_function_for_module", "load_module_spec"),
    "module_attachment_pb2": (),
    "module_def_pb2": (),
    "module_impl": (),
    "module_spec": ("ModuleSpec",),
    "module_v2": ("load", "resolve"),
    "native_module": ("add_signature", "attach_message", "create_module_spec"),
    "registry": ("resolver",),
    "resolver": ("Resolver", "tfhub_cache_dir"),
    "saved_model_lib": ("add_signature",),
    "saved_model_module": ("create_module_spec_from_saved_model",),
    "tensor_info": (),
    "tf_utils": (),
    "tf_v1": (),
    "uncompressed_module_resolver": (),
    "version": ("__version__",),
}

_RESOLVE = "hub.resolve(handle), which gives the directory of a module"
_SPEC = "hub.load_module_spec(handle)"
_CACHE = "`hubplug cache list`, which shows what is in the cache and where"
_FILES = "tf.io.gfile"
_GRAPHS = "tf.compat.v1.train.import_meta_graph and tf.compat.v1.graph_util"
_INFO = "module.get_input_info_dict() and module.get_output_info_dict()"
_MESSAGE = "module_or_spec.get_attached_message(key, message_type)"

# By submodule what there is in the place of any other name of it; by submodule and name, of that one.
_INSTEAD: Mapping[str, str] = {
    "compressed_module_resolver": _RESOLVE,
    "config": "hubplug.yaml and the environment variables TFHUB_CACHE_DIR and TFHUB_MODEL_LOAD_FORMAT",
    "estimator": "hub.LatestModuleExporter and hub.register_module_for_export",
    "feature_column": "hub.text_embedding_column, hub.sparse_text_embedding_column and hub.image_embedding_column",
    "feature_column_v2": "hub.text_embedding_column_v2",
    "file_utils": f"{_RESOLVE}, or tarfile",
    "image_module_info_pb2": "hub.ImageModuleInfo",
    "image_util": "hub.get_expected_image_size and hub.get_num_image_channels",
    "image_util.IMAGE_MODULE_INFO_KEY": "the key 'image_module_info'",
    "image_util.get_image_module_info": "module_or_spec.get_attached_message('image_module_info', hub.ImageModuleInfo)",
    "keras_layer": "hub.KerasLayer",
    "meta_graph_lib": _GRAPHS,
    "module": "hub.Module",
    "module.as_module_spec": f"{_SPEC}, for a handle",
    "module.export_module_spec": "spec.export(path, checkpoint_path=..., name_transform_fn=...)",
    "module_attachment_pb2": _MESSAGE,
    "module_def_pb2": "`hubplug show PATH`, which says what a directory holds",
    "module_impl": "hub.Module",
    "module_spec": "hub.ModuleSpec",
    "module_v2": "hub.load and hub.resolve",
    "native_module": "hub.create_module_spec, hub.add_signature and hub.attach_message",
    "native_module.Loader": _SPEC,
    "native_module._ModuleSpec": "hub.ModuleSpec, of which every spec is an instance",
    "native_module._ModuleImpl": "hub.Module",
    "native_module._SUPPORTED_COLLECTIONS": "hub.create_module_spec(..., drop_collections=[...])",
    "native_module.get_module_proto_path": "os.path.join(directory, 'tfhub_module.pb')",
    "native_module.recover_partitioned_variable_map": "module.variable_map",
    "registry": "hub.registry.resolver.add_implementation(...)",
    "registry.loader": _SPEC,
    "resolver": f"{_RESOLVE}, or hub.registry.resolver.add_implementation(...) for resolvers of your own",
    "resolver._module_dir": _RESOLVE,
    "resolver._module_descriptor_file": _CACHE,
    "resolver.model_load_format": "the environment variable TFHUB_MODEL_LOAD_FORMAT",
    "resolver.get_env_setting": "os.environ",
    "saved_model_lib": f"{_SPEC} and hub.create_module_spec_from_saved_model(path)",
    "saved_model_lib.attach_bytes": "hub.attach_message(key, message)",
    "saved_model_lib.get_variables_path": "os.path.join(directory, 'variables', 'variables')",
    "saved_model_module": "hub.create_module_spec_from_saved_model",
    "tensor_info": _INFO,
    "tf_utils": _FILES,
    "tf_utils.bytes_to_readable_str": "formatting of your own",
    "tf_utils.get_timestamped_export_dir": "hub.LatestModuleExporter",
    "tf_utils.get_temp_export_dir": "hub.LatestModuleExporter",
    "tf_utils.garbage_collect_exports": "hub.LatestModuleExporter",
    "tools": "programs that use hub.Module or hub.load: the tools were published with older releases of tensorflow_hub",
    "uncompressed_module_resolver": _RESOLVE,
}


def instead_of(dotted: str) -> str:
    """What a program can use in the place of a name below ``tensorflow_hub`` that hubplug has not, in words."""
    parts = dotted.split(".")
    while parts:
        if (found := _INSTEAD.get(".".join(parts))) is not None:
            return found
        parts.pop()
    return "the public names of tensorflow_hub"
