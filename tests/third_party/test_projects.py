"""Third parties' projects: built as wheels, installed beside hubplug, and used as their users would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from hubplug.settings.entry_points import installed_plugins
from hubplug.testing import Reply, Request, ScriptedServer, archive_of
from hubplug_format import ModuleBuilder, write_module

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROJECTS = ("corp_auth", "oci_layout", "house_rules", "blob_cache")

pytestmark = [
    pytest.mark.skipif("http" not in installed_plugins(), reason="hubplug is not installed here"),
    pytest.mark.skipif(find_spec("hatchling") is None, reason="the build backend is not here"),
    pytest.mark.skipif(find_spec("pip") is None, reason="pip is not here"),
]


def run(*command: str, cwd: Path, path: Path | None = None, fine: Sequence[int] = (0,), **environment: str) -> str:
    """Runs a Python process, with a directory of installed packages; what it printed."""
    env = {**os.environ, **environment}
    if path is not None:
        env["PYTHONPATH"] = os.pathsep.join([str(path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run([sys.executable, *command], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode in fine, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Builds the wheel of a project and installs it into a directory of its own: the value for that project."""
    done: dict[Path, Path] = {}

    def install(project: Path) -> Path:
        if project not in done:
            folder = tmp_path_factory.mktemp(project.name)
            pip = ("-m", "pip", "--disable-pip-version-check")
            run(
                *pip,
                "wheel",
                "--quiet",
                "--no-deps",
                "--no-build-isolation",
                "-w",
                str(folder),
                str(project),
                cwd=folder,
            )
            (wheel,) = folder.glob("*.whl")
            target = folder / "site"
            run(*pip, "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel), cwd=folder)
            done[project] = target
        return done[project]

    return install


@pytest.mark.parametrize("name", PROJECTS)
def test_its_tests_pass_against_the_installed_wheel(
    name: str, installed: Callable[[Path], Path], tmp_path: Path
) -> None:
    shutil.copytree(EXAMPLES / name / "tests", tmp_path / "tests")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    output = run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=tmp_path, path=installed(EXAMPLES / name)
    )  # fmt: skip
    assert " passed" in output
    assert "skipped" not in output.replace("no secret of its own", "")


@pytest.mark.parametrize("name", PROJECTS)
def test_it_is_listed_with_its_distribution_and_comes_by_itself(
    name: str, installed: Callable[[Path], Path], tmp_path: Path
) -> None:
    plugin = name.replace("_", "-")
    if name == "corp_auth":  # it has to be told where the server is
        shutil.copy(EXAMPLES / name / "hubplug.yaml", tmp_path)
    site = installed(EXAMPLES / name)
    environment = {"HUBPLUG_CONFIG": str(tmp_path / "hubplug.yaml")} if name == "corp_auth" else {}
    rows = json.loads(run("-m", "hubplug", "plugins", "--format", "json", cwd=tmp_path, path=site, **environment))
    assert (rows[0]["name"], rows[0]["distribution"], rows[0]["state"]) == (plugin, f"{plugin} 1.0.0", "1")
    assert rows[0]["hooks"]


@pytest.fixture
def corp_server(tiny_archive: bytes) -> object:
    """The company's server: the model is only given to who brings the token of the token service."""

    def guarded(request: Request) -> Reply:
        if request.header("Authorization") != "Bearer canary-token":
            return Reply(401, b"sign on first")
        return Reply(body=tiny_archive)

    with ScriptedServer() as server:
        server.on("/token", Reply(body=b'{"token": "canary-token"}'))
        server.on("/models/team/model/3", guarded)
        yield server


@pytest.fixture
def corp_config(corp_server: ScriptedServer, tmp_path: Path) -> Path:
    text = (EXAMPLES / "corp_auth" / "hubplug.yaml").read_text()
    text = text.replace("https://models.corp.example/", corp_server.url("/models/"))
    text = text.replace("https://sign-on.corp.example/token", corp_server.url("/token"))
    (tmp_path / "corp.yaml").write_text(text)
    return tmp_path / "corp.yaml"


def test_a_model_behind_the_companys_sign_on_is_resolved(
    installed: Callable[[Path], Path], corp_server: ScriptedServer, corp_config: Path, tmp_path: Path
) -> None:
    site = installed(EXAMPLES / "corp_auth")
    command = ("-m", "hubplug", "--config", str(corp_config))
    explained = run(*command, "explain", "corp://team/model/3", cwd=tmp_path, path=site)
    assert f"resolve  corp-auth: redirected to {corp_server.url('/models/team/model/3')}" in explained
    assert "auth     corp-auth: TokenAuth" in explained
    assert corp_server.requests == []
    output = run(*command, "resolve", "corp://team/model/3", cwd=tmp_path, path=site)
    assert (Path(output.strip()) / "tfhub_module.pb").is_file()
    assert "canary" not in explained + output
    assert [request.path for request in corp_server.requests] == ["/token", "/models/team/model/3"]
    run(*command, "--offline", "resolve", "corp://team/model/3", cwd=tmp_path, path=site)
    assert len(corp_server.requests) == 2


def test_a_cloned_repository_cannot_have_the_companys_token_sent_to_a_server_of_its_own(
    installed: Callable[[Path], Path], corp_server: ScriptedServer, corp_config: Path, tmp_path: Path
) -> None:
    site = installed(EXAMPLES / "corp_auth")
    (tmp_path / "cloned").mkdir()
    hostile = corp_config.read_text().replace(corp_server.url("/models/"), corp_server.url("/evil/"))
    (tmp_path / "cloned" / "hubplug.yaml").write_text(hostile)
    command = ("-m", "hubplug", "resolve", "corp://team/model/3")
    output = run(*command, cwd=tmp_path / "cloned", path=site, fine=(2,))
    assert "plugins.corp-auth.options.server: a file that was merely found in the working directory may not" in output
    assert corp_server.requests == []
    named = {"HUBPLUG_CONFIG": str(tmp_path / "cloned" / "hubplug.yaml")}
    run(*command, cwd=tmp_path / "cloned", path=site, fine=(2,), **named)  # that server has no such module
    assert [request.path for request in corp_server.requests] == ["/token", "/evil/team/model/3"]


def test_without_the_plugin_the_server_refuses(corp_server: ScriptedServer, tmp_path: Path) -> None:
    output = run("-m", "hubplug", "resolve", corp_server.url("/models/team/model/3"), cwd=tmp_path, fine=(2,))
    assert output.startswith("error: ")
    assert "401" in output


def test_a_chain_that_names_it_where_it_is_not_installed_fails_closed(corp_config: Path, tmp_path: Path) -> None:
    output = run(
        "-m", "hubplug", "--config", str(corp_config), "resolve", "corp://team/model/3", cwd=tmp_path, fine=(2,)
    )
    assert f"error: {corp_config}: chain: no plugin 'corp-auth' is installed" in output


def test_a_company_rule_holds_for_whoever_has_the_plugin(installed: Callable[[Path], Path], tmp_path: Path) -> None:
    builder = ModuleBuilder()
    x = builder.placeholder("x", "float64", [3])
    builder.signature(inputs={"x": x}, outputs={"default": x})
    write_module(tmp_path / "bad", builder)
    with ScriptedServer() as server:
        server.on("/m/bad", Reply(body=archive_of(tmp_path / "bad")))
        (tmp_path / "house.yaml").write_text(
            f"version: 1\nchain: ['*', cache, http, archive, tf1]\nvalidate: {{'{server.url('/m/')}': [house]}}\n"
        )
        output = run(
            "-m", "hubplug", "--config", str(tmp_path / "house.yaml"), "show", server.url("/m/bad"),
            cwd=tmp_path, path=installed(EXAMPLES / "house_rules"), fine=(2,),
        )  # fmt: skip
    assert "house/batch" in output
    assert "house/float64" in output


@pytest.mark.parametrize("name", ["team-models", "x"])
def test_a_new_project_installs_and_its_tests_pass(
    name: str, installed: Callable[[Path], Path], tmp_path: Path
) -> None:
    written = json.loads(run("-m", "hubplug", "plugins", "new", name, "--json", cwd=tmp_path))
    project = tmp_path / name
    assert written == {"path": str(project)}
    assert " passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project)
    rows = json.loads(run("-m", "hubplug", "plugins", "--format", "json", cwd=tmp_path, path=installed(project)))
    assert (rows[0]["name"], rows[0]["distribution"]) == (name, f"{name} 0.1.0")
    explained = run("-m", "hubplug", "explain", f"{name}://team/model/3", cwd=tmp_path, path=installed(project))
    assert f"{name}: redirected to https://models.example.com/team/model/3" in explained


@pytest.mark.parametrize("name", ["Corp", "corp_auth", "-x", "x-", "1x", "a/b", "../x", ""])
def test_a_name_that_cannot_be_a_plugins_is_refused(name: str, tmp_path: Path) -> None:
    output = run("-m", "hubplug", "plugins", "new", "--", name, cwd=tmp_path, fine=(2,))
    assert output.startswith(f"error: {name!r} cannot be the name of a plugin\nhint: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["http", "json", "class", "hubplug-http"])
def test_a_name_that_something_else_has_is_refused(name: str, tmp_path: Path) -> None:
    output = run("-m", "hubplug", "plugins", "new", name, cwd=tmp_path, fine=(2,))
    assert output.startswith(f"error: The name {name!r} is taken")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work").write_text("x")
    assert "exists already; nothing was written" in run(
        "-m", "hubplug", "plugins", "new", "mine", cwd=tmp_path, fine=(2,)
    )
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["work"]
