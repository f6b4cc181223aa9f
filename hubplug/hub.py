"""``Hub``: takes a handle along the whole chain, and is the only caller of hooks."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from hubplug import staging
from hubplug.chain import Answer, Chain
from hubplug.config import Config, environment_fingerprint, load_config
from hubplug.errors import (
    ConfigError,
    ExportError,
    FormatError,
    HubplugError,
    OfflineError,
    PluginError,
    ValidationError,
)
from hubplug.manager import build_chain
from hubplug.options import find_option_error
from hubplug.pins import Pins
from hubplug.spec import ModuleSpec
from hubplug.tree import Limits, TreeWriter
from hubplug.types import (
    ArchiveStream,
    AuthRequest,
    ExportRequest,
    Finding,
    Handle,
    LocalModule,
    Provenance,
    Source,
)
from hubplug.urls import redact, under_prefix

_LOG = logging.getLogger("hubplug")
_MOST_INSTEADS = 10
# Named by a server, so not by somebody the user trusts; a fetch plugin may narrow this further.
_SCHEMES_A_SERVER_MAY_NAME = ("gs",)

T = TypeVar("T")


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
            ConfigError: Something in the configuration cannot be meant.
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
        self._limits = _limits(self.config)
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
        token = _active.set(self)
        try:
            yield self
        finally:
            _active.reset(token)

    def resolve(self, handle: str | Handle) -> LocalModule:
        """Brings a module here.

        Args:
            handle: A URL, a path, or a name that a plugin understands; ``#sha256=<hex>`` pins the archive.

        Returns:
            The directory that holds it: the user's own, or a cache's.

        Raises:
            TypeError: ``handle`` is no string.
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
        module, source = self._bring(handle, self._pins)
        spec = self._read_format(module)
        self._demand_profiles(module, source, spec)
        return spec

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
        loaded = self._read_format(self.resolve(spec)) if isinstance(spec, str) else spec
        found: list[Finding] = []
        for profile in profiles:
            asked, findings = self._chain.findings(loaded, profile)
            if findings is None:
                raise ConfigError(
                    f"No plugin knows the profile {profile!r} (asked: {', '.join(asked) or 'nobody'})",
                    hint="`hubplug plugins` lists what is in the chain",
                )
            found.extend(findings)
        return found

    def export(self, request: ExportRequest) -> None:
        """Writes a module: into a staging directory beside its place, then there with one rename.

        Raises:
            ExportError: The place is taken or cannot be written.
            NobodyAnswered: No plugin writes modules of this kind.
        """
        answer = self._chain.ask_or_raise("hubplug_export", f"a {type(request.spec).__name__} for export", request)
        with staging.publish(os.fsdecode(request.path), ExportError) as dest:
            # Not Answer.run: what the session raises (an uninitialized variable, ...) is the caller's to see as it is.
            answer.value.run(dest)

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

        Raises:
            HubplugError: The handle cannot be resolved.
        """
        answers: list[Answer] = []
        source = self._source(self._pins.apply(Handle.parse(handle)), answers)
        if source.in_place:
            return answers
        if source.cacheable:
            answers.append(self._chain.ask("hubplug_cache", source))
        answers.append(self._chain.ask("hubplug_fetch", source))
        answers.append(self._chain.ask("hubplug_auth", AuthRequest(source.location, source.handle)))
        return answers

    def _bring(self, handle: str | Handle, pins: Pins) -> tuple[LocalModule, Source]:
        parsed = pins.apply(handle if isinstance(handle, Handle) else Handle.parse(handle))
        source = self._source(parsed)
        if source.in_place:
            module = LocalModule(Path(source.location), source.handle)
        else:
            module = self._local_copy(source, pins)
        pins.demand(source.handle, module)
        return module, source

    def _local_copy(self, source: Source, pins: Pins) -> LocalModule:
        if not source.cacheable:
            return self._bring_for_this_process(source, pins)
        answer = self._chain.ask("hubplug_cache", source)
        if answer.member is None:
            return self._bring_for_this_process(source, pins, answer.declined)
        self._refuse_network(answer, source)
        module: LocalModule = answer.run(
            lambda dest: self._produce(source, dest, pins, answer.declined), expect=(LocalModule,)
        )
        return module

    def _source(self, handle: Handle, answers: list[Answer] | None = None) -> Source:
        """Asks ``hubplug_resolve`` until somebody names a source."""
        trail = [handle.text]
        while True:
            answer = self._chain.ask_or_raise("hubplug_resolve", f"the handle {str(handle)!r}", handle)
            if answers is not None:
                answers.append(answer)
            if isinstance(answer.value, Source):
                source = answer.value
                return replace(source, handle=_on_the_trail(source.handle, handle))
            handle = _on_the_trail(answer.value, handle)
            _refuse_loop(trail, handle.text)

    def _produce(self, source: Source, dest: Path, pins: Pins, declined: Sequence[tuple[str, str]]) -> Provenance:
        """Fills an empty directory with a source: fetch, unpack, check; what is there at the end is a module."""
        tree = TreeWriter(dest, self._limits)
        archive_sha256 = etag = None
        arrived = self._fetch(source, tree, declined)
        if isinstance(arrived, ArchiveStream):
            with arrived:
                self._chain.ask_or_raise("hubplug_unpack", f"what came from {arrived.name}", arrived).run(tree)
                location, archive_sha256, etag = arrived.location, arrived.sha256(), arrived.etag
        else:
            location = arrived
        files = tree.finish()
        provenance = Provenance(str(source.handle.original), source.key_sha256, location, archive_sha256, etag, files)
        arrived_module = LocalModule(dest, source.handle, provenance)
        pins.demand(source.handle, arrived_module)
        self._read_format(arrived_module)
        _LOG.info("%s: brought from %s", source.handle.original, location)
        return provenance

    def _fetch(self, source: Source, tree: TreeWriter, declined: Sequence[tuple[str, str]]) -> ArchiveStream | str:
        """An archive to be unpacked, or the location from which a whole tree was written."""
        trail = [source.location]
        while True:
            answer = self._chain.ask_or_raise("hubplug_fetch", f"{source} for fetching", source)
            self._refuse_network(answer, source, declined)
            got = answer.run(tree, self._auth_for(source.handle), expect=(ArchiveStream, Handle, type(None)))
            if got is None:
                return redact(source.location)
            if isinstance(got, ArchiveStream):
                return got
            source = self._source_named_by_fetch(got)
            _refuse_loop(trail, source.location)

    def _source_named_by_fetch(self, handle: Handle) -> Source:
        if handle.named_by_server and handle.scheme not in _SCHEMES_A_SERVER_MAY_NAME:
            raise HubplugError(
                f"The server of {handle.original} named {handle}, and a server may only name "
                + " or ".join(f"{scheme}://" for scheme in _SCHEMES_A_SERVER_MAY_NAME),
                hint="ask for that location yourself if you trust it",
            )
        source = self._source(handle)
        if source.in_place:
            raise PluginError(f"The fetch of {handle.original} leads to the local directory {source}")
        return source

    def _auth_for(self, handle: Handle) -> Callable[..., Any]:
        def auth_for(url: str, redirected_from: str | None = None) -> Any:
            return self._chain.ask("hubplug_auth", AuthRequest(url, handle, redirected_from)).value

        return auth_for

    def _bring_for_this_process(
        self, source: Source, pins: Pins, declined: Sequence[tuple[str, str]] = ()
    ) -> LocalModule:
        """A copy that no cache keeps: variables are read from it until the process ends."""
        dest = Path(tempfile.mkdtemp(prefix="hubplug-"))
        atexit.register(shutil.rmtree, dest, ignore_errors=True)
        try:
            return LocalModule(dest, source.handle, self._produce(source, dest, pins, declined))
        except BaseException:
            shutil.rmtree(dest, ignore_errors=True)
            raise

    def _read_format(self, module: LocalModule) -> ModuleSpec:
        answer = self._chain.ask("hubplug_load_format", module)
        if answer.member is None:
            reasons = "; ".join(reason for _, reason in answer.declined)
            raise FormatError(
                f"{module.handle.original} is no module that this chain can read" + (f": {reasons}" if reasons else ""),
                hint="a TF1 Hub module is a directory with tfhub_module.pb, saved_model.pb and variables/",
            )
        spec: ModuleSpec = answer.value
        return spec

    def _demand_profiles(self, module: LocalModule, source: Source, spec: ModuleSpec) -> None:
        seen = [source.location]
        handle: Handle | None = source.handle
        while handle is not None:
            seen.append(handle.text)
            handle = handle.asked_before
        if module.provenance is not None:
            seen.append(module.provenance.location)
        demanded = dict.fromkeys(
            profile
            for prefix, profiles in self.config.validate.items()
            if any(under_prefix(text, prefix) for text in seen)
            for profile in profiles
        )
        findings = [f for f in self.validate(spec, demanded) if f.level == "error"] if demanded else []
        if findings:
            raise ValidationError(
                f"{source.handle.original} does not keep {', '.join(demanded)}, which {self.config.where} demands of it: "
                + "; ".join(f"{finding.rule}: {finding.message}" for finding in findings),
                findings=findings,
                hint="tell the publisher, or take the prefix out of the section validate",
            )

    def _refuse_network(self, answer: Answer, source: Source, declined: Sequence[tuple[str, str]] = ()) -> None:
        if not (answer.value.network and self.config.offline):
            return
        looked = "".join(f"; {name}: {reason}" for name, reason in (*declined, *answer.declined))
        raise OfflineError(
            f"{source.handle.original} is not here, and hubplug is offline: it would have to {answer.value.what}{looked}",
            hint=f"where there is a network: hubplug resolve '{source.handle.original}', then hubplug cache export",
        )


def current_hub() -> Hub:
    """The Hub in effect: the one activated here, else the default one.

    The default Hub is built at first use, and again when a ``TFHUB_*`` or ``HUBPLUG_*`` variable has changed, because old
    programs set them after the import.
    """
    active = _active.get()
    return _default.get() if active is None else active


def put_first_in_default_hub(plugin: object) -> None:
    """Puts a plugin object before all others of the default Hub, for the rest of the process.

    For programs that registered resolvers with tensorflow_hub; others make a Hub of their own.
    """
    _default.put_first(plugin)


class _DefaultHub:
    """The default Hub of the process and the environment that it was built from."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._built: tuple[tuple[tuple[str, str], ...], Hub] | None = None
        self._first: tuple[object, ...] = ()

    def put_first(self, plugin: object) -> None:
        with self._lock:
            self._first = (plugin, *self._first)
            self._built = None

    def get(self) -> Hub:
        fingerprint = environment_fingerprint()
        built = self._built
        if built is None or built[0] != fingerprint:
            with self._lock:
                built = self._built
                if built is None or built[0] != fingerprint:
                    built = self._built = (fingerprint, Hub(plugins=self._first))
        return built[1]


_active: ContextVar[Hub | None] = ContextVar("hubplug_active_hub", default=None)
_default = _DefaultHub()


def _on_the_trail(answered: Handle, asked: Handle) -> Handle:
    """The handle that a plugin answered, with the trail and the pin of the one that it was asked for.

    A plugin that makes a handle of its own, without ``instead``, must not shake off a pin or a prefix by that.
    """
    if answered.original is asked.original and answered.sha256 == asked.sha256:
        return answered
    if answered == asked:
        return asked
    return replace(answered, asked_before=asked, sha256=asked.sha256 or answered.sha256)


def _refuse_loop(trail: list[str], text: str) -> None:
    """Appends to the trail of texts that were named one after the other; a loop, or too many, is an error."""
    shown = " -> ".join(redact(step) for step in [*trail, text])
    if text in trail:
        raise PluginError(f"The handles name each other in a loop: {shown}", hint="mend the rule that closes the loop")
    if len(trail) > _MOST_INSTEADS:
        raise PluginError(f"More than {_MOST_INSTEADS} handles were named one after the other: {shown}")
    trail.append(text)


def _limits(config: Config) -> Limits:
    if error := find_option_error(Limits, config.limits):
        option, problem, hint = error
        raise ConfigError(f"{config.where}: limits.{option}: {problem}", hint=hint)
    for option, value in config.limits.items():
        if value <= 0:
            raise ConfigError(f"{config.where}: limits.{option}: expected a number above 0, got {value}")
    return Limits(**config.limits)


def _rebuild(config: Config, plugins: Sequence[object]) -> Hub:
    return Hub(config, plugins=plugins)
