"""Definitions of modules from plain SavedModels: the same graphs, tags and signatures, without what only SavedModels have."""

from __future__ import annotations

import os
from collections.abc import Iterable

import tensorflow as tf

from hubplug.errors import FormatError
from hubplug.in_effect import hub_in_effect
from hubplug.urls import scheme_of
from hubplug_format import GraphVariant, SavedModelFile
from hubplug_tf1._errors import MissingSavedModelError
from hubplug_tf1._reading.collections import find_collections_error
from hubplug_tf1._reading.saved_model import SAVED_MODEL_FILE, meta_graph_of, variant_of
from hubplug_tf1._reading.spec import GraphSpec

# What a session and a trainer need, which a module leaves to its user. The variable of the global step stays.
_DROPPED = frozenset({"global_step", "legacy_init_op", "saved_model_main_op"})


def create_module_spec_from_saved_model(
    saved_model_path: str | os.PathLike[str], drop_collections: Iterable[str] | None = None
) -> GraphSpec:
    """Makes the definition of a module from a SavedModel as TensorFlow 1 writes it.

    Tags and signatures are those of the SavedModel: ``{"serve"}`` and ``serving_default``, most often.

    Args:
        saved_model_path: The directory of the SavedModel, whose variables and assets stay there until the module is
            exported.
        drop_collections: Names of collections to be left out, besides ``global_step``, ``legacy_init_op`` and
            ``saved_model_main_op``.

    Returns:
        A ModuleSpec; variables of a Module made from it start from the SavedModel's values.

    Raises:
        MissingSavedModelError: There is no SavedModel; it is a ``tf.errors.NotFoundError`` too.
        ValueError: It has a collection that no module may have; or it is a TF2 SavedModel with variables.
    """
    path = os.fsdecode(saved_model_path)
    dropped = _DROPPED.union(drop_collections or ())
    saved_model = _read(path)
    variants = [_without(variant, dropped) for variant in saved_model.variants.values()]
    for variant in variants:
        if error := find_collections_error(name for name, about in variant.collections.items() if about.size):
            raise FormatError(
                f"{error} of {variant.where}",
                hint="Use hub.create_module_spec_from_saved_model(..., drop_collections=[...]) as appropriate",
            )
        if variant.has_object_graph and not variant.variables and _has_variables(variant):
            raise FormatError(
                f"{path} is a TF2 SavedModel: its variables belong to objects, which a module in TF1 Hub format lacks",
                hint="use hubplug.load(path)",
            )
    spec = GraphSpec(variants, path, rest=saved_model.rest)
    spec.hub = hub_in_effect
    return spec


def _read(path: str) -> SavedModelFile:
    if scheme_of(path):
        file = f"{path}/{SAVED_MODEL_FILE}"
        with tf.io.gfile.GFile(file, "rb") as stream:
            return SavedModelFile.from_bytes(stream.read(), file)
    names = (SAVED_MODEL_FILE, "saved_model.pbtxt", "saved_model.cpb")
    if not any(os.path.lexists(os.path.join(path, name)) for name in names):
        what = "no directory" if not os.path.isdir(path) else "no saved_model.pb"
        raise MissingSavedModelError(
            f"There is no SavedModel at {os.path.join(path, SAVED_MODEL_FILE)}: {what}", hint="check the path"
        )
    return SavedModelFile.read(path)


def _without(variant: GraphVariant, collections: frozenset[str]) -> GraphVariant:
    if not collections.intersection(variant.collections):
        return variant
    meta_graph = meta_graph_of(variant)
    for name in collections.intersection(variant.collections):
        del meta_graph.collection_def[name]
    return variant_of(meta_graph, variant.where)


def _has_variables(variant: GraphVariant) -> bool:
    return any(node.op == "VarHandleOp" for node in variant.graph.nodes)
