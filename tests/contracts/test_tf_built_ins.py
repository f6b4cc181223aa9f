"""The contracts of formats, held by ``tf1`` with a module that TensorFlow wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

import hubplug
from hubplug.spec import ExportRequest
from hubplug.testing import ExportContract, LoadFormatContract
from hubplug_tf1 import Tf1Format

pytestmark = pytest.mark.tensorflow


def spec_of_two_variants() -> hubplug.ModuleSpec:
    """A module with a variable and an attachment, with a variant for training."""
    import tensorflow as tf

    def module_fn(is_training: bool) -> None:
        x = tf.compat.v1.placeholder(tf.float32, [None, 2])
        w = tf.compat.v1.get_variable("w", [2, 3], initializer=tf.compat.v1.ones_initializer())
        y = tf.matmul(x, w)
        hubplug.add_signature(inputs=x, outputs=tf.nn.dropout(y, rate=0.5) if is_training else y)
        hubplug.add_signature("bare", outputs=tf.constant([1.0]))

    variants = [(set(), {"is_training": False}), ({"train"}, {"is_training": True})]
    spec: hubplug.ModuleSpec = hubplug.create_module_spec(module_fn, variants)
    return spec


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module in TF1 Hub format, exported with its initial values."""
    import tensorflow as tf

    path = tmp_path_factory.mktemp("exported") / "m"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        module = hubplug.Module(spec_of_two_variants())
        session.run(tf.compat.v1.global_variables_initializer())
        module.export(str(path), session)
    return path


class TestTf1LoadsWhatItExported(LoadFormatContract):
    @pytest.fixture
    def plugin(self) -> Tf1Format:
        return Tf1Format()

    @pytest.fixture
    def directory(self, exported: Path) -> Path:
        return exported


class TestTf1Exports(ExportContract):
    @pytest.fixture
    def plugin(self) -> Tf1Format:
        return Tf1Format()

    @pytest.fixture
    def request_to_export(self, exported: Path, tmp_path: Path) -> ExportRequest:
        spec = hubplug.load_module_spec(str(exported))
        return ExportRequest(spec, str(tmp_path / "published"), checkpoint_path=str(exported / "variables/variables"))
