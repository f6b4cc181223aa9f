"""The fixtures of hubplug for plugins."""

from __future__ import annotations

pytest_plugins = ["hubplug.testing"]
