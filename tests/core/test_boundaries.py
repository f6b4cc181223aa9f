"""Who may import whom, and what stays lazy: boundaries are tests, not habits."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
import textwrap
import tokenize
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import hubplug
import hubplug_format
from hubplug.settings.entry_points import installed_commands, installed_plugins
from hubplug_format import ModuleBuilder, write_module

CORE = Path(hubplug.__file__).parent
BUILT_IN = sorted(name for name in packages_distributions() if name.startswith("hubplug_")) or sorted(
    path.name for path in (CORE.parent / "plugins").glob("hubplug_*") if (path / "__init__.py").is_file()
)
HEAVY = ("tensorflow", "tf_keras", "requests", "fsspec", "gcsfs", "tqdm", "isal", "filelock", "yaml", "click", "numpy",
         "google.protobuf", "urllib3", "jsonschema", "pytest")  # fmt: skip
# What only tests, the command line and the conversion of YAML need may be imported by the module that is about it.
MAY_IMPORT = {
    ("hubplug/cli/main.py", "click"),
    ("hubplug/cli/commands.py", "click"),
    ("hubplug/cli/completion.py", "click"),
    ("hubplug/cli/settings.py", "click"),
    ("hubplug/settings/strict_yaml.py", "yaml"),
}


def folder_of(package: str) -> Path:
    for place in (CORE.parent / package, CORE.parent / "plugins" / package):
        if place.is_dir():
            return place
    raise AssertionError(f"{package} is not there")


def imports_of(path: Path, *, module_level: bool) -> Iterator[str]:
    """The absolute names that a file imports; those under ``if TYPE_CHECKING:`` are no imports."""
    for node in statements(ast.parse(path.read_text(encoding="utf-8")), module_level):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def statements(node: ast.AST, module_level: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        if module_level and isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        yield child
        yield from statements(child, module_level)


def is_under(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_there_are_built_in_plugins_to_look_at() -> None:
    assert {"hubplug_cache", "hubplug_file", "hubplug_http", "hubplug_tf1", "hubplug_format"} <= set(BUILT_IN)


@pytest.mark.parametrize(
    "path",
    sorted(path for path in CORE.rglob("*.py") if path.parent != CORE / "testing"),
    ids=lambda path: path.relative_to(CORE).as_posix(),
)
def test_the_core_imports_no_plugin_and_nothing_heavy(path: Path) -> None:
    inside = f"hubplug/{path.relative_to(CORE).as_posix()}"
    for name in imports_of(path, module_level=False):
        assert not name.startswith("hubplug_"), name
        assert not is_under(name, "hubplug.testing"), name
        assert not any(is_under(name, heavy) for heavy in ("tensorflow", "requests", "fsspec", "gcsfs")), name
    for name in imports_of(path, module_level=True):
        heavy = next((heavy for heavy in HEAVY if is_under(name, heavy)), None)
        assert heavy is None or (inside, heavy) in MAY_IMPORT, f"{inside} imports {heavy} at module level"


def test_the_kit_for_plugin_authors_needs_no_plugin_but_the_format_library() -> None:
    for path in (CORE / "testing").glob("*.py"):
        for name in imports_of(path, module_level=False):
            assert not name.startswith("hubplug_") or name.partition(".")[2] in hubplug_format.__all__, (
                f"{path.name}: {name}"
            )
            assert not is_under(name, "tensorflow"), f"{path.name}: {name}"


@pytest.mark.parametrize("package", BUILT_IN)
def test_a_plugin_imports_only_public_names_of_the_core_and_no_other_plugin(package: str) -> None:
    for path in folder_of(package).rglob("*.py"):
        for name in imports_of(path, module_level=False):
            parts = name.split(".")
            if parts[0] == "hubplug":
                assert not any(part.startswith("_") for part in parts), f"{path.name}: {name}"
            elif parts[0].startswith("hubplug_"):
                assert parts[0] in (package, "hubplug_format"), f"{path.name}: {name}"
                if parts[0] != package:
                    assert parts[1] in hubplug_format.__all__, f"{path.name}: {name}"


@pytest.mark.parametrize("package", BUILT_IN)
def test_a_plugin_package_is_light_until_it_is_used(package: str) -> None:
    for name in imports_of(folder_of(package) / "__init__.py", module_level=True):
        assert not any(is_under(name, heavy) for heavy in HEAVY), name


def test_no_module_reads_the_environment_but_the_configuration() -> None:
    readers = set()
    for package in ("hubplug", *BUILT_IN):
        folder = CORE if package == "hubplug" else folder_of(package)
        for path in folder.rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if "os.environ" in text or "getenv" in text:
                readers.add(f"{package}/{path.relative_to(folder).as_posix()}")
    # Credentials are read from the variable that a rule names, `hubplug run` sets variables for the old program, and `doctor`
    # lists the names of some.
    # A child process gets the variables that it needs to start, and no other.
    # The shell says in variables what it completes and how its terminal is.
    # onnxruntime is told in a variable, before it is imported, to send nothing to its maker.
    allowed = {
        "hubplug/settings/config.py",
        "hubplug/cli/completion.py",
        "hubplug/shown/terminal.py",
        "hubplug/testing/_fixtures.py",
        "hubplug/processes/children.py",
        "hubplug_convert/_onnx/conversion.py",
    }
    assert readers - allowed <= {
        name for name in readers if name.startswith(("hubplug_auth/", "hubplug_compat/", "hubplug_doctor/"))
    }


def test_contract_and_engine_can_be_read_in_an_hour() -> None:
    assert sum(map(code_lines, CORE.glob("*.py"))) < 1_500


def code_lines(path: Path) -> int:
    """Lines that hold code: no blank ones, comments or docstrings."""
    text = path.read_text(encoding="utf-8")
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, documented) and ast.get_docstring(node) is not None
        for number in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    nothing = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = {n for token in tokens if token.type not in nothing for n in range(token.start[0], token.end[0] + 1)}
    return len(lines - docstrings)


# The layers, lowest first. A module may import what stands in a lower layer, or in its own.
LAYERS = (
    ("hubplug.errors", "hubplug.urls"),
    ("hubplug.types",),
    ("hubplug.files", "hubplug.shown", "hubplug.processes", "hubplug.web"),
    ("hubplug.spec", "hubplug.entries", "hubplug.hookspecs"),
    ("hubplug.settings",),
    ("hubplug.chain", "hubplug.trail", "hubplug.pins", "hubplug.asking", "hubplug.retrieval", "hubplug.exporting", "hubplug.hub", "hubplug.in_effect",
     "hubplug.api", "hubplug.module"),
    ("hubplug.cli", "hubplug.testing", "hubplug.__main__"),
)  # fmt: skip


def layer_of(module: str) -> int:
    (layer,) = (place for place, names in enumerate(LAYERS) if any(is_under(module, name) for name in names))
    return layer


@cache
def all_imports() -> dict[str, set[str]]:
    """Which module of hubplug imports which; imports for type checkers and inside of functions are imports too."""
    paths = {
        ".".join((package, *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__"): path
        for package, folder in [("hubplug", CORE), *((package, folder_of(package)) for package in BUILT_IN)]
        for path in folder.rglob("*.py")
    }
    found: dict[str, set[str]] = {}
    for module, path in paths.items():
        named = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                named.update(f"{node.module}.{alias.name}" for alias in node.names)
        known = {name if name in paths else name.rpartition(".")[0] for name in named} & set(paths)
        # A package offers the names of its own modules.
        own = {name for name in known if path.name == "__init__.py" and name.startswith(f"{module}.")}
        found[module] = known - own - {module}
    return found


def test_a_lower_layer_imports_no_upper_one() -> None:
    for module, imported in all_imports().items():
        if is_under(module, "hubplug") and module != "hubplug":
            for name in imported:
                if is_under(name, "hubplug") and name != "hubplug":
                    assert layer_of(name) <= layer_of(module), f"{module} imports {name}"


# Of hubplug_format, the rooms behind its API, lowest first.
FORMAT_ROOMS = ("protos", "checkpoint", "module")


def test_a_lower_room_of_the_format_library_imports_no_upper_one() -> None:
    rooms = {module: module.split(".")[1] for module in all_imports() if module.startswith("hubplug_format.")}
    assert set(rooms.values()) == set(FORMAT_ROOMS)
    for module, imported in all_imports().items():
        for name in imported & rooms.keys():
            if module in rooms:
                assert FORMAT_ROOMS.index(rooms[name]) <= FORMAT_ROOMS.index(rooms[module]), f"{module} imports {name}"


def test_no_import_goes_in_a_circle() -> None:
    TopologicalSorter(all_imports()).prepare()


@pytest.mark.parametrize("package", BUILT_IN)
def test_the_rooms_of_a_plugin_do_not_import_each_other_in_a_circle(package: str) -> None:
    def room_of(name: str) -> str:
        return ".".join(name.split(".")[:2])

    rooms: dict[str, set[str]] = {}
    for module, imported in all_imports().items():
        # The plugin itself stands above its rooms: which of them has a public name is for it to know.
        if is_under(module, package) and module != package:
            others = {room_of(name) for name in imported if is_under(name, package) and name != package}
            rooms.setdefault(room_of(module), set()).update(others - {room_of(module)})
    TopologicalSorter(rooms).prepare()


def test_the_layers_are_those_of_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
    lines = text.partition("## Layers\n")[2].partition("```text\n")[2].partition("```\n")[0].splitlines()
    written = [set(re.findall("[a-z_]+", line)) for line in lines]
    assert written == [{name.removeprefix("hubplug.") for name in names} - {"__main__"} for names in LAYERS]


# What stays lazy, in fresh processes


BLOCKER = """
import importlib.abc, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(f"{{name}} is blocked")

sys.meta_path.insert(0, Blocker())
"""
NO_TENSORFLOW = ("tensorflow", "tf_keras", "keras")


def run(code: str, *, blocked: tuple[str, ...] = NO_TENSORFLOW, cwd: Path, fine: tuple[int, ...] = (0,)) -> list[str]:
    """Runs code in a fresh process with packages blocked; the modules that it had imported at its end."""
    program = BLOCKER.format(blocked=set(blocked)) + textwrap.dedent(code)
    program += "\nimport sys, json\nprint('MODULES' + json.dumps(sorted(sys.modules)))\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True)
    assert done.returncode in fine, done.stderr
    loaded = next(line for line in done.stdout.splitlines() if line.startswith("MODULES"))
    return list(json.loads(loaded.removeprefix("MODULES")))


def heavy_ones(modules: list[str], allowed: tuple[str, ...] = ()) -> set[str]:
    return {heavy for heavy in HEAVY for name in modules if is_under(name, heavy)} - set(allowed)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A tiny module in TF1 Hub format."""
    builder = ModuleBuilder()
    x = builder.placeholder("x", "float32", [None])
    builder.signature(inputs={"x": x}, outputs={"default": x})
    write_module(tmp_path / "module", builder)
    return tmp_path / "module"


def test_importing_hubplug_imports_nothing_heavy(tmp_path: Path) -> None:
    modules = run("import hubplug", blocked=HEAVY, cwd=tmp_path)
    assert not [name for name in modules if name.startswith("hubplug.") or name == "pluggy"]


def test_every_public_name_of_the_core_comes_without_tensorflow(tmp_path: Path) -> None:
    code = """
        import hubplug
        for name in hubplug.__all__:
            if hubplug._HOMES[name].startswith("hubplug."):
                getattr(hubplug, name)
    """
    assert heavy_ones(run(code, cwd=tmp_path)) == set()


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'hubplug' has no attribute 'Modul'"):
        hubplug.Modul  # type: ignore[attr-defined]  # noqa: B018
    assert {"Module", "resolve", "load", "__version__"} <= set(dir(hubplug))


needs_installation = pytest.mark.skipif("file" not in installed_plugins(), reason="hubplug is not installed here")


@needs_installation
def test_a_local_directory_resolves_without_anything_heavy(module: Path, tmp_path: Path) -> None:
    code = f"import hubplug; assert hubplug.resolve({str(module)!r}) == {str(module)!r}"
    assert heavy_ones(run(code, cwd=tmp_path)) == set()


@needs_installation
def test_a_cached_module_resolves_without_anything_that_speaks_http(module: Path, tmp_path: Path) -> None:
    import tarfile

    from tests.servers import Reply, ScriptedServer

    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as archive:
        archive.add(module, ".")
    with ScriptedServer() as server:
        server.on("/m/1", Reply(body=(tmp_path / "m.tar.gz").read_bytes()))
        path = hubplug.resolve(server.url("/m/1"))
        asked = len(server.requests)
        modules = run(f"import hubplug; assert hubplug.resolve({server.url('/m/1')!r}) == {path!r}", cwd=tmp_path)
        assert len(server.requests) == asked
    assert heavy_ones(modules) <= {"filelock"}


@needs_installation
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["resolve", "MODULE"], 0),
        (["resolve", "/nowhere/at/all"], 2),
        (["explain", "https://example.com/m/1"], 0),
        (["explain", "MODULE", "--format", "json"], 0),
        (["show", "MODULE"], 0),
        (["show", "MODULE", "--format", "json"], 0),
        (["plugins"], 0),
        (["config", "show"], 0),
        (["config", "check"], 0),
        (["config", "schema"], 0),
        (["--offline", "resolve", "https://example.com/m/1"], 2),
        (["cache", "--help"], 0),
        (["cache", "list"], 0),
        (["lock", "--help"], 0),
        (["fetch", "--help"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_a_command_that_builds_no_graph_needs_no_tensorflow_and_no_requests(
    arguments: list[str], status: int, module: Path, tmp_path: Path
) -> None:
    arguments = [str(module) if argument == "MODULE" else argument for argument in arguments]
    code = f"""
        from hubplug.cli.main import main
        try:
            main({arguments!r})
        except SystemExit as end:
            assert (end.code or 0) == {status}, end.code
        else:
            assert {status} == 0
    """
    assert not {"tensorflow", "requests", "fsspec", "gcsfs"} & heavy_ones(run(code, cwd=tmp_path))


# What every command begins with, and what the modules of the built-in commands import besides.
AT_THE_START = {
    *("cli", "cli.commands", "cli.completion", "cli.main", "cli.settings", "errors"),
    *("settings", "settings.entry_points", "shown", "shown.terminal", "shown.words"),
    *("hookspecs", "files", "files.locks", "shown.logs"),
}


@needs_installation
def test_the_help_imports_nothing_that_only_a_command_needs(tmp_path: Path) -> None:
    """It is to start as fast as `import requests`: each command, imported for its sentence, leaves the rest to its run."""
    code = """
        from hubplug.cli.main import main
        try:
            main(["--help"])
        except SystemExit:
            pass
    """
    imported = set(run(code, cwd=tmp_path)) - set(run("", cwd=tmp_path))
    assert {name.removeprefix("hubplug.") for name in imported if name.startswith("hubplug.")} <= AT_THE_START
    commands = {entry.module for (entry, *_) in installed_commands().values()}
    assert commands <= imported
    own = {name for name in imported if name.partition(".")[0] in BUILT_IN}
    small = {"hubplug_cache._quantities", "hubplug_convert._contract"}
    assert own <= commands | small | {name.partition(".")[0] for name in commands}
    others = {name.partition(".")[0] for name in imported} & packages_distributions().keys()
    assert {name for name in others if not name.startswith("hubplug")} <= {"click", "pluggy"}
