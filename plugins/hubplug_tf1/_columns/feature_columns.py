"""Modules as feature columns: ``text_embedding_column``, ``sparse_text_embedding_column``, ``image_embedding_column``.

They are columns of both generations: of ``tf.compat.v1.feature_column.input_layer`` (``_get_dense_tensor`` and the like)
and of ``DenseFeatures`` (``get_dense_tensor``, with a state manager that holds the Module).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import tensorflow as tf

from hubplug.errors import HubplugError
from hubplug.module import Module
from hubplug.spec import ModuleSpec
from hubplug_tf1._columns.checks import find_image_problems, find_text_problems
from hubplug_tf1._defining.image_info import get_expected_image_size
from hubplug_tf1._private_tensorflow.columns import dense_feature_column
from hubplug_tf1._surroundings.autograph import not_converted

_COMBINERS = {
    "mean": tf.compat.v2.sparse.segment_mean,
    "sqrtn": tf.compat.v2.sparse.segment_sqrt_n,
    "sum": tf.compat.v2.sparse.segment_sum,
}
_RGB = 3


class ColumnError(HubplugError, ValueError):
    """A module cannot be used as the feature column that is asked for."""


class ColumnConfigError(HubplugError, NotImplementedError):
    """A feature column has no configuration that could be written down."""


def text_embedding_column(key: Any, module_spec: ModuleSpec | str, trainable: bool = False) -> Any:
    """A feature column that embeds texts with a module.

    Args:
        key: The feature: its name, or the column that makes it; strings of shape ``[batch]`` or ``[batch, 1]``.
        module_spec: A ModuleSpec, or a handle; its signature ``default`` takes one string ``[batch]`` and has an output
            ``default`` of float32 ``[batch, K]``.
        trainable: Whether the module is trained.

    Returns:
        A dense column of float32 ``[batch, K]``.

    Raises:
        ValueError: The module is not of that kind; all problems are listed.
    """
    _check(key, "a text-embedding", find_text_problems(_loaded(module_spec)))
    return _TextEmbeddingColumn(key, module_spec, trainable)


def sparse_text_embedding_column(
    key: Any, module_spec: ModuleSpec | str, combiner: str, default_value: str | None, trainable: bool = False
) -> Any:
    """A feature column that embeds any number of texts per example and combines them.

    Args:
        key: The feature: its name, or the column that makes it; a SparseTensor of strings, ``[batch, any]``.
        module_spec: As for ``text_embedding_column``.
        combiner: How the embeddings of an example become one: ``mean``, ``sqrtn`` or ``sum``.
        default_value: The text of examples that have none; None: they get zeros.
        trainable: Whether the module is trained.

    Returns:
        A dense column of float32 ``[batch, K]``.

    Raises:
        ValueError: The module is not of that kind, or ``combiner`` is none of these.
    """
    spec = _loaded(module_spec)
    _check(key, "a text-embedding", find_text_problems(spec))
    if combiner not in _COMBINERS:
        raise ColumnError(f"combiner must be 'mean', 'sqrtn' or 'sum': {combiner!r}")
    return _SparseTextEmbeddingColumn(key, combiner, spec, default_value, trainable)


def image_embedding_column(key: Any, module_spec: ModuleSpec | str, image_size: Sequence[int] | None = None) -> Any:
    """A feature column that embeds images with a module.

    Args:
        key: The feature: its name, or the column that makes it (``tf.feature_column.numeric_column``); float32
            ``[batch, height, width, 3]``, values in [0, 1].
        module_spec: A ModuleSpec, or a handle; its signature ``default`` takes one float32 input ``images`` and has an
            output ``default`` of float32 ``[batch, K]``.
        image_size: Height and width; None: what the module says.

    Returns:
        A dense column of float32 ``[batch, K]``.

    Raises:
        ValueError: The module is not of that kind; all problems are listed.
    """
    size = None if image_size is None else tuple(image_size)
    _check(key, "usable as image embedding", find_image_problems(_loaded(module_spec), size))
    return _ImageEmbeddingColumn(key, module_spec, size)


class _ModuleColumn(dense_feature_column()):  # type: ignore[misc]
    """What all columns share: a Module per use under ``input_layer``, and one per column under a state manager."""

    # Estimators of the second generation ask this before they use their own.
    _is_v2_column = True

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(self)

    @property
    def name(self) -> str:
        return f"{self.key if isinstance(self.key, str) else self.key.name}_hub_module_embedding"

    @property
    def parents(self) -> list[Any]:
        return [self.key]

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """What an Example holds for it, by name of a feature; those of a key that is a column are its own."""
        names = [self.key] if isinstance(self.key, str) else self.key.parse_example_spec
        return dict.fromkeys(names, self._example_feature())

    @property
    def variable_shape(self) -> tf.TensorShape:
        """``[K]``."""
        return self.module_spec.get_output_info_dict()["default"].get_shape()[1:]

    @property
    def dtype(self) -> tf.DType:
        """float32."""
        return self.module_spec.get_output_info_dict()["default"].dtype

    @property
    def _variable_shape(self) -> tf.TensorShape:
        return self.variable_shape

    @property
    def _parse_example_spec(self) -> dict[str, Any]:
        return self.parse_example_spec

    def create_state(self, state_manager: Any) -> None:
        """Makes the Module that all applications under this state manager share."""
        state_manager.add_resource(self, self.name, self._make_module())

    def transform_feature(self, transformation_cache: Any, state_manager: Any) -> Any:
        return self._prepared(transformation_cache.get(self.key, state_manager))

    @not_converted
    def get_dense_tensor(self, transformation_cache: Any, state_manager: Any) -> tf.Tensor:
        module = state_manager.get_resource(self, self.name)
        return self._embedded(transformation_cache.get(self, state_manager), module)

    def _transform_feature(self, inputs: Any) -> Any:
        return self._prepared(inputs.get(self.key))

    def _get_dense_tensor(self, inputs: Any, weight_collections: Any = None, trainable: Any = None) -> tf.Tensor:
        return self._embedded(inputs.get(self), self._make_module())

    def get_config(self) -> dict[str, Any]:
        """The fields, for a column whose module is given by its handle.

        Raises:
            NotImplementedError: It is given by a ModuleSpec.
        """
        if not isinstance(self.module_spec_path, str):
            raise ColumnConfigError(
                f"{self.name} has no configuration: its module is a {type(self.module_spec_path).__name__}",
                hint="make the column with the handle or path of the module",
            )
        return dict(self._asdict())

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None, columns_by_name: Any = None) -> Any:
        """The column that ``get_config`` described."""
        return cls(**config)


class _TextFields(NamedTuple):
    key: Any
    module_spec_path: Any
    trainable: bool


class _TextEmbeddingColumn(_ModuleColumn, _TextFields):
    @cached_property
    def module_spec(self) -> ModuleSpec:
        return _loaded(self.module_spec_path)

    def _example_feature(self) -> Any:
        return tf.io.FixedLenFeature([1], tf.string)

    def _make_module(self) -> Module:
        return Module(self.module_spec, trainable=self.trainable)

    def _prepared(self, feature: Any) -> Any:
        return feature

    def _embedded(self, texts: tf.Tensor, module: Module) -> tf.Tensor:
        return module(tf.reshape(texts, [-1]))


class _SparseTextFields(NamedTuple):
    key: Any
    combiner: str
    module_spec: ModuleSpec
    default_value: str | None
    trainable: bool


class _SparseTextEmbeddingColumn(_ModuleColumn, _SparseTextFields):
    def _example_feature(self) -> Any:
        return tf.io.VarLenFeature(tf.string)

    def get_config(self) -> dict[str, Any]:
        raise ColumnConfigError(f"{self.name} has no configuration: sparse text columns hold a ModuleSpec")

    def create_state(self, state_manager: Any) -> None:
        """Nothing: as in tensorflow_hub, each application makes a Module of its own."""

    @not_converted
    def get_dense_tensor(self, transformation_cache: Any, state_manager: Any) -> tf.Tensor:
        return self._embedded(transformation_cache.get(self, state_manager), self._make_module())

    def _make_module(self) -> Module:
        return Module(self.module_spec, trainable=self.trainable)

    def _prepared(self, feature: Any) -> tf.SparseTensor:
        return feature if isinstance(feature, tf.SparseTensor) else tf.sparse.from_dense(feature)

    def _embedded(self, texts: tf.SparseTensor, module: Module) -> tf.Tensor:
        examples = None
        if self.default_value is not None:
            texts, _ = tf.sparse.fill_empty_rows(texts, self.default_value)
        else:
            examples = texts.dense_shape[0]  # of which the last ones may have no texts
        distinct, places = tf.unique(texts.values)
        rows = texts.indices[:, 0]
        combined = _COMBINERS[self.combiner](module(distinct), places, rows, num_segments=examples)
        combined.set_shape([None, *self.variable_shape])
        return combined


class _ImageFields(NamedTuple):
    key: Any
    module_spec_path: Any
    image_size: tuple[int, ...] | None


class _ImageEmbeddingColumn(_ModuleColumn, _ImageFields):
    @cached_property
    def module_spec(self) -> ModuleSpec:
        return _loaded(self.module_spec_path)

    def _example_feature(self) -> Any:
        size = self.image_size if self.image_size is not None else get_expected_image_size(self.module_spec)
        return tf.io.FixedLenFeature([*size, _RGB], tf.float32)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None, columns_by_name: Any = None) -> Any:
        size = config["image_size"]
        return cls(config["key"], config["module_spec_path"], None if size is None else tuple(size))

    def _make_module(self) -> Module:
        return Module(self.module_spec)

    def _prepared(self, feature: Any) -> Any:
        return feature

    def _embedded(self, images: tf.Tensor, module: Module) -> tf.Tensor:
        return module({"images": images})


def _loaded(module_spec: ModuleSpec | str) -> ModuleSpec:
    if isinstance(module_spec, ModuleSpec):
        return module_spec
    from hubplug.api import load_module_spec

    return load_module_spec(module_spec)


def _check(key: Any, what: str, problems: Sequence[str]) -> None:
    if not isinstance(key, str) and not isinstance(getattr(key, "name", None), str):
        raise ColumnError(
            f"A feature column takes the name of a feature as key, or another column, got {type(key).__name__}: {key!r}"
        )
    if problems:
        raise ColumnError(f"Module is not {what}: {list(problems)}; it was given for the feature {key!r}")
