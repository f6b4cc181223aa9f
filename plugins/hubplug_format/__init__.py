"""The files of a module, read and written without TensorFlow.

A library for plugins: ``tfhub_module.pb`` (``read_module_def``), ``saved_model.pb`` (``SavedModelFile``), checkpoints
(``CheckpointIndex``), whether all of them are there (``check_complete``), which op types exist (``OpRegistry``), and a
writer for small modules (``ModuleBuilder``, ``write_module``) and for checkpoints of any size (``CheckpointWriter``). Damaged files raise ``hubplug.errors.FormatError`` and
nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hubplug_format._assets import ASSETS_COLLECTION, AssetInfo, find_asset_name_error
    from hubplug_format._attrs import Func, Shape, Type
    from hubplug_format._builder import ModuleBuilder, Tensor
    from hubplug_format._bundle_entries import CheckpointEntry
    from hubplug_format._checkpoint import CheckpointIndex
    from hubplug_format._checkpoint_writer import CheckpointWriter, Part
    from hubplug_format._completeness import VARIABLES_PREFIX, check_complete, find_asset_file_error
    from hubplug_format._describing import IMAGE_INFO_KEY, describe_directory, image_size
    from hubplug_format._dtypes import dtype_name, dtype_number
    from hubplug_format._files import names_in
    from hubplug_format._graph_variant import (
        ATTACHMENTS_COLLECTION,
        CollectionInfo,
        Graph,
        GraphVariant,
        SaverInfo,
        signatures_of,
    )
    from hubplug_format._module_def import FORMAT_V3, MODULE_DEF_BYTES, MODULE_DEF_FILE, ModuleDef, read_module_def
    from hubplug_format._object_variables import ObjectVariable, read_object_variables
    from hubplug_format._op_registry import OpClass, OpRegistry
    from hubplug_format._saved_model import (
        SAVED_MODEL_CHUNKED_FILE,
        SAVED_MODEL_FILE,
        SAVED_MODEL_TEXT_FILE,
        SavedModelFile,
    )
    from hubplug_format._schema import message_class
    from hubplug_format._slices import find_slices_error
    from hubplug_format._values import Values
    from hubplug_format._variables import SliceInfo, VariableInfo
    from hubplug_format._writing import write_checkpoint, write_module

_HOME = {
    "ASSETS_COLLECTION": "_assets",
    "ATTACHMENTS_COLLECTION": "_graph_variant",
    "AssetInfo": "_assets",
    "CheckpointEntry": "_bundle_entries",
    "CheckpointIndex": "_checkpoint",
    "CheckpointWriter": "_checkpoint_writer",
    "CollectionInfo": "_graph_variant",
    "FORMAT_V3": "_module_def",
    "Func": "_attrs",
    "Graph": "_graph_variant",
    "GraphVariant": "_graph_variant",
    "IMAGE_INFO_KEY": "_describing",
    "MODULE_DEF_BYTES": "_module_def",
    "MODULE_DEF_FILE": "_module_def",
    "ModuleBuilder": "_builder",
    "ModuleDef": "_module_def",
    "ObjectVariable": "_object_variables",
    "OpClass": "_op_registry",
    "OpRegistry": "_op_registry",
    "Part": "_checkpoint_writer",
    "SAVED_MODEL_CHUNKED_FILE": "_saved_model",
    "SAVED_MODEL_FILE": "_saved_model",
    "SAVED_MODEL_TEXT_FILE": "_saved_model",
    "SavedModelFile": "_saved_model",
    "SaverInfo": "_graph_variant",
    "Shape": "_attrs",
    "SliceInfo": "_variables",
    "Tensor": "_builder",
    "Type": "_attrs",
    "VARIABLES_PREFIX": "_completeness",
    "Values": "_values",
    "VariableInfo": "_variables",
    "check_complete": "_completeness",
    "describe_directory": "_describing",
    "dtype_name": "_dtypes",
    "dtype_number": "_dtypes",
    "find_asset_file_error": "_completeness",
    "find_asset_name_error": "_assets",
    "find_slices_error": "_slices",
    "image_size": "_describing",
    "message_class": "_schema",
    "names_in": "_files",
    "read_module_def": "_module_def",
    "read_object_variables": "_object_variables",
    "signatures_of": "_graph_variant",
    "write_checkpoint": "_writing",
    "write_module": "_writing",
}

__all__ = [
    "ASSETS_COLLECTION",
    "ATTACHMENTS_COLLECTION",
    "AssetInfo",
    "CheckpointEntry",
    "CheckpointIndex",
    "CheckpointWriter",
    "CollectionInfo",
    "FORMAT_V3",
    "Func",
    "Graph",
    "GraphVariant",
    "IMAGE_INFO_KEY",
    "MODULE_DEF_BYTES",
    "MODULE_DEF_FILE",
    "ModuleBuilder",
    "ModuleDef",
    "ObjectVariable",
    "OpClass",
    "OpRegistry",
    "Part",
    "SAVED_MODEL_CHUNKED_FILE",
    "SAVED_MODEL_FILE",
    "SAVED_MODEL_TEXT_FILE",
    "SavedModelFile",
    "SaverInfo",
    "Shape",
    "SliceInfo",
    "Tensor",
    "Type",
    "VARIABLES_PREFIX",
    "Values",
    "VariableInfo",
    "check_complete",
    "describe_directory",
    "dtype_name",
    "dtype_number",
    "find_asset_file_error",
    "find_asset_name_error",
    "find_slices_error",
    "image_size",
    "message_class",
    "names_in",
    "read_module_def",
    "read_object_variables",
    "signatures_of",
    "write_checkpoint",
    "write_module",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
