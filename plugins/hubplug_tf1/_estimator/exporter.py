"""Modules from an Estimator: ``register_module_for_export`` in a ``model_fn``, ``LatestModuleExporter`` around it.

Estimator was removed from TensorFlow 2.16. The exporter works there too, with any object that has what it uses of one:
``latest_checkpoint()``, ``config.tf_random_seed``, ``_session_config`` and
``model_fn(features=, labels=None, mode="infer", config=)``, which returns an object with ``scaffold.saver``. Where there
is an Estimator, the exporter is a ``tf.estimator.Exporter``, since ``tf.estimator.EvalSpec`` insists on one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from hubplug.errors import HubplugError
from hubplug.files.names import find_name_error
from hubplug.module import Module
from hubplug.shown.logs import logger
from hubplug.spec import ModuleSpec
from hubplug_tf1._estimator.export_directories import delete_old_exports, publish_export

_LOG = logger(__name__)

# A key that is not a string: neither seen among the graph's collections nor exported with them.
_MODULES = ("hubplug_tf1", "modules to export")
_INFER = "infer"


class RegistrationError(HubplugError, ValueError):
    """A module cannot be registered for export under a name."""


class NoCheckpointError(HubplugError, ValueError):
    """The Estimator has no checkpoint to export from."""


def register_module_for_export(module: Module, export_name: str) -> None:
    """Has a Module of the current graph exported by ``LatestModuleExporter``; to be called in the ``model_fn``.

    Args:
        module: The Module, or another object with its ``export(path, session)``.
        export_name: The directory below that of the export; may have slashes.

    Raises:
        ValueError: A module is registered under that name, or it leads out of the export's directory.
        TypeError: ``module`` cannot be exported.
    """
    if isinstance(module, ModuleSpec) or not callable(getattr(module, "export", None)):
        raise TypeError(f"register_module_for_export takes a Module, got {type(module).__name__}")
    fault = find_name_error(export_name) if isinstance(export_name, str) else "it is not a str"
    if fault:
        raise RegistrationError(
            f"The export name {export_name!r} is not a path below the export's directory: {fault}",
            hint="give a name like 'text_embedding'",
        )
    if export_name in dict(tf.compat.v1.get_collection(_MODULES)):
        raise RegistrationError(f"There is already a module registered to be exported as {export_name!r}")
    tf.compat.v1.add_to_collection(_MODULES, (export_name, module))


def _exporter_base() -> type[Any]:
    try:
        return tf.estimator.Exporter
    except (AttributeError, ImportError):
        return object


class LatestModuleExporter(_exporter_base()):  # type: ignore[misc]
    """Exports the registered modules of an Estimator whenever it is asked to, and keeps the newest exports.

    ::

        exporter = hubplug.LatestModuleExporter("modules", serving_input_fn)
        tf.estimator.train_and_evaluate(
            estimator, train_spec, tf.estimator.EvalSpec(input_fn, exporters=[exporter])
        )
    """

    def __init__(self, name: str, serving_input_fn: Callable[[], Any], exports_to_keep: int | None = 5) -> None:
        """Makes an exporter.

        Args:
            name: Its name; Estimator makes ``<model_dir>/export/<name>`` the export path.
            serving_input_fn: Returns an object with ``features``, placeholders for the ``model_fn``:
                a ``tf.estimator.export.ServingInputReceiver``.
            exports_to_keep: How many of the newest exports stay; None: all.

        Raises:
            ValueError: ``exports_to_keep`` is not positive.
        """
        if exports_to_keep is not None and exports_to_keep <= 0:
            raise RegistrationError(
                f"`exports_to_keep`, if provided, must be a positive number, got {exports_to_keep}",
                hint="give None to keep all",
            )
        self._name = name
        self._serving_input_fn = serving_input_fn
        self._exports_to_keep = exports_to_keep

    @property
    def name(self) -> str:
        return self._name

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None = None,
        eval_result: Any = None,
        is_the_final_export: bool | None = None,
    ) -> bytes | None:
        """Writes the registered modules with the values of a checkpoint.

        Args:
            estimator: The Estimator.
            export_path: The modules go to ``<export_path>/<seconds since 1970>/<export_name>``.
            checkpoint_path: The checkpoint; None: the Estimator's latest.
            eval_result: Not used.
            is_the_final_export: Not used.

        Returns:
            The path of the export; None if no module is registered.

        Raises:
            ValueError: There is no checkpoint.
        """
        export_path = os.fsdecode(export_path)
        if checkpoint_path is None:
            checkpoint_path = estimator.latest_checkpoint()
        if checkpoint_path is None:
            raise NoCheckpointError(
                "Can't export modules: the Estimator has no checkpoint", hint="train it first, or give checkpoint_path="
            )
        exported = self._export_registered(estimator, export_path, checkpoint_path)
        if exported is None:
            _LOG.warning(
                "LatestModuleExporter found no modules to export: call register_module_for_export() in the model_fn"
            )
            return None
        if self._exports_to_keep is not None:
            delete_old_exports(export_path, self._exports_to_keep)
        return os.fsencode(exported)

    def _export_registered(self, estimator: Any, export_path: str, checkpoint_path: str) -> str | None:
        with tf.Graph().as_default() as graph:
            tf.compat.v1.set_random_seed(estimator.config.tf_random_seed)
            tf.compat.v1.train.create_global_step()
            spec = estimator.model_fn(
                features=self._serving_input_fn().features, labels=None, mode=_INFER, config=estimator.config
            )
            modules: dict[str, Module] = dict(graph.get_collection(_MODULES))
            if not modules:
                return None
            saver = spec.scaffold.saver or tf.compat.v1.train.Saver(sharded=True)
            with tf.compat.v1.Session(config=estimator._session_config) as session:
                saver.restore(session, checkpoint_path)
                return publish_export(
                    export_path, {name: partial(module.export, session=session) for name, module in modules.items()}
                )
