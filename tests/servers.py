"""The scripted server of ``hubplug.testing``, under the name by which these tests import it."""

from hubplug.testing import Reply, Request, ScriptedServer, redirect

__all__ = ["Reply", "Request", "ScriptedServer", "redirect"]
