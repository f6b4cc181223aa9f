"""What the authors of plugins test with: fixtures, a scripted server, tiny modules, and a contract for each hook.

In a ``conftest.py``::

    pytest_plugins = ["hubplug.testing"]

and in a test::

    from hubplug.testing import ResolveContract

    class TestTeamModels(ResolveContract):
        @pytest.fixture
        def plugin(self):
            return TeamModels()

        @pytest.fixture
        def handles(self):
            return ["corp://team/model/3"]

Nothing here needs TensorFlow, and nothing reaches beyond the loopback interface. The core never imports this package.
"""

from __future__ import annotations

from hubplug.testing._auth import AuthContract
from hubplug.testing._cache import CacheContract
from hubplug.testing._fetch import FetchContract
from hubplug.testing._fixtures import closed_port, isolated_environment, make_hub, server, tiny_archive, tiny_module
from hubplug.testing._formats import ExportContract, LoadFormatContract, ValidateContract
from hubplug.testing._modules import archive_of, write_tiny_module
from hubplug.testing._processes import run_without
from hubplug.testing._publish import PublishContract
from hubplug.testing._resolve import ResolveContract
from hubplug.testing._send import SendContract
from hubplug.testing._server import Reply, Request, ScriptedServer, redirect
from hubplug.testing._unpack import UnpackContract
from hubplug.testing._watching import Deed, watching

__all__ = [
    "AuthContract",
    "CacheContract",
    "Deed",
    "ExportContract",
    "FetchContract",
    "LoadFormatContract",
    "PublishContract",
    "Reply",
    "Request",
    "ResolveContract",
    "ScriptedServer",
    "SendContract",
    "UnpackContract",
    "ValidateContract",
    "archive_of",
    "closed_port",
    "isolated_environment",
    "make_hub",
    "redirect",
    "run_without",
    "server",
    "tiny_archive",
    "tiny_module",
    "watching",
    "write_tiny_module",
]
