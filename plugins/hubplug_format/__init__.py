"""The files of a module, read and written without TensorFlow.

A library for plugins: ``tfhub_module.pb`` (``read_module_def``), ``saved_model.pb`` (``SavedModelFile``), checkpoints
(``CheckpointIndex``), whether all of them are there (``check_complete``), which op types exist (``OpRegistry``), and a
writer for small modules (``ModuleBuilder``, ``write_module``) and for checkpoints of any size (``CheckpointWriter``). Damaged files raise ``hubplug.errors.FormatError`` and
nothing else. ``OpError`` is the base of errors of plugins that are TensorFlow's as well.

The names here are the API; the rooms behind it are ``protos``, ``checkpoint`` above it, and ``module`` above both.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hubplug_format.checkpoint.entries import CheckpointEntry as CheckpointEntry
    from hubplug_format.checkpoint.index import CheckpointIndex as CheckpointIndex
    from hubplug_format.checkpoint.slices import find_slices_error as find_slices_error
    from hubplug_format.checkpoint.writer import CheckpointWriter as CheckpointWriter
    from hubplug_format.checkpoint.writer import Part as Part
    from hubplug_format.checkpoint.writer import write_checkpoint as write_checkpoint
    from hubplug_format.module.assets import ASSETS_COLLECTION as ASSETS_COLLECTION
    from hubplug_format.module.assets import AssetInfo as AssetInfo
    from hubplug_format.module.assets import find_asset_name_error as find_asset_name_error
    from hubplug_format.module.builder import ModuleBuilder as ModuleBuilder
    from hubplug_format.module.builder import Tensor as Tensor
    from hubplug_format.module.completeness import VARIABLES_PREFIX as VARIABLES_PREFIX
    from hubplug_format.module.completeness import check_complete as check_complete
    from hubplug_format.module.completeness import find_asset_file_error as find_asset_file_error
    from hubplug_format.module.describing import IMAGE_INFO_KEY as IMAGE_INFO_KEY
    from hubplug_format.module.describing import describe_directory as describe_directory
    from hubplug_format.module.describing import image_size as image_size
    from hubplug_format.module.graph_variant import ATTACHMENTS_COLLECTION as ATTACHMENTS_COLLECTION
    from hubplug_format.module.graph_variant import CollectionInfo as CollectionInfo
    from hubplug_format.module.graph_variant import Graph as Graph
    from hubplug_format.module.graph_variant import GraphVariant as GraphVariant
    from hubplug_format.module.graph_variant import SaverInfo as SaverInfo
    from hubplug_format.module.graph_variant import signatures_of as signatures_of
    from hubplug_format.module.module_def import FORMAT_V3 as FORMAT_V3
    from hubplug_format.module.module_def import MODULE_DEF_BYTES as MODULE_DEF_BYTES
    from hubplug_format.module.module_def import MODULE_DEF_FILE as MODULE_DEF_FILE
    from hubplug_format.module.module_def import ModuleDef as ModuleDef
    from hubplug_format.module.module_def import read_module_def as read_module_def
    from hubplug_format.module.object_variables import ObjectVariable as ObjectVariable
    from hubplug_format.module.object_variables import read_object_variables as read_object_variables
    from hubplug_format.module.op_error import OpError as OpError
    from hubplug_format.module.op_registry import OpClass as OpClass
    from hubplug_format.module.op_registry import OpRegistry as OpRegistry
    from hubplug_format.module.saved_model import SAVED_MODEL_CHUNKED_FILE as SAVED_MODEL_CHUNKED_FILE
    from hubplug_format.module.saved_model import SAVED_MODEL_FILE as SAVED_MODEL_FILE
    from hubplug_format.module.saved_model import SAVED_MODEL_TEXT_FILE as SAVED_MODEL_TEXT_FILE
    from hubplug_format.module.saved_model import SavedModelFile as SavedModelFile
    from hubplug_format.module.variables import SliceInfo as SliceInfo
    from hubplug_format.module.variables import VariableInfo as VariableInfo
    from hubplug_format.module.writing import write_module as write_module
    from hubplug_format.protos.attrs import Func as Func
    from hubplug_format.protos.attrs import Shape as Shape
    from hubplug_format.protos.attrs import Type as Type
    from hubplug_format.protos.dtypes import dtype_name as dtype_name
    from hubplug_format.protos.dtypes import dtype_number as dtype_number
    from hubplug_format.protos.files import names_in as names_in
    from hubplug_format.protos.schema import message_class as message_class
    from hubplug_format.protos.values import Values as Values

_HOMES = {
    name: home
    for home, names in {
        "protos.attrs": "Func Shape Type",
        "protos.dtypes": "dtype_name dtype_number",
        "protos.files": "names_in",
        "protos.schema": "message_class",
        "protos.values": "Values",
        "checkpoint.entries": "CheckpointEntry",
        "checkpoint.index": "CheckpointIndex",
        "checkpoint.slices": "find_slices_error",
        "checkpoint.writer": "CheckpointWriter Part write_checkpoint",
        "module.op_error": "OpError",
        "module.assets": "ASSETS_COLLECTION AssetInfo find_asset_name_error",
        "module.builder": "ModuleBuilder Tensor",
        "module.completeness": "VARIABLES_PREFIX check_complete find_asset_file_error",
        "module.describing": "IMAGE_INFO_KEY describe_directory image_size",
        "module.graph_variant": "ATTACHMENTS_COLLECTION CollectionInfo Graph GraphVariant SaverInfo signatures_of",
        "module.module_def": "FORMAT_V3 MODULE_DEF_BYTES MODULE_DEF_FILE ModuleDef read_module_def",
        "module.object_variables": "ObjectVariable read_object_variables",
        "module.op_registry": "OpClass OpRegistry",
        "module.saved_model": "SAVED_MODEL_CHUNKED_FILE SAVED_MODEL_FILE SAVED_MODEL_TEXT_FILE SavedModelFile",
        "module.variables": "SliceInfo VariableInfo",
        "module.writing": "write_module",
    }.items()
    for name in names.split()
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
