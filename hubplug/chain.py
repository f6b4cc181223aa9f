"""One chain of plugins, and how it is asked.

pluggy registers and checks the plugins. The chain then asks the implementations one by one, since pluggy does not tell
who answered: errors and ``explain`` name them.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pluggy

from hubplug import hookspecs
from hubplug.entries import CacheEntries
from hubplug.errors import HubplugError, NobodyAnswered, PluginError
from hubplug.settings.config import Config
from hubplug.settings.entry_points import installed_plugins
from hubplug.settings.members import HOOKS, Member, find_misfit, hooks_of_class, in_file
from hubplug.settings.plugins import make_members, refuse_options_of_no_plugin
from hubplug.spec import ModuleSpec
from hubplug.types import Declined, Finding, Handle, Plan, Source
from hubplug.urls import redact_all

# None: any callable will do, since the core does not know requests.auth.AuthBase.
_ANSWERS: Mapping[str, tuple[type, ...] | None] = {
    "hubplug_resolve": (Source, Handle, Plan),
    "hubplug_auth": None,
    "hubplug_send": (Plan,),
    "hubplug_cache": (Plan,),
    "hubplug_entries": (CacheEntries,),
    "hubplug_fetch": (Plan,),
    "hubplug_unpack": (Plan,),
    "hubplug_load_format": (ModuleSpec,),
    "hubplug_export": (Plan,),
    "hubplug_publish": (Plan, Handle),
}

_TOO_MANY_FILES = {errno.EMFILE, errno.ENFILE}
_WHO_IS_ASKED = "`hubplug plugins` shows who is in the chain, `hubplug config show` where it comes from"
_MISTAKE = "this is a mistake in the plugin: tell its author, with what `hubplug --traceback ...` prints"


@dataclass(frozen=True, eq=False)
class Answer:
    """Who answered a hook, and what.

    Attributes:
        hook: Its name.
        member: Who answered; None if no plugin did.
        value: The answer; None if no plugin did.
        declined: Names and reasons of those who declined before.
        error: The error that the first of them wants to be raised when no plugin answers; None: it is the core's to choose.
        hint: What the first of them that says so wants people to do then.
        about: Of ``hubplug_auth`` in ``explain``: the URL, redacted.
    """

    hook: str
    member: Member | None
    value: Any
    declined: tuple[tuple[str, str], ...] = ()
    error: type[HubplugError] | None = None
    hint: str | None = None
    about: str | None = None

    def run(
        self, *arguments: Any, expect: tuple[type, ...] | None = None, not_its_own: Collection[BaseException] = ()
    ) -> Any:
        """Carries out the plan that was answered.

        Args:
            arguments: What the hook's documentation says.
            expect: The types that its result may have; None: any.
            not_its_own: Errors that come from somewhere else, through a callback: they are let out as they are.

        Raises:
            HubplugError: As the plugin says; a PluginError when it let out anything else, or gave another type.
        """
        member = member_of(self)
        plan: Plan[Any] = self.value
        try:
            result = plan.run(*arguments)
        except Exception as error:
            if any(error is one for one in not_its_own):
                raise
            raise blamed(error, member, f"plan of {self.hook}: {redact_all(plan.what)}") from error
        if expect is not None and not isinstance(result, expect):
            raise mistake_of(
                member, f"has a plan of {self.hook} that gave {type(result).__name__}, expected {_type_names(expect)}"
            )
        return result


def member_of(answer: Answer) -> Member:
    """Who answered, where one did."""
    assert answer.member is not None
    return answer.member


class Chain:
    """Plugin instances in the order in which they are asked."""

    def __init__(self, members: Sequence[Member]) -> None:
        """Registers the members.

        Raises:
            PluginError: A member misspells a hook, mistakes its arguments, or asks to be called out of order.
        """
        self.members = tuple(members)
        self._manager = pluggy.PluginManager(hookspecs.PROJECT_NAME)
        self._manager.add_hookspecs(hookspecs)
        for member in self.members:
            if error := find_misfit(member):
                raise error
        # pluggy calls the last registered first.
        for member in reversed(self.members):
            self._manager.register(_Registered(member), member.name)
        self._implementations = {
            hook: tuple(
                (implementation.plugin.member, implementation)
                for implementation in reversed(getattr(self._manager.hook, hook).get_hookimpls())
            )
            for hook in HOOKS
        }

    def hooks_of(self, member: Member) -> list[str]:
        """The hooks that a member implements, in the order in which a handle travels."""
        return hooks_of_class(type(member.plugin))

    def ask(self, hook: str, *arguments: Any) -> Answer:
        """The first answer to a hook.

        Raises:
            PluginError: A plugin answered with a type that the hook does not allow, or failed with a foreign error.
            HubplugError: A plugin said "mine, and it failed".
        """
        return next(self.answers(hook, *arguments))

    def answers(self, hook: str, *arguments: Any) -> Iterator[Answer]:
        """Every answer to a hook in the order of the chain, and at the end that of no plugin; as ``ask``."""
        declined: list[tuple[str, str]] = []
        error: type[HubplugError] | None = None
        hint: str | None = None
        allowed = _ANSWERS[hook]
        for member, value in self._values(hook, arguments):
            if isinstance(value, Declined):
                declined.append((member.name, value.reason))
                error, hint = error or value.error, hint or value.hint
            elif value is not None:
                if not (callable(value) if allowed is None else isinstance(value, allowed)):
                    expected = "a callable" if allowed is None else _type_names(allowed)
                    raise mistake_of(
                        member, f"answered {hook} with {type(value).__name__}, expected {expected}, Declined or None"
                    )
                yield Answer(hook, member, value, tuple(declined))
        yield Answer(hook, None, None, tuple(declined), error, hint)

    def ask_or_raise(self, hook: str, what: str, *arguments: Any) -> Answer:
        """The first answer to a hook that some plugin has to answer.

        Args:
            hook: Its name.
            what: What no plugin takes, for the error.
            arguments: The hook's.

        Raises:
            NobodyAnswered: Names who was asked and why they declined.
            HubplugError: As ``ask``.
        """
        answer = self.ask(hook, *arguments)
        if answer.member is None:
            asked = ", ".join(member.name for member, _ in self._implementations[hook]) or "no plugin"
            reasons = "".join(f"; {name}: {reason}" for name, reason in answer.declined)
            raise (answer.error or NobodyAnswered)(
                f"No plugin takes {what} (asked {hook} of: {asked}{reasons})",
                hint=answer.hint or _WHO_IS_ASKED,
            )
        return answer

    def findings(self, spec: ModuleSpec, profile: str) -> tuple[list[str], list[Finding] | None]:
        """Asks everybody to validate a module.

        Returns:
            Who was asked, and all findings; None when no plugin knows the profile.
        """
        asked: list[str] = []
        found: list[Finding] | None = None
        for member, value in self._values("hubplug_validate", (spec, profile)):
            asked.append(member.name)
            if value is None or isinstance(value, Declined):
                continue
            if not isinstance(value, (list, tuple)) or not all(isinstance(item, Finding) for item in value):
                raise mistake_of(
                    member, f"answered hubplug_validate with {type(value).__name__}, expected a list of Finding or None"
                )
            found = [*(found or ()), *value]
        return asked, found

    def _values(self, hook: str, arguments: Sequence[Any]) -> Iterator[tuple[Member, Any]]:
        names = getattr(self._manager.hook, hook).spec.argnames
        given = dict(zip(names, arguments, strict=True))
        for member, implementation in self._implementations[hook]:
            try:
                value = implementation.function(*[given[name] for name in implementation.argnames])
            except Exception as error:
                raise blamed(error, member, f"hook {hook}") from error
            yield member, value


def build_chain(config: Config, first: Sequence[object] = ()) -> Chain:
    """Makes the plugin instances that the configuration names.

    Args:
        config: The settings.
        first: Plugin objects that are asked before all others.

    Raises:
        ConfigError: A name or an option is wrong.
        PluginError: A plugin cannot be imported or constructed, or breaks the contract of a hook.
    """
    members = [Member(f"{type(plugin).__name__}[{index}]", plugin) for index, plugin in enumerate(first)]
    for _, made in make_members(config):
        if isinstance(made, HubplugError):
            raise made
        members.append(made)
    refuse_options_of_no_plugin(config, installed_plugins())
    return Chain(members)


class _Registered:
    """What pluggy sees of a plugin: its hooks and nothing else.

    pluggy looks at every attribute, so that properties would be evaluated, and takes two plugins that are equal (two
    dataclasses with the same options) for one.
    """

    def __init__(self, member: Member) -> None:
        self.member = member
        # Set, not looked up in __getattr__: pluggy 1.7 looks without calling anything.
        for hook in hooks_of_class(type(member.plugin)):
            setattr(self, hook, getattr(member.plugin, hook))

    def __dir__(self) -> list[str]:
        return hooks_of_class(type(self.member.plugin))


def mistake_of(member: Member, what: str) -> PluginError:
    """The error that says which plugin broke the contract of a hook."""
    return PluginError(f"The plugin {member.name!r} of {member.distribution} {what}{in_file(member)}", hint=_MISTAKE)


def blamed(error: Exception, member: Member, doing: str) -> Exception:
    """The error to raise for one that a plugin let out: its own if it is one of ours, else one that names the plugin."""
    if isinstance(error, HubplugError):
        return error
    if (
        isinstance(error, OSError) and error.errno in _TOO_MANY_FILES
    ):  # often in an import, which is not a mistake of the plugin
        return HubplugError(
            f"The plugin {member.name!r} of {member.distribution} could not go on ({doing}): {error.strerror}",
            hint="close files, or raise the limit with ulimit -n",
        )
    return PluginError(
        f"The plugin {member.name!r} of {member.distribution} failed ({doing}): {type(error).__name__}: "
        f"{redact_all(' '.join(str(error).split()))}{in_file(member, error)}",
        hint=_MISTAKE,
    )


def _type_names(kinds: Sequence[type]) -> str:
    return " or ".join(kind.__name__ for kind in kinds)
