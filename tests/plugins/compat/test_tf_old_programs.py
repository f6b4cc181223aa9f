"""Programs that were written for tensorflow_hub, run unmodified."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest
import tensorflow as tf

import hubplug

pytestmark = pytest.mark.usefixtures("programs_of_tensorflow_2")

TF_VERSION = tuple(int(part) for part in tf.__version__.split(".")[:2])


def run(
    tmp_path: Path, program: str, *arguments: str, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "old_program.py"
    script.write_text(textwrap.dedent(program))
    return subprocess.run(
        [sys.executable, "-m", "hubplug", "run", *options, str(script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


# Modules, and what they have from elsewhere, are nobody's to reach for.
NAMES_OF_THE_REFERENCE = """
import importlib, inspect, json, pkgutil
import tensorflow_hub
found = {}
for submodule in ["", *(module.name for module in pkgutil.iter_modules(tensorflow_hub.__path__))]:
    module = importlib.import_module(f"tensorflow_hub.{submodule}" if submodule else "tensorflow_hub")
    found[submodule] = [
        name
        for name, value in vars(module).items()
        if not name.startswith("__") and not inspect.ismodule(value)
        and getattr(value, "__module__", module.__name__).startswith(module.__name__)
    ]
print(json.dumps(found))
"""

NAMES_OF_PROGRAMS = [
    "from tensorflow_hub import module_spec; module_spec.ModuleSpec",
    "from tensorflow_hub.module_spec import ModuleSpec",
    "from tensorflow_hub.native_module import create_module_spec, add_signature, attach_message",
    "from tensorflow_hub import tf_v1; tf_v1.placeholder",
    "import tensorflow_hub.feature_column as f; f.text_embedding_column",
    "import tensorflow_hub as hub; hub.registry.resolver.add_implementation",
    "from tensorflow_hub.resolver import Resolver, tfhub_cache_dir",
    "from tensorflow_hub import *; Module, create_module_spec",
    "import tensorflow_hub as hub; assert hub.__version__ == '0.15.0'",
]

TF1_PROGRAM = """
    import sys
    import tensorflow as tf
    import tensorflow_hub as hub

    def module_fn():
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        w = tf.get_variable("w", initializer=tf.constant([[2.0], [3.0], [4.0]]))
        hub.add_signature(inputs=x, outputs=tf.matmul(x, w))

    def main():
        spec = hub.create_module_spec(module_fn)
        with tf.Graph().as_default():
            y = hub.Module(spec)([[1.0, 10.0, 100.0]])
            with tf.Session() as session:
                session.run(tf.global_variables_initializer())
                print("y =", session.run(y).tolist(), sys.argv[1:])

    if __name__ == "__main__":
        main()
"""


def test_a_tensorflow_1_program_runs_unmodified(tmp_path: Path) -> None:
    done = run(tmp_path, TF1_PROGRAM, "--flag", "value", options=("--tf1",))
    assert done.returncode == 0, done.stderr
    assert "y = [[432.0]] ['--flag', 'value']" in done.stdout


def test_a_program_finds_its_own_files_after_a_change_of_directory(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("cat")
    (tmp_path / "old_program.py").write_text(
        "import os\nos.chdir('/')\nprint(open(os.path.join(os.path.dirname(__file__), 'labels.txt')).read())\n"
    )
    command = [sys.executable, "-m", "hubplug", "run", "old_program.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "cat\n"), done.stderr


def test_a_program_on_compat_v1_runs_without_the_option(tmp_path: Path) -> None:
    done = run(tmp_path, TF1_PROGRAM.replace("import tensorflow as tf", "import tensorflow.compat.v1 as tf"))
    assert done.returncode == 0, done.stderr
    assert "y = [[432.0]] []" in done.stdout


@pytest.mark.skipif(find_spec("tf_keras") is None, reason="tf.layers needs tf_keras")
def test_tf_layers_work_where_tf_keras_is_installed(tmp_path: Path) -> None:
    program = """
        import tensorflow as tf
        x = tf.placeholder(tf.float32, [None, 3])
        print("layer:", tf.layers.dense(x, 2).shape.as_list())
    """
    done = run(tmp_path, program, options=("--tf1",))
    assert done.returncode == 0, done.stderr
    assert "layer: [None, 2]" in done.stdout


def test_names_that_programs_import_are_there(tmp_path: Path) -> None:
    """Each in a process that has imported TensorFlow, which takes long, and nothing of tensorflow_hub."""
    program = f"""
        import os, traceback
        import tensorflow

        for statement in {NAMES_OF_PROGRAMS}:
            child = os.fork()
            if not child:
                try:
                    exec(statement, {{}})
                except BaseException:
                    traceback.print_exc()
                    os._exit(1)
                os._exit(0)
            print("there:" if os.waitpid(child, 0)[1] == 0 else "failed:", statement)
    """
    done = run(tmp_path, program)
    assert done.stdout.splitlines() == [f"there: {statement}" for statement in NAMES_OF_PROGRAMS], done.stderr


def test_submodules_of_tensorflow_hub_are_attributes_of_hubplug_too() -> None:
    program = """
        import hubplug as hub
        from hubplug import feature_column, native_module, tf_v1
        assert hub.module.Module is hub.Module
        assert hub.module_spec.ModuleSpec is hub.ModuleSpec
        assert native_module.create_module_spec is hub.create_module_spec
        assert hub.saved_model_module.create_module_spec_from_saved_model is hub.create_module_spec_from_saved_model
        assert hub.image_util.get_expected_image_size is hub.get_expected_image_size
        assert hub.image_module_info_pb2.ImageModuleInfo is hub.ImageModuleInfo
        assert feature_column.text_embedding_column is hub.text_embedding_column
        assert hub.estimator.LatestModuleExporter is hub.LatestModuleExporter
        assert hub.module_v2.load is hub.load and hub.module_v2.resolve is hub.resolve
        assert tf_v1.placeholder
        print("fine")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    assert "fine" in done.stdout, done.stderr


def test_an_unknown_submodule_is_a_clear_import_error(tmp_path: Path) -> None:
    program = """
        try:
            import tensorflow_hub.tools.make_image_classifier
        except ImportError as error:
            print("ImportError:", error)
    """
    done = run(tmp_path, program)
    assert "ImportError: hubplug stands in for tensorflow_hub and has no part 'tensorflow_hub.tools'" in done.stdout
    assert "hint: there is: programs that use hub.Module or hub.load" in done.stdout


def test_columns_come_back_from_their_configurations_as_in_tensorflow_hub(tmp_path: Path) -> None:
    program = """
        import tensorflow.compat.v1 as tf
        import tensorflow_hub as hub
        from tensorflow_hub.feature_column import _TextEmbeddingColumn
        import sys

        def module_fn():
            words = tf.placeholder(tf.string, [None])
            hub.add_signature(inputs=words, outputs=tf.get_variable("w", [1, 2]) * tf.ones([tf.shape(words)[0], 1]))

        with tf.Graph().as_default(), tf.Session() as session:
            module = hub.Module(hub.create_module_spec(module_fn))
            session.run(tf.global_variables_initializer())
            module.export(sys.argv[1], session)
        column = hub.text_embedding_column("words", sys.argv[1], trainable=True)
        assert hub.feature_column._TextEmbeddingColumn.from_config(column.get_config()) == column
        assert isinstance(column, _TextEmbeddingColumn)
        assert hub.version.__version__ == "0.15.0"
        print("fine")
    """
    done = run(tmp_path, program, str(tmp_path / "m"))
    assert "fine" in done.stdout, done.stderr


def test_every_name_of_tensorflow_hub_is_there_or_says_what_there_is_instead(tmp_path: Path) -> None:
    """In each way to reach for it: as an attribute, by `from ... import`, by `import`."""
    reference = subprocess.run(
        [sys.executable, "-c", NAMES_OF_THE_REFERENCE], capture_output=True, text=True, check=False
    )
    if "No module named 'tensorflow_hub'" in reference.stderr or "cannot import" in reference.stderr:
        names = {
            "compressed_module_resolver": ["HttpCompressedFileResolver"],
            "native_module": ["Loader", "_ModuleSpec"],
        }
    else:
        names = json.loads(reference.stdout.splitlines()[-1])
        assert len(names) >= 25
    (tmp_path / "names.json").write_text(json.dumps(names))
    program = """
        import importlib, json, sys
        import tensorflow_hub as hub
        import hubplug

        for submodule, names in json.load(open(sys.argv[1])).items():
            module = importlib.import_module(f"tensorflow_hub.{submodule}" if submodule else "tensorflow_hub")
            if submodule:
                assert getattr(hub, submodule) is module
                getattr(hubplug, submodule)
            for name in names:
                try:
                    getattr(module, name)
                    there = True
                except AttributeError as error:
                    there = False
                    assert "instead there is: " in str(error), error
                try:
                    exec(f"from {module.__name__} import {name}")
                    assert there, name
                except ImportError as error:
                    assert not there, name
                    assert "hint: there is: " in str(error), error
        print("fine")
    """
    done = run(tmp_path, program, str(tmp_path / "names.json"))
    assert "fine" in done.stdout, done.stderr


def test_what_hubplug_does_not_offer_is_an_attribute_error_of_hubplug_too() -> None:
    with pytest.raises(
        AttributeError, match=r"'tensorflow_hub.native_module' has no attribute 'Loader'.*load_module_spec"
    ):
        _ = hubplug.native_module.Loader
    assert not hasattr(hubplug, "no_such_name")
    assert not hasattr(hubplug, "_no_such_name")


@pytest.mark.parametrize("library", ["tensorflow_hub", "hubplug"])
def test_a_resolver_that_a_program_registers_is_asked_first(tmp_path: Path, library: str) -> None:
    program = f"""
        import {library} as hub

        class Resolver:
            def is_supported(self, handle):
                return handle.startswith("corp:")
            def __call__(self, handle):
                return {str(tmp_path)!r}

        hub.registry.resolver.add_implementation(Resolver())
        print("resolved:", hub.resolve("corp:model"))
    """
    done = run(tmp_path, program)
    assert f"resolved: {tmp_path}" in done.stdout, done.stderr


@pytest.mark.skipif(find_spec("absl") is None, reason="absl is not installed")
def test_the_flags_of_tensorflow_hub_are_taken(tmp_path: Path) -> None:
    program = """
        from absl import app, flags
        import tensorflow_hub as hub
        import os
        os.environ["TFHUB_MODEL_LOAD_FORMAT"] = "COMPRESSED"  # a default of a flag does not stand above it

        def main(argv):
            print("cache:", os.environ["TFHUB_CACHE_DIR"], flags.FLAGS.tfhub_cache_dir, argv[1:])
            print("format:", os.environ["TFHUB_MODEL_LOAD_FORMAT"], flags.FLAGS.tfhub_model_load_format)

        app.run(main)
    """
    done = run(tmp_path, program, "--tfhub_cache_dir=/somewhere/else", "rest")
    assert "cache: /somewhere/else /somewhere/else ['rest']" in done.stdout, done.stderr
    assert "format: COMPRESSED AUTO" in done.stdout


def test_a_missing_program_is_two_lines(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hubplug", "run", str(tmp_path / "none.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == f"error: {tmp_path / 'none.py'} does not exist"
    assert done.stderr.splitlines()[1].startswith("hint: ")


def test_a_directory_is_run_as_python_runs_it(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text("import beside, tensorflow_hub; print(beside.X, tensorflow_hub.__name__)")
    command = [sys.executable, "-m", "hubplug", "run", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "No module named 'beside'" in done.stderr
    (tmp_path / "beside.py").write_text("X = 7")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "7 tensorflow_hub\n", done.stderr
    (tmp_path / "__main__.py").unlink()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == f"error: {tmp_path} is a directory without __main__.py"


def test_the_programs_exit_status_and_traceback_are_its_own(tmp_path: Path) -> None:
    assert run(tmp_path, "import sys; sys.exit(7)").returncode == 7
    failed = run(tmp_path, "raise KeyError('mine')")
    assert failed.returncode == 1
    assert "KeyError: 'mine'" in failed.stderr


@pytest.mark.skipif(find_spec("tensorflow_hub") is None, reason="tensorflow_hub is not installed")
def test_standing_in_is_refused_once_the_real_one_is_imported() -> None:
    program = """
        import tensorflow_hub
        import hubplug
        try:
            hubplug.install_as_tensorflow_hub()
        except ImportError as error:
            print("refused:", error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    assert "refused: The real tensorflow_hub is imported already" in done.stdout, done.stderr


def test_standing_in_twice_does_nothing_the_second_time() -> None:
    program = """
        import hubplug
        hubplug.install_as_tensorflow_hub()
        import tensorflow_hub
        hubplug.install_as_tensorflow_hub()
        assert tensorflow_hub.Module is hubplug.Module
        print("fine")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    assert "fine" in done.stdout, done.stderr


@pytest.mark.parametrize("options", [[], ["--tf1"]])
def test_what_tensorflow_notes_about_the_machine_is_left_out_and_nothing_else(
    options: list[str], tmp_path: Path
) -> None:
    script = tmp_path / "p.py"
    script.write_text(
        "import logging, os\nos.write(2, b'first\\n')\nimport tensorflow as tf\n"
        "logging.warning('of the program')\nprint(tf.__version__)\nassert tf.__spec__.loader.get_filename('tensorflow')\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-m", "hubplug", "run", *options, str(script)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**environment, "CUDA_VISIBLE_DEVICES": "-1"}, check=True
    )
    assert done.stdout == f"{tf.__version__}\n"
    # hubplug itself says so where Keras 2 is not there.
    said = [line for line in done.stderr.splitlines() if not line.startswith("hubplug: ")]
    assert (said[0], said[-1]) == ("first", "WARNING:root:of the program")
    assert not any("oneDNN" in line or "absl::InitializeLog" in line or "cudart" in line for line in said)
