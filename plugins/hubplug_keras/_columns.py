"""``text_embedding_column_v2``: a SavedModel or module as a feature column of ``DenseFeatures``."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, NamedTuple

import tensorflow as tf

from hubplug.errors import MissingDependencyError
from hubplug_keras._errors import LayerError, UnsavableError
from hubplug_keras._generations import keras_of, layer_class

# What Keras 3 left out.
_KERAS_2 = ("tf_keras", "keras.src.engine")


def text_embedding_column_v2(key: Any, module_path: str, output_key: str | None = None, trainable: bool = False) -> Any:
    """A feature column that embeds texts with what a handle leads to.

    Args:
        key: The feature: its name, or the column that makes it; strings of shape ``[batch]`` or ``[batch, 1]``.
        module_path: A handle, of what takes strings ``[batch]`` and gives floats ``[batch, K]``.
        output_key: The output to use where there is a dict of them.
        trainable: Whether it is trained.

    Returns:
        A dense column, for ``DenseFeatures`` of Keras 2: ``tf.keras`` of TensorFlow 2.15, or ``tf_keras``.

    Raises:
        MissingDependencyError: There is no Keras 2, and so no ``DenseFeatures``.
    """
    if not any(_is_there(name) for name in _KERAS_2):
        raise MissingDependencyError(
            "Feature columns are used by DenseFeatures, which is of Keras 2, and that is not installed",
            hint="pip install tf_keras, and use tf_keras.layers.DenseFeatures; or put hubplug.KerasLayer into a model of Keras 3",
        )
    return _TextEmbeddingColumnV2(key, module_path, output_key, trainable)


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


class _Fields(NamedTuple):
    key: Any
    module_path: str
    output_key: str | None
    trainable: bool


class _TextEmbeddingColumnV2(tf.compat.v2.__internal__.feature_column.DenseColumn, _Fields):
    # Estimators of the second generation ask this before they use their own.
    _is_v2_column = True
    _applied_shape: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(self)

    @property
    def name(self) -> str:
        return f"{self._key_name}_hub_module_embedding"

    @property
    def parents(self) -> list[Any]:
        return [self.key]

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """What an Example holds for it, by name of a feature; those of a key that is a column are its own."""
        names = [self.key] if isinstance(self.key, str) else self.key.parse_example_spec
        return dict.fromkeys(names, tf.io.FixedLenFeature([1], tf.string))

    @property
    def _key_name(self) -> str:
        return self.key if isinstance(self.key, str) else self.key.name

    @property
    def _resource_name(self) -> str:
        """The name that checkpoints of tensorflow_hub have."""
        return f"hub_text_column_{self._key_name}"

    @property
    def variable_shape(self) -> Any:
        """``[K]``, once it has been applied."""
        if self._applied_shape is None:
            raise LayerError(f"The shape of {self.name} is not known before it is applied")
        return self._applied_shape

    def create_state(self, state_manager: Any) -> None:
        """Makes the layer that all applications under this state manager share."""
        # The state manager is of a layer, and a layer holds those of its own Keras only.
        owner = getattr(state_manager, "_layer", None)
        kind = layer_class() if owner is None else layer_class(keras_of(type(owner)))
        layer = kind(self.module_path, output_key=self.output_key, trainable=self.trainable)
        state_manager.add_resource(self, self._resource_name, layer)

    def transform_feature(self, transformation_cache: Any, state_manager: Any) -> Any:
        return transformation_cache.get(self.key, state_manager)

    def get_dense_tensor(self, transformation_cache: Any, state_manager: Any) -> Any:
        texts = tf.reshape(transformation_cache.get(self, state_manager), [-1])
        embedded = state_manager.get_resource(self, self._resource_name)(texts)
        if not tf.is_tensor(embedded):
            raise LayerError(
                f"{self.module_path} does not return a single result, but {embedded!r}. Did you specify the right "
                "`output_key`?"
            )
        self._applied_shape = embedded.shape[1:]
        return embedded

    def get_config(self) -> dict[str, Any]:
        """The fields.

        Raises:
            NotImplementedError: The key is a column.
        """
        if not isinstance(self.key, str):
            raise UnsavableError(
                f"{self.name} has no configuration: its key is a column", hint="give the key by its name"
            )
        return dict(self._asdict())

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None, columns_by_name: Any = None) -> Any:
        """The column that ``get_config`` described."""
        return cls(**config)
