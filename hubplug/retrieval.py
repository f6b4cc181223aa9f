"""How a source comes to be a directory of this machine: resolve, cache, fetch, unpack, check.

Each step asks the chain; what they must never do (lose a pin, follow a server anywhere, open a socket offline, publish
what is not a module) is decided here, whatever a plugin answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hubplug.asking import Asker, known_answer, refuse_network
from hubplug.chain import Answer, Chain, blamed, member_of, mistake_of
from hubplug.errors import ArchiveError, FormatError, HubplugError, PluginError, SourceChanged
from hubplug.files.answers import keep_answer
from hubplug.files.damage import as_damage
from hubplug.files.places import empty, kept_until_exit
from hubplug.pins import Pins
from hubplug.settings.config import Config
from hubplug.settings.trust import refuse_leak
from hubplug.shown.logs import logger
from hubplug.spec import ModuleSpec
from hubplug.trail import on_the_trail, refuse_loop
from hubplug.types import ArchiveStream, Handle, LocalModule, Plan, Provenance, Source
from hubplug.urls import redact

if TYPE_CHECKING:
    from hubplug.files.tree import TreeWriter

_LOG = logger("hubplug")
_MOST_RESTARTS = 2
_MOST_LAYERS = 3


class Retrieval:
    """Brings modules along one chain."""

    def __init__(self, chain: Chain, config: Config) -> None:
        self._chain = chain
        self._config = config

    def source(self, handle: Handle, pins: Pins) -> Source:
        """Asks ``hubplug_resolve`` until a plugin names a source; plans are run."""
        source = self.way(handle, pins, run=True)[1]
        assert source is not None
        return source

    def way(self, handle: Handle, pins: Pins, *, run: bool = False) -> tuple[list[Answer], Source | None]:
        """Who answers ``hubplug_resolve`` for a handle, and for those named instead; the source, unless a plan would have to be run."""
        answers: list[Answer] = []
        trail = [handle.text]
        while True:
            answer = self._chain.ask_or_raise("hubplug_resolve", f"the handle {str(handle)!r}", handle)
            answers.append(answer)
            named = answer.value
            if isinstance(named, Source):
                refuse_leak(handle.text, named.location, self._config)
                return answers, replace(named, handle=on_the_trail(named.handle, handle))
            if isinstance(named, Plan):
                answers[-1], named = self._named_by_plan(answer, handle, pins, run)
                if named is None:
                    return answers, None
            refuse_leak(handle.text, named.text, self._config)
            handle = replace(on_the_trail(named, handle), answered=isinstance(answer.value, Plan))
            refuse_loop(trail, handle.text)

    def _named_by_plan(self, answer: Answer, handle: Handle, pins: Pins, run: bool) -> tuple[Answer, Handle | None]:
        """What a handle means at this moment: as it is locked; offline, as it was said last; else as its plugin is told."""
        plan, pin = answer.value, pins.of(handle)
        known = None if pins.anew else known_answer(answer, handle, self._config)
        if pin is not None and pin.answer:
            text, why = pin.answer, f"locked in {pins.path}"
        elif known is not None and (not run or (plan.network and self._config.offline)):
            text, why = known.text, f"as of {known.day}"
            if run:
                _LOG.warning("%s: hubplug is offline, so this is what it meant last, %s: %s", handle, why, redact(text))
        elif run:
            refuse_network(answer, handle, self._config)
            named: Handle = answer.run(Asker(self._chain, self._config, handle, handle.text), expect=(Handle,))
            keep_answer(self._config.answers_path, member_of(answer).name, handle, named.text)
            return answer, named
        else:
            return answer, None
        return replace(answer, value=replace(plan, what=f"{plan.what} ({why}: {redact(text)})")), handle.instead(text)

    def module(self, source: Source, pins: Pins) -> LocalModule:
        """The directory that holds a source: its own, a cache's, or one that lives as long as the process."""
        if source.in_place:
            return LocalModule(Path(source.location), source.handle)
        if not source.cacheable:
            return self._bring_for_this_process(source, pins)
        answer = self._chain.ask("hubplug_cache", source)
        if answer.member is None:
            return self._bring_for_this_process(source, pins, answer.declined)
        refuse_network(answer, source.handle, self._config)
        looked = [*answer.declined, (answer.member.name, f"would {answer.value.what}")]

        def produce(dest: Path) -> Provenance:
            if answer.value.hit:
                raise mistake_of(member_of(answer), f"said that it has {source.handle.original}, and had it fetched")
            return self._produce(source, dest, pins, looked)

        module: LocalModule = answer.run(produce, expect=(LocalModule,))
        return module

    def read_format(self, module: LocalModule) -> ModuleSpec:
        """The definition of the module that a directory holds.

        Raises:
            FormatError: No plugin knows the format.
        """
        answer = self._chain.ask("hubplug_load_format", module)
        if answer.member is None:
            reasons = "; ".join(reason for _, reason in answer.declined)
            raise (answer.error or FormatError)(
                f"{module.handle.original} is not a module that this chain can read"
                + (f": {reasons}" if reasons else ""),
                hint=answer.hint or "`hubplug plugins` shows which plugins read formats (load_format)",
            )
        spec: ModuleSpec = answer.value
        return spec

    def _produce(self, source: Source, dest: Path, pins: Pins, looked: Sequence[tuple[str, str]]) -> Provenance:
        """Fills an empty directory with a source, from the start again when that changes under the transfer."""
        for _ in range(_MOST_RESTARTS):
            try:
                return self._produce_once(source, dest, pins, looked)
            except SourceChanged as error:
                _LOG.warning("%s: %s; fetching it from the start", source.handle.original, error.message)
                empty(dest)
        return self._produce_once(source, dest, pins, looked)

    def _produce_once(self, source: Source, dest: Path, pins: Pins, looked: Sequence[tuple[str, str]]) -> Provenance:
        """Fetch, unpack, check; what is in ``dest`` at the end is a module."""
        from hubplug.files.tree import Limits, TreeWriter

        tree = TreeWriter(dest, Limits(**self._config.limits))
        archive_sha256 = etag = None
        arrived = self._fetch(source, tree, pins, looked)
        if isinstance(arrived, ArchiveStream):
            with arrived:
                self._unpack(arrived, tree)
                location, archive_sha256, etag = arrived.location, arrived.sha256(), arrived.etag
        else:
            location = arrived
        files = tree.finish()
        provenance = Provenance(str(source.named), source.key_sha256, location, archive_sha256, etag, files)
        arrived_module = LocalModule(dest, source.handle, provenance)
        pins.demand(source.handle, arrived_module)
        self._demand_module(arrived_module, location)
        _LOG.info("%s: brought from %s", source.handle.original, location)
        return provenance

    def _fetch(
        self, source: Source, tree: TreeWriter, pins: Pins, looked: Sequence[tuple[str, str]]
    ) -> ArchiveStream | str:
        """An archive to be unpacked, or the location from which a whole tree was written."""
        trail = [source.location]
        while True:
            answer = self._chain.ask_or_raise("hubplug_fetch", f"{source} for fetching", source)
            known = known_answer(answer, source.handle, self._config) if answer.value.lasting else None
            if known is not None:
                got: ArchiveStream | Handle | None = source.handle.instead(known.text)
            else:
                refuse_network(answer, source.handle, self._config, looked)
                asker = Asker(self._chain, self._config, source.handle, source.location)
                got = answer.run(tree, asker, expect=(ArchiveStream, Handle, type(None)))
            if got is None:
                _refuse_empty(tree, answer, "fetched nothing, and gave neither an archive nor another handle")
                return redact(source.location)
            if not tree.is_empty:
                raise mistake_of(member_of(answer), f"wrote files of {source}, and then gave {type(got).__name__}")
            if isinstance(got, ArchiveStream):
                got.blame = partial(blamed, member=member_of(answer), doing=f"stream of {got.name}")
                return got
            if answer.value.lasting and known is None:
                keep_answer(self._config.answers_path, member_of(answer).name, source.handle, got.text)
            source = self._source_named_by_fetch(on_the_trail(got, source.handle), pins)
            refuse_loop(trail, source.location)

    def _unpack(self, archive: ArchiveStream, tree: TreeWriter, depth: int = 1) -> None:
        answer = self._chain.ask("hubplug_unpack", archive)
        if answer.member is None:
            reasons = "".join(f"; {name}: {reason}" for name, reason in answer.declined)
            raise ArchiveError(
                f"What came from {archive.name} is not an archive that this chain can unpack{reasons}",
                hint=answer.hint or "a plugin can add other formats (hubplug_unpack)",
            )
        inner = answer.run(tree, expect=(ArchiveStream, type(None)))
        if inner is not None:
            if depth == _MOST_LAYERS or not tree.is_empty:
                raise ArchiveError(f"{archive.name} is an archive in an archive, {depth} deep, or with files beside it")
            inner.blame = partial(as_damage, archive.name)
            with inner:
                self._unpack(inner, tree, depth + 1)
            if archive.peek(1):
                raise ArchiveError(f"{archive.name} goes on after the end of what is inside it", hint="fetch it again")
        _refuse_empty(tree, answer, f"unpacked nothing of {archive.name}")

    def _demand_module(self, module: LocalModule, location: str) -> None:
        """Refuses to publish what no format plugin recognizes; the staging directory is gone when the error is read."""
        try:
            answer = self._chain.ask("hubplug_load_format", module)
        except HubplugError as error:
            error.message = _as_arrived(error.message, module.path)
            error.args = (error.message,)
            raise
        if answer.member is None:
            reasons = "; ".join(_as_arrived(reason, module.path) for _, reason in answer.declined)
            raise ArchiveError(
                f"What came from {location} does not appear to be a valid module: {reasons or 'no plugin knows its format'}",
                hint=f"the root of an archive is the root of the module{f'; {answer.hint}' if answer.hint else ''}",
            )

    def _source_named_by_fetch(self, handle: Handle, pins: Pins) -> Source:
        if handle.named_by_server and handle.scheme.lower() not in self._config.server_schemes:
            allowed = " or ".join(f"{scheme}://" for scheme in self._config.server_schemes)
            raise HubplugError(
                f"The server of {handle.original} named {handle}, and a server may "
                + (f"only name {allowed}" if allowed else "name no other place"),
                hint="ask for that location yourself if you trust it; server_schemes in hubplug.yaml allows others",
            )
        source = self.source(handle, pins)
        if source.in_place:
            raise PluginError(f"The fetch of {handle.original} leads to the local directory {source}")
        return source

    def _bring_for_this_process(
        self, source: Source, pins: Pins, declined: Sequence[tuple[str, str]] = ()
    ) -> LocalModule:
        """A copy that no cache keeps: variables are read from it until the process ends."""
        with kept_until_exit() as dest:
            return LocalModule(dest, source.handle, self._produce(source, dest, pins, declined))


def _refuse_empty(tree: TreeWriter, answer: Answer, what: str) -> None:
    if tree.is_empty:
        raise mistake_of(member_of(answer), what)


def _as_arrived(message: str, staging: Path) -> str:
    """A message about what was just brought, which does not stay where it is now."""
    return message.replace(f"{staging}/", "").replace(str(staging), "what arrived")
