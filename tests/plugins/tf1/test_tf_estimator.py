"""LatestModuleExporter and register_module_for_export, with a stand-in for Estimator and with the real one."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug

v1 = tf.compat.v1
HAS_ESTIMATOR = hasattr(tf, "estimator")

pytestmark = pytest.mark.filterwarnings("ignore")


def scaling() -> None:
    x = v1.placeholder(tf.float32, [None])
    hubplug.add_signature(inputs=x, outputs=x * v1.get_variable("w", [], initializer=v1.ones_initializer()))


def serving_input_fn() -> Any:
    return SimpleNamespace(features={"x": v1.placeholder(tf.float32, [None])})


class Trainer:
    """What LatestModuleExporter uses of an Estimator, and nothing else."""

    def __init__(self, model_fn: Any, checkpoint: str | None, saver: Any = None) -> None:
        self.config = SimpleNamespace(tf_random_seed=7)
        self._session_config = v1.ConfigProto(allow_soft_placement=True)
        self._model_fn = model_fn
        self._checkpoint = checkpoint
        self._saver = saver
        self.calls: list[dict[str, Any]] = []

    def latest_checkpoint(self) -> str | None:
        return self._checkpoint

    def model_fn(self, **arguments: Any) -> Any:
        self.calls.append({**arguments, "seed": v1.get_default_graph().seed, "step": v1.train.get_global_step()})
        self._model_fn(arguments["features"])
        return SimpleNamespace(scaffold=SimpleNamespace(saver=self._saver and self._saver()))


def model_fn(features: Any) -> None:
    module = hubplug.Module(hubplug.create_module_spec(scaling), trainable=True)
    module(features["x"])
    hubplug.register_module_for_export(module, "scaling")


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    """A training run's checkpoint in which the module's weight is 5."""
    with tf.Graph().as_default(), v1.Session() as session:
        v1.train.create_global_step()
        model_fn({"x": v1.placeholder(tf.float32, [None])})
        session.run(v1.global_variables_initializer())
        (weight,) = v1.trainable_variables()
        weight.load(5.0, session)
        path: str = v1.train.Saver().save(session, str(tmp_path / "run" / "model"))
        return path


def weight_of(module: Path) -> float:
    return float(tf.train.load_checkpoint(str(module / "variables" / "variables")).get_tensor("w"))


def test_registered_modules_are_exported_with_the_latest_values(tmp_path: Path, checkpoint: str) -> None:
    trainer = Trainer(model_fn, checkpoint)
    exporter = hubplug.LatestModuleExporter("modules", serving_input_fn)
    path = exporter.export(trainer, str(tmp_path / "export"))
    assert isinstance(path, bytes)
    directory = Path(os.fsdecode(path))
    assert directory.parent == tmp_path / "export"
    assert len(directory.name) == 10
    assert directory.name.isdigit()
    assert os.listdir(tmp_path / "export") == [directory.name]
    assert weight_of(directory / "scaling") == 5.0
    with tf.Graph().as_default(), v1.Session() as session:
        result = hubplug.Module(str(directory / "scaling"))([2.0])
        session.run(v1.global_variables_initializer())
        np.testing.assert_array_equal(session.run(result), [10.0])


def test_the_model_fn_is_called_for_inference_in_a_seeded_graph_with_a_global_step(
    tmp_path: Path, checkpoint: str
) -> None:
    trainer = Trainer(model_fn, checkpoint)
    hubplug.LatestModuleExporter("modules", serving_input_fn).export(trainer, str(tmp_path / "export"))
    (call,) = trainer.calls
    assert (call["labels"], call["mode"], call["config"], call["seed"]) == (None, "infer", trainer.config, 7)
    assert list(call["features"]) == ["x"]
    assert call["step"] is not None


def test_a_named_checkpoint_and_the_scaffolds_saver_are_used(tmp_path: Path, checkpoint: str) -> None:
    savers: list[Any] = []

    def saver() -> Any:
        savers.append(v1.train.Saver(v1.trainable_variables()))
        return savers[-1]

    trainer = Trainer(model_fn, None, saver)
    exporter = hubplug.LatestModuleExporter("modules", serving_input_fn)
    path = exporter.export(trainer, os.fsencode(tmp_path / "export"), checkpoint, {"loss": 1.0}, True)  # type: ignore[arg-type]
    assert path is not None
    assert weight_of(Path(os.fsdecode(path)) / "scaling") == 5.0
    assert len(savers) == 1


def test_without_a_checkpoint_it_is_a_value_error(tmp_path: Path) -> None:
    exporter = hubplug.LatestModuleExporter("modules", serving_input_fn)
    with pytest.raises(ValueError, match="no checkpoint"):
        exporter.export(Trainer(model_fn, None), str(tmp_path / "export"))


def test_without_modules_it_warns_and_returns_none(
    tmp_path: Path, checkpoint: str, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = Trainer(lambda features: hubplug.Module(hubplug.create_module_spec(scaling)), checkpoint)
    assert hubplug.LatestModuleExporter("modules", serving_input_fn).export(trainer, str(tmp_path / "export")) is None
    assert "register_module_for_export" in caplog.text
    assert not (tmp_path / "export").exists()


def test_several_modules_go_under_their_names(tmp_path: Path, checkpoint: str) -> None:
    def two(features: Any) -> None:
        model_fn(features)
        hubplug.register_module_for_export(hubplug.Module(hubplug.create_module_spec(stateless)), "text/plain")

    def stateless() -> None:
        x = v1.placeholder(tf.float32, [])
        hubplug.add_signature(inputs=x, outputs=x)

    path = hubplug.LatestModuleExporter("m", serving_input_fn).export(
        Trainer(two, checkpoint), str(tmp_path / "export")
    )
    assert path is not None
    for name in ("scaling", "text/plain"):
        assert (Path(os.fsdecode(path)) / name / "tfhub_module.pb").is_file()


def test_only_the_newest_exports_stay(tmp_path: Path, checkpoint: str) -> None:
    export = tmp_path / "export"
    for name in ("1000000001", "1000000003"):
        (export / name).mkdir(parents=True)
    (export / "1000000002").write_text("a file of that name goes too")
    for name in ("temp-1000000000", "notes", "12345", "10000000011"):
        (export / name).mkdir()
    exporter = hubplug.LatestModuleExporter("m", serving_input_fn, exports_to_keep=2)
    newest = exporter.export(Trainer(model_fn, checkpoint), str(export))
    assert newest is not None
    assert sorted(os.listdir(export)) == sorted(
        ["1000000003", os.path.basename(os.fsdecode(newest)), "temp-1000000000", "notes", "12345", "10000000011"]
    )


def test_none_keeps_all_exports(tmp_path: Path, checkpoint: str) -> None:
    for number in range(8):
        (tmp_path / "export" / f"100000000{number}").mkdir(parents=True)
    exporter = hubplug.LatestModuleExporter("m", serving_input_fn, exports_to_keep=None)
    exporter.export(Trainer(model_fn, checkpoint), str(tmp_path / "export"))
    assert len(os.listdir(tmp_path / "export")) == 9


def test_a_taken_timestamp_is_waited_out(tmp_path: Path, checkpoint: str) -> None:
    exporter = hubplug.LatestModuleExporter("m", serving_input_fn)
    trainer = Trainer(model_fn, checkpoint)
    first, second = (exporter.export(trainer, str(tmp_path / "export")) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first < second
    assert len(os.listdir(tmp_path / "export")) == 2


def test_a_failed_export_leaves_nothing_behind(tmp_path: Path, checkpoint: str) -> None:
    def broken(features: Any) -> None:
        model_fn(features)

        def missing_asset() -> None:
            path = tf.constant(str(tmp_path / "missing.txt"))
            v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, path)
            hubplug.add_signature(outputs=path)

        hubplug.register_module_for_export(hubplug.Module(hubplug.create_module_spec(missing_asset)), "broken")

    exporter = hubplug.LatestModuleExporter("m", serving_input_fn)
    with pytest.raises(tf.errors.NotFoundError):
        exporter.export(Trainer(broken, checkpoint), str(tmp_path / "export"))
    assert os.listdir(tmp_path / "export") == []


def test_a_remote_export_path_is_filled_by_copying(tmp_path: Path, checkpoint: str) -> None:
    exporter = hubplug.LatestModuleExporter("m", serving_input_fn)
    path = exporter.export(Trainer(model_fn, checkpoint), f"file://{tmp_path}/export")
    assert path is not None
    directory = Path(os.fsdecode(path).removeprefix("file://"))
    assert weight_of(directory / "scaling") == 5.0
    assert (directory / "scaling" / "assets").is_dir()


@pytest.mark.parametrize("number", [0, -1])
def test_the_number_of_exports_to_keep_is_positive(number: int) -> None:
    with pytest.raises(ValueError, match="positive number"):
        hubplug.LatestModuleExporter("m", serving_input_fn, exports_to_keep=number)


def test_a_name_is_registered_once_per_graph() -> None:
    spec = hubplug.create_module_spec(scaling)
    for _ in range(2):
        with tf.Graph().as_default() as graph:
            module = hubplug.Module(spec)
            hubplug.register_module_for_export(module, "a")
            hubplug.register_module_for_export(module, "b")
            with pytest.raises(ValueError, match="already a module registered to be exported as 'a'"):
                hubplug.register_module_for_export(hubplug.Module(spec), "a")
            assert [key for key in graph.get_all_collection_keys() if isinstance(key, str)] == ["variables"]


@pytest.mark.parametrize("name", ["", "../a", "/a", "a/../../b", "a//b", "a\\b"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, new_graph: tf.Graph) -> None:
    module = hubplug.Module(hubplug.create_module_spec(scaling))
    with pytest.raises(ValueError, match="export name"):
        hubplug.register_module_for_export(module, name)


def test_only_modules_are_registered(new_graph: tf.Graph) -> None:
    with pytest.raises(TypeError, match="takes a Module, got GraphSpec"):
        hubplug.register_module_for_export(hubplug.create_module_spec(scaling), "a")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes a Module, got int"):
        hubplug.register_module_for_export(3, "a")  # type: ignore[arg-type]


def test_what_exports_as_a_module_does_is_registered(tmp_path: Path, checkpoint: str) -> None:
    class Wrapped:
        def __init__(self, module: hubplug.Module) -> None:
            self._module = module

        def export(self, path: str, session: Any) -> None:
            self._module.export(path, session)

    def wrapping_model_fn(features: Any) -> None:
        module = hubplug.Module(hubplug.create_module_spec(scaling), trainable=True)
        hubplug.register_module_for_export(Wrapped(module), "wrapped")  # type: ignore[arg-type]

    exporter = hubplug.LatestModuleExporter("modules", serving_input_fn)
    path = exporter.export(Trainer(wrapping_model_fn, checkpoint), str(tmp_path / "export"))
    assert path is not None
    assert weight_of(Path(os.fsdecode(path)) / "wrapped") == 5.0


@pytest.mark.skipif(not HAS_ESTIMATOR, reason="TensorFlow has no Estimator since 2.16")
def test_it_is_an_exporter_and_exports_while_an_estimator_trains(tmp_path: Path) -> None:
    def estimator_model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
        module = hubplug.Module(hubplug.create_module_spec(scaling), trainable=True)
        predictions = module(features["x"])
        hubplug.register_module_for_export(module, "scaling")
        if mode == tf.estimator.ModeKeys.PREDICT:
            return tf.estimator.EstimatorSpec(mode, predictions=predictions)
        loss = tf.reduce_mean((predictions - labels) ** 2)
        train_op = v1.train.GradientDescentOptimizer(0.1).minimize(loss, v1.train.get_global_step())
        return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)

    def input_fn() -> Any:
        return tf.data.Dataset.from_tensors(({"x": [1.0]}, [3.0])).repeat()

    def receiver_fn() -> Any:
        features = {"x": v1.placeholder(tf.float32, [None])}
        return tf.estimator.export.ServingInputReceiver(features, features)

    assert issubclass(hubplug.LatestModuleExporter, tf.estimator.Exporter)
    exporter = hubplug.LatestModuleExporter("modules", receiver_fn)
    assert exporter.name == "modules"
    estimator = tf.estimator.Estimator(estimator_model_fn, str(tmp_path / "model"))
    tf.estimator.train_and_evaluate(
        estimator,
        tf.estimator.TrainSpec(input_fn, max_steps=3),
        tf.estimator.EvalSpec(input_fn, steps=1, exporters=[exporter]),
    )
    (export,) = (tmp_path / "model" / "export" / "modules").iterdir()
    assert weight_of(export / "scaling") == pytest.approx(estimator.get_variable_value("module/w"))
    assert weight_of(export / "scaling") > 1.0


@pytest.mark.skipif(HAS_ESTIMATOR, reason="this TensorFlow has Estimator")
def test_where_there_is_no_estimator_it_is_a_class_of_its_own() -> None:
    assert hubplug.LatestModuleExporter.__mro__[1:] == (object,)
    assert hubplug.LatestModuleExporter("modules", serving_input_fn).name == "modules"
