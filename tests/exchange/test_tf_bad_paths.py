"""What is no module: hubplug and tensorflow_hub 0.15 side by side, by the types that old programs catch.

The types that are expected were observed with tensorflow_hub 0.15, and are compared with it where it can be imported
(TensorFlow 2.15).
"""

from __future__ import annotations

import os
import pickle
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError

import hubplug
from hubplug.errors import FormatError, HubplugError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
v1 = tf.compat.v1

try:
    import tensorflow_hub
except ImportError:
    tensorflow_hub = None
HAS_REFERENCE = hasattr(tensorflow_hub, "Module")

pytestmark = pytest.mark.filterwarnings("ignore")

NotFound = tf.errors.NotFoundError
OpError = tf.errors.OpError
FailedPrecondition = tf.errors.FailedPreconditionError
Spoiler = Callable[[Path], "Path | str | None"]


@pytest.fixture(autouse=True)
def _hub(tmp_path: Path) -> Iterator[None]:
    chain = ["cache", "file", "archive", "tf1", "savedmodel"]
    with hubplug.Hub({"chain": chain, "plugins": {"cache": {"options": {"dir": str(tmp_path / "cache")}}}}).activate():
        yield


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module with one variable."""

    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [None])
        hubplug.add_signature(inputs=x, outputs=x * v1.get_variable("w", initializer=2.0))

    path = tmp_path_factory.mktemp("good") / "m"
    with tf.Graph().as_default(), v1.Session() as session, hubplug.Hub({"chain": ["tf1"]}).activate():
        module = hubplug.Module(hubplug.create_module_spec(module_fn))
        session.run(v1.global_variables_initializer())
        module.export(str(path), session)
    return path


def without(name: str) -> Spoiler:
    def spoil(module: Path) -> None:
        shutil.rmtree(module / name) if (module / name).is_dir() else (module / name).unlink()

    return spoil


def with_content(name: str, content: bytes) -> Spoiler:
    def spoil(module: Path) -> None:
        (module / name).write_bytes(content)

    return spoil


def with_directory(name: str) -> Spoiler:
    def spoil(module: Path) -> None:
        (module / name).unlink()
        (module / name).mkdir()

    return spoil


def truncated(name: str) -> Spoiler:
    def spoil(module: Path) -> None:
        (module / name).write_bytes((module / name).read_bytes()[:-7])

    return spoil


def dangling(module: Path) -> None:
    (module / "tfhub_module.pb").unlink()
    (module / "tfhub_module.pb").symlink_to("nowhere")


def emptied(module: Path) -> None:
    shutil.rmtree(module)
    module.mkdir()


def only_a_text(module: Path) -> None:
    emptied(module)
    (module / "readme.txt").write_text("no module")


def outer(module: Path) -> Path:
    return module.parent


def of_tensorflow_2(module: Path) -> None:
    shutil.rmtree(module)
    tf.saved_model.save(tf.Module(), str(module))


FINE = None
# What is done to a good module, and what load_module_spec, Module and load raise for it: FINE where they do not.
CASES: Mapping[str, tuple[Spoiler, type[Exception] | None, type[Exception] | None, type[Exception] | None]] = {
    "good": (lambda module: None, FINE, FINE, FINE),
    "gone": (lambda module: shutil.rmtree(module), OSError, OSError, OSError),
    "gone, as a URL": (lambda module: f"file://{module}-elsewhere", OSError, OSError, OSError),
    "no handle": (lambda module: "", OSError, OSError, OSError),
    "empty": (emptied, NotFound, NotFound, ValueError),
    "other files": (only_a_text, NotFound, NotFound, ValueError),
    "one directory too high": (outer, NotFound, NotFound, ValueError),
    "a TF1 SavedModel": (without("tfhub_module.pb"), NotFound, NotFound, FINE),
    "a TF2 SavedModel": (of_tensorflow_2, NotFound, NotFound, FINE),
    "marker leads nowhere": (dangling, NotFound, NotFound, FINE),
    "marker is a directory": (with_directory("tfhub_module.pb"), FailedPrecondition, FailedPrecondition, FINE),
    "marker damaged": (with_content("tfhub_module.pb", b"\xff\xff\xff"), DecodeError, DecodeError, FINE),
    "marker truncated": (with_content("tfhub_module.pb", b"\x08"), DecodeError, DecodeError, FINE),
    "marker empty": (with_content("tfhub_module.pb", b""), ValueError, ValueError, FINE),
    "older format": (with_content("tfhub_module.pb", b"\x08\x02"), ValueError, ValueError, FINE),
    "newer format": (with_content("tfhub_module.pb", b"\x08\x09"), ValueError, ValueError, FINE),
    "required feature": (with_content("tfhub_module.pb", b"\x08\x03\x12\x01x"), ValueError, ValueError, FINE),
    "no graph": (without("saved_model.pb"), NotFound, NotFound, ValueError),
    "graph damaged": (with_content("saved_model.pb", b"\xff" * 30), OSError, OSError, OSError),
    "graph truncated": (truncated("saved_model.pb"), OSError, OSError, OSError),
    "graph is a directory": (with_directory("saved_model.pb"), *[FailedPrecondition] * 3),
    "no variables": (without("variables"), FINE, NotFound, NotFound),
    "no index of variables": (without("variables/variables.index"), FINE, NotFound, NotFound),
    "index damaged": (with_content("variables/variables.index", b"garbage" * 20), FINE, OpError, OpError),
}
FUNCTIONS = ("load_module_spec", "Module", "load")
# What says that it is a module, and not in a format that is known: tensorflow_hub loads it all the same.
REFUSED_BY_LOAD = {case for case in CASES if case.startswith("marker")} | {
    "older format",
    "newer format",
    "required feature",
}


@pytest.fixture
def handle(request: pytest.FixtureRequest, good: Path, tmp_path: Path) -> str:
    """A spoiled copy of the good module."""
    module = tmp_path / "outer" / "m"
    shutil.copytree(good, module)
    spoiled = CASES[request.param][0](module)
    return str(module if spoiled is None else spoiled)


def outcome(library: Any, function: str, handle: str) -> Exception | None:
    graph = tf.Graph() if function == "Module" else None
    try:
        if graph is None:
            getattr(library, function)(handle)
        else:
            with graph.as_default():
                getattr(library, function)(handle)
    except Exception as error:
        return error
    return None


# In a graph, load reads no variables.
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("handle", "case"), [(case, case) for case in CASES], indirect=["handle"], ids=CASES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_bad_path_raises_what_old_programs_catch(handle: str, case: str, function: str) -> None:
    expected = CASES[case][1 + FUNCTIONS.index(function)]
    ours = outcome(hubplug, function, handle)
    if HAS_REFERENCE:
        theirs = outcome(tensorflow_hub, function, handle)
        assert (theirs is None) == (expected is None), repr(theirs)
        if expected is not None:
            assert isinstance(theirs, expected), repr(theirs)
            # Every type that the error of tensorflow_hub has, and not only the one expected.
            assert isinstance(ours, type(theirs)), f"{ours!r} where tensorflow_hub raised {theirs!r}"
    if function == "load" and case in REFUSED_BY_LOAD:
        expected = FormatError
    if expected is None:
        assert ours is None, repr(ours)
        return
    assert isinstance(ours, expected), repr(ours)
    if function == "load" and not isinstance(ours, HubplugError):
        return  # TensorFlow's own words
    assert isinstance(ours, HubplugError)
    assert "\n" not in ours.message
    assert ours.hint
    assert str(ours) == f"{ours.message}\nhint: {ours.hint}"


@pytest.mark.parametrize("handle", ["empty", "a TF1 SavedModel", "marker damaged", "graph damaged"], indirect=True)
def test_what_is_there_and_is_no_module_is_still_a_format_error(handle: str) -> None:
    for function in ("load_module_spec", "Module"):
        assert isinstance(outcome(hubplug, function, handle), FormatError)


def test_a_file_that_is_no_archive_is_refused_as_an_archive_is(tmp_path: Path) -> None:
    """tensorflow_hub looks for ``FILE/tfhub_module.pb``; hubplug takes a file for an archive (docs/differences.md)."""
    path = tmp_path / "file"
    path.write_text("x")
    assert isinstance(outcome(hubplug, "load", str(path)), ValueError)
    assert isinstance(outcome(hubplug, "Module", str(path)), OSError)
    if HAS_REFERENCE:
        assert type(outcome(tensorflow_hub, "load", str(path))) is ValueError
        assert type(outcome(tensorflow_hub, "Module", str(path))) is FailedPrecondition


@pytest.mark.parametrize(
    ("handle", "kind"), [("no graph", NotFound), ("marker damaged", DecodeError), ("graph damaged", OSError)],
    indirect=["handle"],
)  # fmt: skip
def test_an_archive_of_such_a_directory_is_refused_with_the_same_types_and_not_kept(
    handle: str, kind: type[Exception], tmp_path: Path
) -> None:
    archive = tmp_path / "m.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(handle, ".")
    ours = outcome(hubplug, "Module", str(archive))
    assert isinstance(ours, kind)
    assert isinstance(ours, FormatError)
    # Where it was unpacked is gone when the message is read.
    assert str(tmp_path) not in ours.message
    cache = tmp_path / "cache"
    assert not cache.exists() or not [path for path in cache.iterdir() if not path.name.startswith(".")]


@pytest.mark.usefixtures("eager")  # which writes the TF2 SavedModel
@pytest.mark.parametrize(
    "handle", ["empty", "a TF2 SavedModel", "marker is a directory", "no variables"], indirect=True
)
def test_the_errors_pickle_with_their_hints(handle: str) -> None:
    error = outcome(hubplug, "Module", handle)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
