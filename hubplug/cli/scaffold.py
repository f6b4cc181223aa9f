"""What ``hubplug plugins new NAME`` writes: a project of its own with a working plugin and passing tests."""

from __future__ import annotations

import keyword
import re
from importlib.util import find_spec
from pathlib import Path
from string import Template

from hubplug.errors import ConfigError
from hubplug.files.staging import publish
from hubplug.settings.entry_points import installed_plugins

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

_PYPROJECT = Template("""\
[build-system]
requires = ["hatchling>=1.25"]
build-backend = "hatchling.build"

[project]
name = "$name"
version = "0.1.0"
description = "A plugin for hubplug"
readme = "README.md"
requires-python = ">=3.10"
dependencies = ["hubplug"]

# The name on the left is what a chain in hubplug.yaml says.
[project.entry-points.hubplug]
$name = "$package:$class_name"

[dependency-groups]
test = ["pytest>=8"]

[tool.hatch.build.targets.wheel]
packages = ["$package"]

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]
""")

_PLUGIN = Template('''\
"""A plugin for hubplug: handles ``$name://...`` live on a server."""

from __future__ import annotations

import hubplug
from hubplug.types import Declined, Handle


class $class_name:
    """The constructor's keyword arguments are the plugin's options in hubplug.yaml."""

    def __init__(self, *, server: str = "https://models.example.com/") -> None:
        self._server = server.rstrip("/")

    @hubplug.hookimpl
    def hubplug_resolve(self, handle: Handle) -> Handle | Declined:
        if handle.scheme != "$name":
            return Declined("only $name:// handles")
        path = handle.text.partition("://")[2]
        return handle.instead(f"{self._server}/{path}")
''')

_TESTS = Template('''\
"""What the plugin does, on its own and on the whole way."""

from __future__ import annotations

import pytest
from $package import $class_name

from hubplug.testing import Reply, ResolveContract


class Test$class_name(ResolveContract):
    """What every plugin with this hook has to do."""

    @pytest.fixture
    def plugin(self):
        return $class_name()

    @pytest.fixture
    def handles(self):
        return ["$name://team/model/3"]


def test_a_module_is_brought_from_the_server(make_hub, server, tiny_archive):
    server.on("/team/model/3", Reply(body=tiny_archive))
    hub = make_hub($class_name(server=server.url("/")))
    spec = hub.load_spec("$name://team/model/3")
    assert list(spec.signatures()) == ["default"]
''')

_CONFTEST = '''\
"""Fixtures for the tests of plugins: make_hub, server, tiny_module, tiny_archive."""

pytest_plugins = ["hubplug.testing"]
'''

_README = Template("""\
# $name

A plugin for hubplug. Installed, it is active by itself where there is no `hubplug.yaml`; otherwise name it in the chain:

```yaml
version: 1
chain: [$name, auth, cache, file, http, fsspec, archive, tf1, savedmodel, signatures]
plugins:
  $name:
    options: {server: "https://models.example.com/"}
```

    pip install . pytest
    pytest
    hubplug plugins
    hubplug explain $name://team/model/3
""")


def write_project(name: str, parent: Path) -> Path:
    """Writes a new plugin project.

    Args:
        name: Of the distribution, of the plugin, and of the folder that is made: ``corp-auth``.
        parent: Where the folder goes.

    Returns:
        The folder.

    Raises:
        ConfigError: The name cannot be used or is taken, or there is such a folder already.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a plugin", hint="lower-case letters, digits and single hyphens: corp-auth"
        )
    package = name.replace("-", "_")
    found = find_spec(package)
    # A folder in the working directory has a spec too, without an origin.
    if name in installed_plugins() or keyword.iskeyword(package) or (found is not None and found.origin is not None):
        raise ConfigError(
            f"The name {name!r} is taken: there is a plugin, a package or a word of Python of that name",
            hint="choose another name: the project's package and its plugin are called so",
        )
    words = {"name": name, "package": package, "class_name": "".join(part.capitalize() for part in name.split("-"))}
    with publish(str(parent / name), ConfigError) as folder:
        (folder / package).mkdir()
        (folder / "tests").mkdir()
        (folder / "pyproject.toml").write_text(_PYPROJECT.substitute(words), encoding="utf-8")
        (folder / "README.md").write_text(_README.substitute(words), encoding="utf-8")
        (folder / package / "__init__.py").write_text(_PLUGIN.substitute(words), encoding="utf-8")
        (folder / "tests" / "conftest.py").write_text(_CONFTEST, encoding="utf-8")
        (folder / "tests" / f"test_{package}.py").write_text(_TESTS.substitute(words), encoding="utf-8")
    return parent / name
