"""What every test has: an environment of its own, and none of TensorFlow's tests where TensorFlow is not installed."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest_plugins = ["hubplug.testing"]

HAS_TENSORFLOW = find_spec("tensorflow") is not None
ROOT = Path(__file__).resolve().parent.parent
SHARED_MODULES = ROOT.parent / "shared" / "modules"

OF_TENSORFLOW_2 = {"eager", "programs_of_tensorflow_2"}
"""Fixtures of tests to which it means nothing that TensorFlow 2's behaviour is off in their process: they run without."""

# pytest's `pythonpath` puts the checkout first. It is needed for `tests.*` only, and must not hide an installed hubplug.
if str(ROOT) in sys.path:
    sys.path.remove(str(ROOT))
sys.path.append(str(ROOT))

collect_ignore_glob = [] if HAS_TENSORFLOW else ["**/test_tf_*.py", "test_tf_*.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--tf1-behavior",
        action="store_true",
        help="run everything after tf.compat.v1.disable_v2_behavior(), as programs for TensorFlow 1 do",
    )


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # As a shell starts what it runs in the background; commands that tests start would not hear Ctrl-C either.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("tf1_behavior"):
        paths = [str(ROOT / "tests" / "tf1_behavior"), os.environ.get("PYTHONPATH")]
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        import_module("tests.tf1_behavior.sitecustomize")
    if not HAS_TENSORFLOW and "tensorflow" in str(config.option.markexpr).split():
        raise pytest.UsageError("TensorFlow is not installed")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where TensorFlow's tests alone are asked for, the other files are not imported: it takes as long as importing TensorFlow."""
    words, name = str(config.option.markexpr).split(), collection_path.name
    others = name.startswith("test_") and name.endswith(".py") and not name.startswith("test_tf_")
    named = any(argument.partition("::")[0].endswith(name) for argument in config.args)
    return True if others and not named and words[:1] == ["tensorflow"] and "or" not in words else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.name.startswith("test_tf_"):
            item.add_marker(pytest.mark.tensorflow)
    left = []
    if "soak" not in str(config.option.markexpr):
        left += [item for item in items if item.get_closest_marker("soak")]
    if config.getoption("tf1_behavior"):
        left += [item for item in items if OF_TENSORFLOW_2 & {*getattr(item, "fixturenames", ())}]
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=left)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting of the machine reaches a test, and no test writes outside its folder."""
    for name in list(os.environ):
        if name.startswith(("TFHUB_", "HUBPLUG_", "NO_COLOR", "FORCE_COLOR")) and not name.startswith("HUBPLUG_TEST_"):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(home / "modules"))


@pytest.fixture
def eager() -> None:
    """Says that a test executes eagerly, as only programs for TensorFlow 2 do."""


@pytest.fixture
def programs_of_tensorflow_2() -> None:
    """Says that a test is of programs that it starts, and which turn TensorFlow 2's behaviour off themselves or need it."""


@pytest.fixture
def shared_modules() -> Path:
    """Real published modules; a clone without them skips."""
    if not SHARED_MODULES.is_dir():
        pytest.skip("the published modules are not here")
    return SHARED_MODULES
