"""``Hub``: takes a handle along the whole chain, and is the only caller of hooks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from hubplug.chain import Answer, Chain, build_chain
from hubplug.errors import ConfigError, OccupiedError, ValidationError
from hubplug.files.places import identity_of, places_of
from hubplug.pins import Pins
from hubplug.retrieval import Retrieval
from hubplug.settings.config import Config, load_config
from hubplug.settings.limits import check_limits
from hubplug.settings.trust import refuse_grants
from hubplug.shown.logs import logger
from hubplug.spec import ExportRequest, ModuleSpec
from hubplug.types import AuthRequest, Finding, Handle, LocalModule, Plan, Source
from hubplug.urls import redact, scheme_of, under_prefix

T = TypeVar("T")
_LOG = logger("hubplug")
_MOST_REMOVALS = 8


class Hub:
    """One chain of plugins with its settings.

    Module-level functions (``hubplug.resolve``, ``hubplug.Module``, ...) use one default Hub per process. A program that
    wants its own chain makes a Hub and uses its methods, or ``with hub.activate():`` around the old code.
    """

    def __init__(
        self,
        config: Config | Mapping[str, Any] | str | os.PathLike[str] | None = None,
        *,
        chain: str | None = None,
        offline: bool | None = None,
        plugins: Sequence[object] = (),
    ) -> None:
        """Reads the configuration and makes the plugins.

        Args:
            config: A Config; the content of a hubplug.yaml as a dict; the path of one; None: the one that is found.
            chain: The name of an alternative chain in it.
            offline: Whether no socket may be opened; None: as configured.
            plugins: Plugin objects that are asked before those of the configuration.

        Raises:
            ConfigError: Something in the configuration is not valid.
            PluginError: A plugin cannot be used.
        """
        if isinstance(config, Config):
            if chain is not None or offline is not None:
                raise ConfigError("A Config says the chain and whether it is offline: give it alone")
            self.config = config
        else:
            self.config = load_config(config, chain=chain, offline=offline)
        self._first = tuple(plugins)
        self._chain = build_chain(self.config, self._first)
        check_limits(self.config)
        refuse_grants(self.config)
        self._retrieval = Retrieval(self._chain, self.config)
        self._pins = Pins.read(self.config)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.config, self._first)

    def __repr__(self) -> str:
        return f"Hub({self.config.where!r}, chain={[member.name for member in self._chain.members]})"

    @property
    def chain(self) -> Chain:
        """The plugin instances in their order."""
        return self._chain

    def instances(self, kind: type[T]) -> list[tuple[str, T]]:
        """The members of the chain that are of a plugin class, with their names, in order."""
        return [(m.name, m.plugin) for m in self._chain.members if isinstance(m.plugin, kind)]

    @contextmanager
    def activate(self) -> Iterator[Hub]:
        """Makes this the Hub that module-level functions use, in this thread or task."""
        token = ACTIVE.set(self)
        try:
            yield self
        finally:
            ACTIVE.reset(token)

    def resolve(self, handle: str | Handle) -> LocalModule:
        """Brings a module here.

        Args:
            handle: A URL, a path, or a name that a plugin understands; ``#sha256=<hex>`` pins the archive.

        Returns:
            The directory that holds it: the user's own, or a cache's.

        Raises:
            TypeError: ``handle`` is not a string.
            HubplugError: It could not be resolved, fetched, unpacked or kept; see ``hubplug.errors``.
        """
        module, _ = self._bring(handle, self._pins)
        return module

    def load_spec(self, handle: str | Handle) -> ModuleSpec:
        """Resolves a handle and reads the definition of the module, without TensorFlow.

        Raises:
            FormatError: No plugin knows the format of the directory; the message says what it holds.
            ValidationError: It lies under a prefix whose profiles it does not keep.
            HubplugError: As ``resolve``.
        """
        return self.use_spec(handle, lambda spec: spec)

    def use_spec(self, handle: str | Handle, use: Callable[[ModuleSpec], T]) -> T:
        """As ``load_spec``, for what goes on to read the module's files: they are there until ``use`` returns.

        Where someone removes the module from its cache meanwhile, it is brought again, and ``use`` is called again.

        Raises:
            HubplugError: As ``load_spec``; and what ``use`` raises.
        """

        def read(module: LocalModule, source: Source) -> T:
            spec = self._read(module, source)
            self._demand_profiles(source, spec, self._demanded_profiles(spec))
            return use(spec)

        return self._using(handle, read)

    def validate(self, spec: ModuleSpec | str, profiles: Iterable[str]) -> list[Finding]:
        """Checks a module against profiles.

        Args:
            spec: A ModuleSpec or a handle.
            profiles: Names of sets of rules.

        Returns:
            Every finding of every plugin, in the order of the profiles.

        Raises:
            ConfigError: No plugin knows a profile.
            HubplugError: The handle could not be loaded.
        """
        profiles = list(profiles)
        if not isinstance(spec, ModuleSpec):
            return self._using(spec, lambda module, source: self.validate(self._read(module, source), profiles))
        found: list[Finding] = []
        for profile in profiles:
            asked, findings = self._chain.findings(spec, profile)
            if findings is None:
                raise ConfigError(
                    f"No plugin knows the profile {profile!r} (asked: {', '.join(asked) or 'no plugin'})",
                    hint="`hubplug plugins` lists what is in the chain",
                )
            found.extend(findings)
        return found

    def export(self, request: ExportRequest) -> None:
        """Writes a module to a local directory or, where a plugin publishes there, to a URL; whole or not at all.

        Raises:
            OccupiedError: Something is there already; a ``tf.errors.AlreadyExistsError`` too where TensorFlow is imported.
            ExportError: The place cannot be written.
            NobodyAnswered: No plugin writes modules of this kind, or none publishes there.
            TypeError: The path is not text, bytes or ``os.PathLike``.
            OfflineError: The network would be needed, and it is switched off.
        """
        from hubplug.exporting import export, tensorflow_error

        try:
            export(self._chain, request, offline=self.config.offline)
        except OccupiedError as error:
            raise tensorflow_error(error) from error.__cause__

    def put(self, path: str, write: Callable[[Path], None]) -> None:
        """Has ``write`` fill an empty directory and puts that in its place, as ``export`` does with what it writes.

        Raises:
            HubplugError: As ``export``; and what ``write`` raises.
        """
        from hubplug.exporting import put

        put(self._chain, path, write, offline=self.config.offline)

    def pin(self, handles: Iterable[str]) -> Pins:
        """Fetches modules, and adds what they are now to the pins of the lock file; whatever it said of them before.

        Returns:
            The pins to be written.

        Raises:
            ConfigError: A handle is used in place, so that there is no record of its files.
            HubplugError: As ``resolve``.
        """
        pins = self._pins
        for handle in handles:
            parsed = Handle.parse(handle)
            module, _ = self._bring(parsed, pins.without(parsed))
            pins = pins.with_module(module)
        return pins

    def explain(self, handle: str) -> list[Answer]:
        """The way of a handle through the chain: who would do what, who declined and why. Nothing is fetched or written.

        It ends where a server would have to be asked what the handle means; or where the module is: with a directory that is used in place, with a cache that has it, or with the fetch
        and its authentication: who answers ``hubplug_auth`` about each URL that the plan asks about, or the ``credentials`` of a
        plan that does not ask.

        Raises:
            HubplugError: The handle cannot be resolved.
        """
        answers, source = self._retrieval.way(self._pins.apply(Handle.parse(handle)), self._pins)
        if source is None or source.in_place:
            return answers
        if source.cacheable:
            answers.append(self._chain.ask("hubplug_cache", source))
            if getattr(answers[-1].value, "hit", False):
                return answers
        answers.append(self._chain.ask("hubplug_fetch", source))
        plan = answers[-1].value
        if isinstance(plan, Plan) and plan.credentials is None:
            usual = [source.location] if scheme_of(source.location).lower() in ("http", "https") else []
            for url in usual if plan.asks_about is None else plan.asks_about:
                answer = self._chain.ask("hubplug_auth", AuthRequest(url, source.handle))
                answers.append(replace(answer, about=redact(url)))
        return answers

    def explain_export(self, path: str) -> list[Answer]:
        """Who would put a module into a place; no one for a local path, where the core does it. Nothing is written.

        Raises:
            NobodyAnswered: No plugin publishes there.
            HubplugError: No module can be there.
        """
        from hubplug.exporting import find_place

        return list(find_place(self._chain, path)[1])

    def _bring(self, handle: str | Handle, pins: Pins) -> tuple[LocalModule, Source]:
        parsed = pins.apply(handle if isinstance(handle, Handle) else Handle.parse(handle))
        source = self._retrieval.source(parsed, pins)
        module = self._retrieval.module(source, pins)
        pins.demand(source.handle, module)
        return module, source

    def _using(self, handle: str | Handle, use: Callable[[LocalModule, Source], T]) -> T:
        """Brings a module, and lets its files be read; all of it again where they were removed meanwhile."""
        for _ in range(_MOST_REMOVALS):
            module, source = self._bring(handle, self._pins)
            before = identity_of(module.path)
            try:
                used = use(module, source)
            except Exception:
                if source.in_place or (before and identity_of(module.path) == before):
                    raise
            else:
                if source.in_place or (before and identity_of(module.path) == before):
                    return used
            _LOG.info("%s was removed while it was read; resolving it again", module.path)
        return use(*self._bring(handle, self._pins))

    def _read(self, module: LocalModule, source: Source) -> ModuleSpec:
        spec = self._retrieval.read_format(module)
        spec.hub, spec.module, spec.places = self, module, places_of(module, source)
        return spec

    def _demanded_profiles(self, spec: ModuleSpec) -> list[str]:
        demanded = (
            profile
            for prefix, profiles in self.config.validate.items()
            if any(under_prefix(place, prefix) for place in spec.places)
            for profile in profiles
        )
        return list(dict.fromkeys(demanded))

    def _demand_profiles(self, source: Source, spec: ModuleSpec, demanded: Sequence[str]) -> None:
        findings = [f for f in self.validate(spec, demanded) if f.level == "error"] if demanded else []
        if findings:
            raise ValidationError(
                f"{source.handle.original} does not keep {', '.join(demanded)}, which {self.config.where} demands of it: "
                + "; ".join(f"{finding.rule}: {finding.message}" for finding in findings),
                findings=findings,
                hint="mend what is named, or ask its publisher to; the section validate demands it",
            )


def _rebuild(config: Config, plugins: Sequence[object]) -> Hub:
    return Hub(config, plugins=plugins)


# The Hub that the code running now has activated; ``hubplug.in_effect`` decides for all others.
ACTIVE: ContextVar[Hub | None] = ContextVar("hubplug_active_hub", default=None)
