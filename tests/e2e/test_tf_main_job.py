"""The main job: publish, host, resolve, apply, fine-tune, export; and what bad input gets at each step."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug as hub
from hubplug import errors
from hubplug_hosting import ModuleServer, pack_module
from tests.servers import Reply, ScriptedServer

pytestmark = pytest.mark.tensorflow

tf1 = tf.compat.v1
WEIGHTS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)
WORDS = ["a", "hub", "module"]


def small_module(vocabulary_file: Path) -> hub.ModuleSpec:
    """A linear layer, and a vocabulary with it; the variant for training adds noise and counts its steps."""

    def module_fn(training: bool) -> None:
        inputs = tf1.placeholder(tf.float32, [None, 2])
        weights = tf1.get_variable("weights", [2, 3], regularizer=lambda w: 0.5 * tf.reduce_sum(w * w))
        outputs = inputs @ weights
        if training:
            steps = tf1.get_variable("steps", [], tf.int64, tf1.zeros_initializer(), trainable=False)
            tf1.add_to_collection(tf1.GraphKeys.UPDATE_OPS, tf1.assign_add(steps, 1))
        else:
            tf1.get_variable("steps", [], tf.int64, tf1.zeros_initializer(), trainable=False)
        hub.add_signature(inputs=inputs, outputs=outputs)
        hub.add_signature("both", {"x": inputs}, {"twice": 2 * outputs, "sum": tf.reduce_sum(outputs, 1)})

        words = tf1.placeholder(tf.string, [None])
        lines = tf.lookup.TextFileInitializer(
            str(vocabulary_file),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        hub.add_signature("ids", words, tf.lookup.StaticHashTable(lines, -1).lookup(words))

    return hub.create_module_spec(module_fn, [(set(), {"training": False}), ({"train"}, {"training": True})])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small module with known weights; tests only read it."""
    directory = tmp_path_factory.mktemp("published")
    vocabulary_file = directory / "vocabulary.txt"
    vocabulary_file.write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    with tf.Graph().as_default(), tf1.Session() as session:
        module = hub.Module(small_module(vocabulary_file))
        session.run(tf1.global_variables_initializer())
        session.run(tf1.assign(module.variable_map["weights"], WEIGHTS))
        module.export(str(directory / "module"), session)
    vocabulary_file.unlink()  # the module has its own copy
    return directory / "module"


@pytest.fixture(scope="module")
def archive(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("www") / "team" / "small" / "1.tar.gz"
    path.parent.mkdir(parents=True)
    pack_module(exported, path)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "cache"
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(directory))
    return directory


def run(fetches: Any, feed: dict[Any, Any] | None = None) -> Any:
    with tf1.Session() as session:
        session.run([tf1.global_variables_initializer(), tf1.tables_initializer()])
        return session.run(fetches, feed)


def test_a_module_travels_the_whole_way(exported: Path, archive: Path, cache: Path, tmp_path: Path) -> None:
    with ModuleServer(archive.parents[2]) as server:
        handle = f"{server.url}team/small/1"
        resolved = Path(hub.resolve(handle))
    assert resolved.is_relative_to(cache)
    assert tree_of(resolved) == tree_of(exported)

    # The server is gone: from here on the cache answers.
    spec = hub.load_module_spec(handle)
    assert sorted(map(sorted, spec.get_tags())) == [[], ["train"]]
    assert sorted(spec.get_signature_names()) == ["both", "default", "ids"]

    inputs = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    with tf.Graph().as_default():
        module = hub.Module(handle)
        applied, both, ids = (
            module(inputs),
            module({"x": inputs}, signature="both", as_dict=True),
            module(["module", "a", "unheard"], signature="ids"),
        )
        assert tf1.get_collection(tf1.GraphKeys.TRAINABLE_VARIABLES) == []
        got = run([applied, both, ids])
    np.testing.assert_array_equal(got[0], inputs @ WEIGHTS)
    np.testing.assert_array_equal(got[1]["twice"], 2 * inputs @ WEIGHTS)
    np.testing.assert_array_equal(got[1]["sum"], (inputs @ WEIGHTS).sum(1))
    np.testing.assert_array_equal(got[2], [2, 0, -1])

    with tf.Graph().as_default(), tf1.Session() as session:
        module = hub.Module(handle, trainable=True, tags={"train"})
        loss = tf.reduce_mean((module(inputs) - 1.0) ** 2)
        with tf.control_dependencies(tf1.get_collection(tf1.GraphKeys.UPDATE_OPS)):
            step = tf1.train.GradientDescentOptimizer(0.1).minimize(loss)
        (regularization,) = tf1.get_collection(tf1.GraphKeys.REGULARIZATION_LOSSES)
        session.run(tf1.global_variables_initializer())
        assert session.run(regularization) == pytest.approx(0.5 * (WEIGHTS**2).sum())
        before = session.run(loss)
        for _ in range(20):
            session.run(step)
        assert session.run(loss) < before / 10
        tuned = session.run(module.variable_map["weights"])
        module.export(str(tmp_path / "tuned"), session)

    with tf.Graph().as_default():
        module = hub.Module(str(tmp_path / "tuned"))
        got = run([module(inputs), module.variable_map["steps"], module(["hub"], signature="ids")])
    np.testing.assert_allclose(got[0], inputs @ tuned, rtol=1e-6)
    assert got[1] == 20
    assert got[2] == [1]
    with tf.Graph().as_default():  # what the cache holds is what was published
        np.testing.assert_array_equal(run(hub.Module(handle).variable_map["weights"]), WEIGHTS)


def test_the_archive_of_an_export_has_the_same_bytes_each_time(exported: Path, archive: Path, tmp_path: Path) -> None:
    pack_module(exported, tmp_path / "again.tar.gz")
    assert (tmp_path / "again.tar.gz").read_bytes() == archive.read_bytes()


def test_a_local_archive_is_a_handle_too(archive: Path, cache: Path) -> None:
    with tf.Graph().as_default():
        np.testing.assert_array_equal(run(hub.Module(str(archive)).variable_map["weights"]), WEIGHTS)


# --- bad input ---


def test_a_path_that_is_not_there(cache: Path, tmp_path: Path) -> None:
    told = told_by(make, str(tmp_path / "nothing-here"))
    assert str(tmp_path / "nothing-here") in told.message
    assert_nothing_was_kept(cache)


def test_a_directory_without_the_marker_of_the_format(exported: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "saved_model.pb").write_bytes((exported / "saved_model.pb").read_bytes())
    told = told_by(make, str(tmp_path / "plain"))
    assert "tfhub_module.pb" in str(told)
    (tmp_path / "plain" / "saved_model.pb").unlink()
    (tmp_path / "plain" / "notes.txt").write_text("hello")
    told = told_by(make, str(tmp_path / "plain"))
    assert "tfhub_module.pb" in str(told)
    assert_nothing_was_kept(cache)


@pytest.mark.parametrize(
    ("status", "media_type", "body", "kind", "words"),
    [
        (404, "text/plain", b"no such model", errors.MissingError, "404"),
        (403, "text/plain", b"go away", errors.AccessError, "403"),
        (200, "text/html", b"<!DOCTYPE html><title>Sign in</title>", errors.HubplugError, "HTML"),
        (200, "application/gzip", b"", errors.HubplugError, "empty"),
    ],
)
def test_a_url_that_answers_with_something_else(
    cache: Path, status: int, media_type: str, body: bytes, kind: type[Exception], words: str
) -> None:
    with ScriptedServer() as server:
        server.always(Reply(status, body, {"Content-Type": media_type}))
        told = told_by(make, server.url("/team/small/1"))
    assert isinstance(told, kind)
    assert words.lower() in str(told).lower()
    assert server.url("/team/small/1") in told.message
    assert_nothing_was_kept(cache)


@pytest.mark.parametrize("announced", [True, False])
def test_a_url_that_answers_with_a_truncated_archive(archive: Path, cache: Path, announced: bool) -> None:
    whole = archive.read_bytes()
    half = len(whole) // 2
    with ScriptedServer() as server:
        server.always(Reply(body=whole, cut_at=half) if announced else Reply(body=whole[:half]))
        told = told_by(make, server.url("/team/small/1"))
    assert isinstance(told, (errors.IncompleteDownload, errors.ArchiveError))
    assert_nothing_was_kept(cache)


def test_a_scheme_that_nobody_knows(cache: Path) -> None:
    told = told_by(make, "gopher://example.com/team/small/1")
    assert "gopher" in told.message
    assert_nothing_was_kept(cache)


def test_tags_that_no_variant_has(exported: Path) -> None:
    told = told_by(make, str(exported), tags={"serving"})
    assert isinstance(told, (errors.UnknownTagsError, ValueError))
    assert "serving" in told.message
    assert "train" in str(told)


@pytest.mark.parametrize(
    ("apply", "kinds", "words"),
    [
        (lambda m: m([[1.0, 2.0]], signature="defualt"), (ValueError, KeyError), "defualt"),
        (lambda m: m({"y": [[1.0, 2.0]]}, signature="both"), (TypeError,), "y"),
        (lambda m: m({}), (TypeError,), "default"),
        (lambda m: m({"x": [[1.0, 2.0]]}, signature="both"), (TypeError,), "as_dict"),
        (lambda m: m(tf.constant([[1, 2]])), (TypeError,), "int32"),
        (lambda m: m(tf.constant([[1, 2]])), (ValueError,), "float32"),
        (lambda m: m([[1.0, 2.0, 3.0]]), (TypeError,), "3"),
    ],
)
def test_applying_in_a_way_the_signature_does_not_allow(
    exported: Path, apply: Callable[[hub.Module], Any], kinds: tuple[type[Exception], ...], words: str
) -> None:
    with tf.Graph().as_default() as graph:
        module = hub.Module(str(exported))
        operations = len(graph.get_operations())
        told = told_by(apply, module)
        assert len(graph.get_operations()) - operations <= 2  # what converting the input took
    assert isinstance(told, kinds)
    assert words in str(told)


def test_exporting_onto_a_module_leaves_it_as_it_was(exported: Path, tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf1.Session() as session:
        module = hub.Module(str(exported))
        session.run(tf1.global_variables_initializer())
        module.export(str(tmp_path / "out"), session)
        before = tree_of(tmp_path / "out")
        session.run(tf1.assign(module.variable_map["weights"], -WEIGHTS))
        told = told_by(module.export, str(tmp_path / "out"), session)
    assert isinstance(told, errors.ExportError)
    assert str(tmp_path / "out") in told.message
    assert tree_of(tmp_path / "out") == before
    assert os.listdir(tmp_path) == ["out"]


def make(handle: str, **kwargs: Any) -> hub.Module:
    with tf.Graph().as_default():
        return hub.Module(handle, **kwargs)


def told_by(function: Callable[..., Any], *args: Any, **kwargs: Any) -> errors.HubplugError:
    """Calls a function that must fail, and returns its error: one line, and one thing to do next."""
    with pytest.raises(errors.HubplugError) as caught:
        function(*args, **kwargs)
    told = caught.value
    assert told.message.strip()
    assert "\n" not in told.message
    assert told.hint
    assert "\n" not in told.hint
    return told


def assert_nothing_was_kept(cache: Path) -> None:
    """Locks may stay: they hold nothing."""
    left = [path for path in cache.rglob("*") if ".hubplug-locks" not in path.parts] if cache.exists() else []
    assert left == []


def tree_of(directory: Path) -> dict[str, bytes]:
    """Every file of a module but the manifest of a cache."""
    files = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name != ".hubplug.json"}
