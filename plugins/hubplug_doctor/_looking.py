"""What there is to say about an installation. Each section stands for itself: one that fails says so, and the rest is there."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from hubplug.chain import Chain
from hubplug.errors import HubplugError
from hubplug.hub import Hub
from hubplug.in_effect import current_hub
from hubplug.settings.config import load_config
from hubplug.settings.inventory import effective_settings, inventory, inventory_of_parts
from hubplug.settings.members import Member
from hubplug.types import Handle, Plan
from hubplug_doctor._tensorflow import look_at_tensorflow

# What others read, or what says how a server is reached and a store is opened. Only names are shown, since values may be secrets.
_VARIABLES = re.compile(
    r"(TFHUB|HUBPLUG|AWS|AZURE|GOOGLE|TF)_\w+|(https?|no|all)_proxy|(REQUESTS_CA|CURL_CA)_BUNDLE|SSL_CERT_(FILE|DIR)|NETRC|"
    r"CUDA_VISIBLE_DEVICES|TMPDIR|XDG_(CONFIG|CACHE)_HOME|PYTHONPATH",
    re.IGNORECASE,
)


def look(handles: Sequence[str]) -> dict[str, Any]:
    """The whole page; under ``problems`` is what is wrong, in words, from all sections.

    Args:
        handles: Of modules, to see whether they can be resolved; nothing is fetched.
    """
    page: dict[str, Any] = {
        "versions": _versions(),
        "tensorflow": look_at_tensorflow(),
        "environment": sorted(name for name in os.environ if _VARIABLES.fullmatch(name)),
    }
    hub: Hub | None = None
    try:
        hub = current_hub()
        page["configuration"] = effective_settings(hub.config, hub.chain.members)
        page["plugins"] = inventory(hub.config, hub.chain.members)
    except HubplugError as error:
        page["configuration"] = {"problems": [_in_words(error)]}
        page["plugins"] = _plugins_at_least()
    page["state"] = {} if hub is None else _state(hub)
    page["handles"] = [] if hub is None else [_way(hub, handle) for handle in handles]
    page["problems"] = list(_problems(page))
    return page


def _versions() -> dict[str, str]:
    needed = sorted({re.split(r"[^\w.-]", line)[0] for line in requires("hubplug") or () if "extra ==" not in line})
    extras = ("gcsfs", "s3fs", "google-auth", "tensorflow-hub", "tf-slim")
    found = {name: _version(name) or "not installed" for name in ("hubplug", *needed)}
    found |= {name: there for name in extras if (there := _version(name))}
    return {"python": f"{platform.python_version()} ({sys.executable})", "system": platform.platform(), **found}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _plugins_at_least() -> list[dict[str, Any]]:
    try:
        return inventory_of_parts(load_config())
    except HubplugError:
        return []


def _state(hub: Hub) -> dict[str, Any]:
    """What there is to say about what plugins look after: caches, credentials."""
    state: dict[str, Any] = {}
    for member in hub.chain.members:
        try:
            if hasattr(member.plugin, "describe_state"):
                state[member.name] = dict(member.plugin.describe_state())
            elif "hubplug_entries" in hub.chain.hooks_of(member):
                state[member.name] = _kept(member)
            elif hasattr(member.plugin, "find_problems") and (problems := member.plugin.find_problems()):
                state[member.name] = {"problems": problems}
        except (HubplugError, OSError) as error:
            said = _in_words(error) if isinstance(error, HubplugError) else str(error.strerror)
            state[member.name] = {"problems": [said]}
    return state


def _kept(member: Member) -> dict[str, Any]:
    """What a cache has, from what it answers to ``hubplug_entries``."""
    offered = Chain([member]).ask("hubplug_entries").value
    if offered is None:
        return {}
    entries = list(offered.list())
    return {
        "directory": str(offered.directory),
        "read_only": offered.remove is None,
        "entries": len(entries),
        "bytes": sum(entry.measure()[0] for entry in entries),
        "problems": [f"{entry.path}: {entry.fault}" for entry in entries if entry.fault],
    }


def _way(hub: Hub, text: str) -> dict[str, Any]:
    """Whether a handle can be resolved, as far as that shows without a request."""
    try:
        shown = str(Handle.parse(text))
    except HubplugError as error:
        return {"handle": None, "way": [], "problem": _in_words(error)}
    try:
        answers = hub.explain(text)
    except HubplugError as error:
        return {"handle": shown, "way": [], "problem": _in_words(error)}
    way = [
        f"{answer.hook.removeprefix('hubplug_')}: {answer.member.name}: "
        f"{answer.value.what if isinstance(answer.value, Plan) else getattr(answer.value, 'hubplug_rule', answer.value)}"
        for answer in answers
        if answer.member is not None
    ]
    unanswered = next((one.hook for one in answers if one.member is None and one.hook != "hubplug_auth"), None)
    unset = next((problem for one in answers if (problem := getattr(one.value, "hubplug_problem", None))), None)
    problem = f"no plugin answers {unanswered}" if unanswered else unset
    return {"handle": shown, "way": way, "problem": problem}


def _problems(page: dict[str, Any]) -> Any:
    for name in ("tensorflow", "configuration"):
        yield from (f"{name}: {problem}" for problem in page[name].get("problems", ()))
    for row in page["plugins"]:
        if row["problem"] and row["place"] != "no":
            yield f"plugin {row['name']}: {row['problem']}"
    for name, about in page["state"].items():
        yield from (f"{name}: {problem}" for problem in about.get("problems", ()))
    for row in page["handles"]:
        if row["problem"]:
            yield f"{row['handle'] or 'a handle'}: {row['problem']}"


def _in_words(error: HubplugError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message
