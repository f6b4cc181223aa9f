"""What a chain is made of: a plugin instance with its name, and whether its hooks fit."""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from hubplug import hookspecs
from hubplug.errors import PluginError
from hubplug.shown.words import nearest

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("hubplug_"))
_MARK = f"{hookspecs.PROJECT_NAME}_impl"
_SEE_HOOKS = "a hook's arguments are positional and in its documentation (docs/hooks.md)"


@dataclass(frozen=True, eq=False)
class Member:
    """One plugin instance of a chain.

    Attributes:
        name: Its name in the chain.
        plugin: The instance.
        distribution: ``name version`` of the distribution it came from.
        overrides: Option -> the environment variable that set it, over the file.
    """

    name: str
    plugin: object
    distribution: str = "this program"
    overrides: Mapping[str, str] = field(default_factory=dict)


def hooks_of_class(kind: type[Any]) -> list[str]:
    """The hooks that a plugin class implements, in the order in which a handle travels."""
    return [hook for hook in HOOKS if hasattr(getattr(kind, hook, None), _MARK)]


def find_misfit(member: Member) -> PluginError | None:
    """What is wrong with a plugin's hooks; pluggy would let most of it pass, or take effect silently."""
    if problem := _find_hook_problem(member.plugin) or _find_version_problem(member.plugin):
        said = f"The plugin {member.name!r} of {member.distribution} {problem[0]}{in_file(member)}"
        return PluginError(said, hint=problem[1])
    return None


def in_file(member: Member, error: Exception | None = None) -> str:
    """Where a plugin's class is, for the end of a message, and at which of its lines an error came out."""
    file = getattr(sys.modules.get(type(member.plugin).__module__), "__file__", None)
    if not file:
        return ""
    steps = traceback.walk_tb(error.__traceback__ if error else None)
    lines = [line for frame, line in steps if frame.f_code.co_filename == file]
    return f" (in {file}, line {lines[-1]})" if lines else f" (in {file})"


def _find_hook_problem(plugin: object) -> tuple[str, str] | None:
    """What is wrong with a plugin's hooks, and a hint; pluggy would let each of these pass or take effect silently."""
    if isinstance(plugin, (type, ModuleType)):
        return f"is a {type(plugin).__name__}, not an object", "make an instance of a class: plugins=[MyPlugin()]"
    kind = type(plugin)
    for name in dir(kind):
        method = getattr(kind, name, None)
        if name in HOOKS:
            if problem := _find_method_problem(name, method) or _find_argument_problem(name, getattr(plugin, name)):
                return problem
        elif callable(method) and (name.startswith("hubplug_") or hasattr(method, _MARK)):
            return f"has {name!r}, and there is no such hook", nearest(name, HOOKS)
    if not hooks_of_class(kind):
        return "implements no hook", f"methods marked with @hubplug.hookimpl, named as one of: {', '.join(HOOKS)}"
    return None


def _find_method_problem(name: str, method: Any) -> tuple[str, str] | None:
    marks: Mapping[str, Any] | None = getattr(method, _MARK, None)
    if marks is None:
        return f"has {name!r} without the marker, so it would never be called", "put @hubplug.hookimpl before it"
    for mark in ("tryfirst", "trylast", "hookwrapper", "wrapper"):
        if marks.get(mark):
            return (
                f"marks {name} as {mark}: the order of the chain is the order of the calls, and no plugin wraps the answer of another",
                "use @hubplug.hookimpl without arguments, and order the chain in hubplug.yaml",
            )
    if marks.get("specname"):
        return f"gives {name} the other name {marks['specname']!r}", "name the method as the hook"
    code = getattr(inspect.unwrap(method), "__code__", None)
    if code is not None and (method.__defaults__ or method.__kwdefaults__ or code.co_kwonlyargcount):
        return f"gives an argument of {name} a default or a keyword: it would never be passed", _SEE_HOOKS
    return None


def _find_argument_problem(name: str, method: Any) -> tuple[str, str] | None:
    known = inspect.signature(getattr(hookspecs, name)).parameters
    unknown = [argument for argument in inspect.signature(method).parameters if argument not in known]
    if not unknown:
        return None
    return f"gives {name} an argument {unknown[0]!r}, and that hook has only {', '.join(known)}", _SEE_HOOKS


def _find_version_problem(plugin: object) -> tuple[str, str] | None:
    """A plugin may say in its attribute ``needs_hubplug`` which version is the lowest that it works with."""
    if not hasattr(plugin, "needs_hubplug"):
        return None
    needed: Any = plugin.needs_hubplug
    try:
        lowest = [int(part) for part in needed.split(".")]
    except (AttributeError, ValueError):
        return f"has {needed!r} as needs_hubplug, which is not a version", 'write it as in needs_hubplug = "0.1"'
    import hubplug

    present = [int(part) for part in re.findall(r"\d+", hubplug.__version__)[:3]]
    if lowest <= present + [0] * (len(lowest) - len(present)):
        return None
    return f"needs hubplug {needed} or newer, and this is {hubplug.__version__}", f"pip install 'hubplug>={needed}'"
