"""Real modules on a store: exported there by their URL, found whole, and loaded back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf

import hubplug
from hubplug.errors import ExportError, NobodyAnswered, OccupiedError

from .conftest import Store

v1 = tf.compat.v1
in_memory = pytest.mark.parametrize("store", ["memory"], indirect=True)


def scaling(vocabulary: Path) -> Callable[[], None]:
    """A module with a variable, a table with an asset, and a training variant's worth of names."""

    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [None])
        w = v1.get_variable("w", initializer=2.0)
        source = tf.lookup.TextFileInitializer(
            str(vocabulary),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        words = v1.placeholder(tf.string, [None])
        hubplug.add_signature(inputs=x, outputs=x * w)
        hubplug.add_signature("ids", words, tf.lookup.StaticVocabularyTable(source, 1).lookup(words))

    return module_fn


@pytest.fixture
def spec(tmp_path: Path) -> hubplug.ModuleSpec:
    (tmp_path / "vocabulary.txt").write_text("one\ntwo\n")
    made: hubplug.ModuleSpec = hubplug.create_module_spec(scaling(tmp_path / "vocabulary.txt"))
    return made


@pytest.fixture(autouse=True)
def active(store: Store) -> Iterator[None]:
    options = {"storage_options": {store.scheme: dict(store.storage_options)}} if store.storage_options else {}
    chain = {"chain": ["file", "fsspec", "archive", "tf1", "savedmodel"], "plugins": {"fsspec": {"options": options}}}
    with hubplug.Hub(chain).activate():
        yield


def export(spec: Any, url: str, w: float) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        module = hubplug.Module(spec)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        session.run(v1.assign(module.variable_map["w"], w))
        module.export(url, session)


def results(handle: str) -> tuple[list[float], list[int]]:
    with tf.Graph().as_default():
        module = hubplug.Module(handle)
        scaled, ids = module([1.0, 2.0]), module(["two", "three"], signature="ids")
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            return session.run(scaled).tolist(), session.run(ids).tolist()


def names_at(store: Store, name: str) -> list[str]:
    root = f"{store.bucket}/{name}"
    store.filesystem.invalidate_cache()
    if not store.filesystem.exists(root):
        return []
    return sorted(path.lstrip("/").removeprefix(f"{root}/") for path in store.filesystem.find(root))


def test_a_module_that_is_exported_to_a_url_is_loaded_from_there(store: Store, spec: hubplug.ModuleSpec) -> None:
    export(spec, store.url("team/m/1"), 3.0)
    assert names_at(store, "team/m/1") == [
        "assets/vocabulary.txt",
        "saved_model.pb",
        "tfhub_module.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    ]
    assert results(store.url("team/m/1")) == ([3.0, 6.0], [1, 2])
    export(store.url("team/m/1"), store.url("team/m/2"), 5.0)
    assert results(store.url("team/m/2")) == ([5.0, 10.0], [1, 2])


def test_what_is_there_is_an_already_exists_error_and_stays(store: Store, spec: hubplug.ModuleSpec) -> None:
    export(spec, store.url("m"), 3.0)
    for kind in (tf.errors.AlreadyExistsError, ExportError, OccupiedError):
        with pytest.raises(kind, match="exists already; nothing was written") as raised:
            export(spec, store.url("m"), 4.0)
        assert raised.value.hint  # type: ignore[attr-defined]
    assert results(store.url("m"))[0] == [3.0, 6.0]


def test_a_checkpoint_is_exported_to_a_url(store: Store, spec: hubplug.ModuleSpec, tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("w", initializer=7.0)
        session.run(v1.global_variables_initializer())
        checkpoint = v1.train.Saver().save(session, str(tmp_path / "ckpt" / "model"))
    spec.export(store.url("m"), checkpoint_path=checkpoint)
    assert results(store.url("m"))[0] == [7.0, 14.0]
    with pytest.raises(tf.errors.AlreadyExistsError):
        spec.export(store.url("m"), checkpoint_path=checkpoint)


def test_what_the_session_raises_reaches_the_caller_and_nothing_is_there(
    store: Store, spec: hubplug.ModuleSpec
) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        module = hubplug.Module(spec)
        with pytest.raises(tf.errors.FailedPreconditionError):
            module.export(store.url("m"), session)
    assert names_at(store, "m") == []


@in_memory
def test_a_file_url_is_a_path(spec: hubplug.ModuleSpec, tmp_path: Path) -> None:
    export(spec, f"file://{tmp_path}/m", 3.0)
    assert (tmp_path / "m" / "tfhub_module.pb").is_file()
    assert results(f"file://{tmp_path}/m")[0] == [3.0, 6.0]
    with pytest.raises(tf.errors.AlreadyExistsError):
        export(spec, f"file://{tmp_path}/m", 3.0)


@in_memory
def test_a_scheme_that_nobody_knows_is_refused(spec: hubplug.ModuleSpec) -> None:
    with pytest.raises(NobodyAnswered, match="No plugin takes 'nope://b/m' as a place to export to"):
        export(spec, "nope://b/m", 3.0)


class Trainer:
    """What LatestModuleExporter uses of an Estimator."""

    def __init__(self, spec: hubplug.ModuleSpec, checkpoint: str) -> None:
        self.config = SimpleNamespace(tf_random_seed=1)
        self._session_config = None
        self._spec = spec
        self._checkpoint = checkpoint

    def latest_checkpoint(self) -> str:
        return self._checkpoint

    def model_fn(self, features: Any, labels: Any, mode: str, config: Any) -> Any:
        for name in ("text", "deep/text"):
            hubplug.register_module_for_export(hubplug.Module(self._spec, name=name.replace("/", "_")), name)
        return SimpleNamespace(scaffold=SimpleNamespace(saver=None))


@pytest.fixture
def trainer(spec: hubplug.ModuleSpec, tmp_path: Path) -> Trainer:
    with tf.Graph().as_default(), v1.Session() as session:
        v1.train.create_global_step()
        modules = [hubplug.Module(spec, name=name) for name in ("text", "deep_text")]
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        session.run([v1.assign(module.variable_map["w"], 4.0) for module in modules])
        return Trainer(spec, v1.train.Saver().save(session, str(tmp_path / "ckpt" / "model")))


@in_memory
def test_an_exporter_writes_where_tensorflow_has_no_file_system(
    store: Store, trainer: Trainer, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = hubplug.LatestModuleExporter("modules", lambda: SimpleNamespace(features=None), exports_to_keep=1)
    first, second = (exporter.export(trainer, store.url("export")) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first != second
    for path in (os.fsdecode(first), os.fsdecode(second)):
        assert path.startswith(store.url("export/"))
        for name in ("text", "deep/text"):
            assert results(f"{path}/{name}")[0] == [4.0, 8.0]
    assert f"All exports stay in {store.url('export')}" in caplog.text
