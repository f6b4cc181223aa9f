"""Every hook, in the order in which a handle travels.

Rules that hold for all of them:

- A plugin answers None for "not mine", or, where someone may have expected it to answer, ``Declined(reason)``: the reason is listed
  by ``explain``, and when no plugin answers. ``[]`` and
  ``False`` are answers, and wrong ones. ``Declined(reason, error=...)`` refines the error that is raised then.
- An exception means "mine, and it failed". It stops the chain: no other plugin is asked, because falling from a private
  server that is down through to a public one would be dependency confusion.
- Hooks decide, plans act: a hook does no I/O beyond a local ``stat``. What it would do goes into ``Plan.run``.
- The first answer counts, in the order of the chain, but for ``hubplug_entries`` and ``hubplug_validate``, where everybody is
  asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

if TYPE_CHECKING:
    from hubplug.entries import CacheEntries
    from hubplug.files.tree import TreeWriter
    from hubplug.spec import ExportRequest, ModuleSpec
    from hubplug.types import (
        ArchiveStream,
        AuthRequest,
        Declined,
        Finding,
        Handle,
        LocalModule,
        Plan,
        Provenance,
        Source,
    )
    from hubplug.web import Network, WebAnswer, WebRequest

PROJECT_NAME = "hubplug"

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)


class RunResolve(Protocol):
    """What a plan of ``hubplug_resolve`` does: asks, and gives the handle that is meant at this moment."""

    def __call__(self, auth_for: Network, /) -> Handle: ...


class RunSend(Protocol):
    """What a plan of ``hubplug_send`` does: sends the request, and reads the answer."""

    def __call__(self, auth_for: Network, /) -> WebAnswer: ...


class RunCache(Protocol):
    """What a plan of ``hubplug_cache`` does: gives the local copy. ``produce(dest)`` fills an empty directory."""

    def __call__(self, produce: Callable[[Path], Provenance], /) -> LocalModule: ...


class RunFetch(Protocol):
    """What a plan of ``hubplug_fetch`` does: gives an archive or another handle, or writes all files through ``tree``."""

    def __call__(self, tree: TreeWriter, auth_for: Network, /) -> ArchiveStream | Handle | None: ...


class RunUnpack(Protocol):
    """What a plan of ``hubplug_unpack`` does: writes the members through ``tree``, or gives the archive that is inside."""

    def __call__(self, tree: TreeWriter, /) -> ArchiveStream | None: ...


class RunExport(Protocol):
    """What a plan of ``hubplug_export`` does: writes the module into an empty directory."""

    def __call__(self, dest: Path, /) -> None: ...


class RunPublish(Protocol):
    """What a plan of ``hubplug_publish`` does: ``produce(dest)`` writes the module, and it brings that to its place."""

    def __call__(self, produce: Callable[[Path], None], /) -> None: ...


@hookspec(firstresult=True)
def hubplug_resolve(handle: Handle) -> Source | Handle | Plan[RunResolve] | Declined | None:
    """Says where a handle lives, or which handle it is redirected to.

    A company's scheme needs nothing more than this. The Plan is for handles that mean the latest of something: a server
    has to be asked::

        import hubplug

        class TeamModels:
            @hubplug.hookimpl
            def hubplug_resolve(self, handle):
                if handle.scheme != "corp":
                    return None
                module, _, version = handle.text.removeprefix("corp://").rpartition("/")
                if version != "latest":
                    return handle.instead(f"https://models.corp.example/{module}/{version}")

                def run(auth_for):
                    answer = auth_for.send(f"https://models.corp.example/{module}/versions")
                    if answer.error is not None:
                        raise answer.error
                    return handle.instead(f"corp://{module}/{answer.member('newest', int)}")

                return hubplug.Plan(f"ask models.corp.example for the newest version of {module}", run, network=True)

    Args:
        handle: What was asked for. ``handle.text`` may hold a secret; ``str(handle)`` does not.

    Returns:
        A Source; or another Handle, made with ``handle.instead(...)``; or a Plan whose ``run(auth_for)`` gives one that will always
        mean the same. ``auth_for.send(url)`` asks a server (see ``hubplug_send``).

    Order:
        The first hook of every way, asked again for each handle that one is redirected to: ten redirects at most, and no loop.

    Guarantees:
        A pin (``#sha256=``) and the original handle stay with whatever is answered. A handle that a server named has
        ``named_by_server`` set, and its scheme is on an allow-list. A Source with ``in_place`` is neither cached nor
        fetched. What a plan named is kept with the time, is what caches file the module under, and is written to hubplug.lock: a
        locked handle is not asked about again, but by ``hubplug lock``. Offline, what was named last is used, with a warning.
    """


@hookspec(firstresult=True)
def hubplug_auth(request: AuthRequest) -> Callable[[Any], Any] | Declined | None:
    """Says how to sign an HTTP request.

    Any class of authentication that there is for ``requests`` will do::

        import hubplug

        class CorpSignOn:
            @hubplug.hookimpl
            def hubplug_auth(self, request):
                if hubplug.under_prefix(request.url, "https://models.corp.example/"):
                    from requests.auth import HTTPBasicAuth

                    return HTTPBasicAuth("reader", "open sesame")

    Args:
        request: The URL, the handle, and where a redirect came from.

    Returns:
        A ``requests.auth.AuthBase`` (any callable that takes and returns a prepared request). It is fine if no plugin answers:
        the request is sent unsigned.

    Order:
        Asked while a fetch runs, before each request is sent; again for every redirect target and every mirror.

    Guarantees:
        What is answered signs this one request. It is not kept for a redirect's target, so a credential never follows a
        redirect to another host.
    """


@hookspec(firstresult=True)
def hubplug_send(request: WebRequest) -> Plan[RunSend] | Declined | None:
    """Sends a small request to a server for the plan of another plugin, and reads the whole answer.

    The built-in plugin ``http`` does, with the timeouts, proxies, certificates and retries that it is configured with. Another
    one may take what only it can reach, or what it has been told already::

        import hubplug
        from hubplug.web import WebAnswer

        class Recorded:
            def __init__(self, answers):
                self.answers = answers

            @hubplug.hookimpl
            def hubplug_send(self, request):
                if request.url not in self.answers:
                    return hubplug.Declined("nothing is recorded of it")

                def run(auth_for):
                    return WebAnswer(request.url, 200, body=self.answers[request.url])

                return hubplug.Plan(f"repeat what {hubplug.redact(request.url)} answered", run)

    Args:
        request: The URL, the handle, whether redirects are followed, and how long the answer may be.

    Returns:
        A plan whose ``run(auth_for)`` returns a WebAnswer: a success, or a refusal (401, 403, 404, ...), whose ``error`` says so in
        general terms. A server that cannot be reached, is broken, or sends too much is an error. Sockets: ``network=True``.

    Order:
        While a plan of ``hubplug_resolve`` or ``hubplug_fetch`` runs, for each ``auth_for.send(url)``.

    Guarantees:
        ``auth_for(url, redirected_from=None)`` asks ``hubplug_auth``, as for a fetch. Offline, a plan with ``network=True`` is not
        run. What follows the address in a handle goes to no other server because of a hubplug.yaml that was merely found.
    """


@hookspec(firstresult=True)
def hubplug_cache(source: Source) -> Plan[RunCache] | Declined | None:
    """Says where the local copy of a source lives.

    ::

        import hashlib
        import tempfile
        from pathlib import Path

        import hubplug

        class OneDirectory:
            def __init__(self, *, directory: str) -> None:
                self.directory = Path(directory)

            @hubplug.hookimpl
            def hubplug_cache(self, source):
                path = self.directory / hashlib.sha256(source.key.encode()).hexdigest()
                if path.is_dir() and source.handle.sha256 is None:
                    module = hubplug.LocalModule(path, source.handle)
                    return hubplug.Plan(f"use {path}", lambda produce: module, hit=True)

                def fill(produce):
                    with tempfile.TemporaryDirectory(dir=self.directory) as folder:
                        staging = Path(folder, "module")
                        staging.mkdir()
                        provenance = produce(staging)
                        staging.rename(path)
                    return hubplug.LocalModule(path, source.handle, provenance)

                return hubplug.Plan(f"fill {path}", fill)

    Args:
        source: A source that is not used in place and is cacheable. ``source.key`` names it, ``source.handle.sha256`` is
            its pinned digest or None.

    Returns:
        A plan whose ``run(produce)`` returns a LocalModule. ``produce(dest)`` fills the empty directory ``dest`` with
        the module, checks the pinned digest and returns the Provenance; it may be called again, with another directory.
        A plan that will not call it says ``hit=True``. When no plugin answers, the module lands in a temporary directory that lives as long as the process.

    Order:
        After ``hubplug_resolve``, once. A read-only cache declines what it does not have, and the next one is asked.

    Guarantees:
        ``produce`` returns only when the whole module is in ``dest``, is synced to the disk, and a plugin can read its
        format. A module that has not the pinned digest is never used, whatever a cache answers.
    """


@hookspec
def hubplug_entries() -> CacheEntries | Declined | None:
    """Says what a cache keeps, for ``hubplug cache``.

    With these two fields ``list``, ``path``, ``verify`` and ``export`` work for a cache of any layout::

        import json
        import tempfile
        from dataclasses import asdict
        from pathlib import Path

        import hubplug
        from hubplug.entries import CacheEntries, CacheEntry

        class Shelves:
            def __init__(self, *, directory: str) -> None:
                self.directory = Path(directory)

            @hubplug.hookimpl
            def hubplug_cache(self, source):
                path = self.directory / source.key_sha256
                if path.is_dir() and (source.handle.sha256 in (None, self.noted(path).archive_sha256)):
                    return hubplug.Plan(f"use {path}", lambda produce: self.module(path, source), hit=True)
                return None if path.is_dir() else hubplug.Plan(f"fill {path}", lambda produce: self.fill(path, source, produce))

            def fill(self, path, source, produce):
                with tempfile.TemporaryDirectory(dir=self.directory) as folder:
                    (staging := Path(folder, "entry", "module")).mkdir(parents=True)
                    note = asdict(produce(staging))
                    (staging.parent / "note.json").write_text(json.dumps(note))
                    staging.parent.rename(path)
                return self.module(path, source)

            def module(self, path, source):
                return hubplug.LocalModule(path / "module", source.handle, self.noted(path))

            def noted(self, path):
                note = json.loads((path / "note.json").read_text())
                files = tuple(hubplug.FileRecord(**record) for record in note.pop("files"))
                return hubplug.Provenance(**note, files=files)

            @hubplug.hookimpl
            def hubplug_entries(self):
                def entries():
                    for note in self.directory.glob("*/note.json"):
                        yield CacheEntry(note.parent.name, note.parent / "module", self.noted(note.parent))

                return CacheEntries(self.directory, entries)

    Returns:
        A CacheEntries. Its functions list, verify, remove and add; those that it does not have are not offered. A cache without this hook
        brings modules as any other, and the commands say that they do not know what it has.

    Order:
        By ``hubplug cache``; never on the way of a handle. All plugins, in the order of the chain.

    Guarantees:
        What is exported is hashed on the way, and an entry that differs from its provenance is refused. What is to be added has been
        compared with what the archive says when ``produce`` returns.
    """


@hookspec(firstresult=True)
def hubplug_fetch(source: Source) -> Plan[RunFetch] | Declined | None:
    """Brings a source.

    ::

        import hubplug

        class Shelf:
            def __init__(self, archives):
                self.archives = archives

            @hubplug.hookimpl
            def hubplug_resolve(self, handle):
                if handle.scheme == "shelf":
                    return hubplug.Source(handle, handle.text)

            @hubplug.hookimpl
            def hubplug_fetch(self, source):
                name = source.location.removeprefix("shelf://")
                if name not in self.archives:
                    return hubplug.Declined("the shelf does not have it")

                def run(tree, auth_for):
                    import io

                    return hubplug.ArchiveStream(io.BytesIO(self.archives[name]), name=str(source))

                return hubplug.Plan(f"take {source} from the shelf", run)

    Args:
        source: A source that no cache has.

    Returns:
        A plan whose ``run(tree, auth_for)`` returns an ArchiveStream that the core unpacks and closes; or None after it
        has written the whole module through ``tree`` (a TreeWriter); or another Handle, which goes through the chain
        again but not the cache; ``lasting=True`` says that it stays right. ``auth_for(url, redirected_from=None)`` asks
        ``hubplug_auth``, ``auth_for.send(url)`` asks a server (see ``hubplug_send``). Sockets: ``network=True``.

    Order:
        While the plan of ``hubplug_cache`` runs, inside of ``produce``.

    Guarantees:
        What is written through ``tree`` is checked (names, caps), hashed and synced, and gone when anything fails.
        Offline, a plan with ``network=True`` is not run.
    """


@hookspec(firstresult=True)
def hubplug_unpack(archive: ArchiveStream) -> Plan[RunUnpack] | Declined | None:
    """Says which archive format this is, and unpacks it.

    ::

        import io
        import zipfile

        import hubplug

        class Zip:
            @hubplug.hookimpl
            def hubplug_unpack(self, archive):
                if archive.peek(4) != b"PK\\x03\\x04":
                    return None

                def run(tree):
                    data = b"".join(iter(lambda: archive.read(1 << 20), b""))
                    try:
                        with zipfile.ZipFile(io.BytesIO(data)) as members:
                            for member in members.infolist():
                                if not member.is_dir():
                                    with tree.open(member.filename, member.file_size) as file:
                                        file.write(members.read(member))
                    except zipfile.BadZipFile as error:
                        raise hubplug.errors.ArchiveError(f"{archive.name} is damaged: {error}") from error

                return hubplug.Plan("unpack a zip archive", run)

    Args:
        archive: Look at it with ``peek``; consume it only in the plan.

    Returns:
        A plan whose ``run(tree)`` reads the archive to its last byte and writes its members through ``tree``; or returns an
        ArchiveStream of what is inside, which is unpacked in its place: all that a compression needs for tar archives.

    Order:
        After the plan of ``hubplug_fetch`` has given an archive.

    Guarantees:
        The archive is hashed as it is read; a pinned digest is checked after the plan, before anything is published.
        ``tree`` refuses names that lead out of the module, and more than the caps.
    """


@hookspec(firstresult=True)
def hubplug_load_format(module: LocalModule) -> ModuleSpec | Declined | None:
    """Recognizes the format of a module directory and reads its definition, without TensorFlow.

    A whole format, whose modules are shown, validated, put into graphs and exported, is this::

        import json

        import hubplug

        class TableSpec(hubplug.ModuleSpec):
            def __init__(self, table):
                self.table = table

            def get_tags(self):
                return [frozenset()]

            def signatures(self, tags=None):
                if tags:
                    raise hubplug.errors.UnknownTagsError(f"No such graph variant: tags={sorted(tags)}")
                text = hubplug.TensorInfo("string", (None,))
                return {"default": hubplug.SignatureInfo({"key": text}, {"default": text})}

            def instantiate(self, name, trainable, tags):
                return Table(self)

        class Table:
            variable_map = {}

            def __init__(self, spec):
                import tensorflow as tf

                pairs = tf.lookup.KeyValueTensorInitializer(list(spec.table), list(spec.table.values()))
                self.spec, self.table = spec, tf.lookup.StaticHashTable(pairs, default_value="")

            def apply(self, inputs, signature, as_dict):
                import tensorflow as tf

                outputs = {"default": self.table.lookup(tf.convert_to_tensor(inputs))}
                return outputs if as_dict else outputs["default"]

            def request_export(self, path, session):
                return hubplug.ExportRequest(self.spec, path, session=session)

        class Tables:
            @hubplug.hookimpl
            def hubplug_load_format(self, module):
                if (module.path / "table.json").is_file():
                    return TableSpec(json.loads((module.path / "table.json").read_text()))
                return hubplug.Declined("there is no table.json")

            @hubplug.hookimpl
            def hubplug_export(self, request):
                if isinstance(request.spec, TableSpec):
                    content = json.dumps(request.spec.table)
                    return hubplug.Plan("write a table", lambda dest: (dest / "table.json").write_text(content) and None)

    Args:
        module: The directory; probe it for a marker file.

    Returns:
        A ModuleSpec. ``hubplug.load`` asks its method ``load_object``, which refuses unless the format has one.

    Order:
        Before a graph is touched: for what was just brought, before it is published, and for what is loaded.

    Guarantees:
        The directory is whole: it is the user's own, or was published with one rename.
    """


@hookspec
def hubplug_validate(spec: ModuleSpec, profile: str) -> Sequence[Finding] | None:
    """Checks a module against a profile. Everybody is asked; the findings are put together.

    ::

        import hubplug

        class HouseRules:
            @hubplug.hookimpl
            def hubplug_validate(self, spec, profile):
                if profile != "house":
                    return None
                if "default" not in spec.signatures():
                    return [hubplug.Finding("house/default", "error", "there is no signature 'default'")]
                return []

    Args:
        spec: The module's definition; ``spec.signatures(tags)`` needs no TensorFlow.
        profile: The name of a set of rules.

    Returns:
        A list of findings, empty for a good module; None for a profile that this plugin does not know. A profile that
        no plugin knows is an error. Never raises for a bad module.

    Order:
        After ``hubplug_load_format``, when a profile is asked for, or the section ``validate`` of hubplug.yaml demands
        one of what lies under a URL prefix. All plugins, in the order of the chain.

    Guarantees:
        A module with a finding of level ``error`` under a demanded profile is not loaded, from a cache neither.
    """


@hookspec(firstresult=True)
def hubplug_export(request: ExportRequest) -> Plan[RunExport] | Declined | None:
    """Writes a module.

    ::

        import hubplug

        class NoteSpec(hubplug.ModuleSpec):
            def __init__(self, text):
                self.text = text

        class Notes:
            @hubplug.hookimpl
            def hubplug_export(self, request):
                if not isinstance(request.spec, NoteSpec):
                    return None

                def run(dest):
                    (dest / "note.txt").write_text(request.spec.text)

                return hubplug.Plan("write the note", run)

    Args:
        request: The definition, where the values come from, and the directory that is to hold it.

    Returns:
        A plan whose ``run(dest)`` writes into the empty staging directory ``dest`` (a Path); the core publishes it with
        one rename, or asks ``hubplug_publish``. With ``names``, a directory that has none of them is filled too, entry
        by entry: directories first, then files by name.

    Order:
        For ``Module.export`` and ``ModuleSpec.export``, once.

    Guarantees:
        Nothing that exists is written over; what was written appears whole, synced to the disk, or not at all. What the
        plan raises reaches the caller as it is.
    """


@hookspec(firstresult=True)
def hubplug_publish(handle: Handle) -> Plan[RunPublish] | Handle | Declined | None:
    """Puts an exported module into a place that is not a local directory.

    ::

        import tempfile
        from pathlib import Path

        import hubplug

        class Depot:
            modules = {}

            @hubplug.hookimpl
            def hubplug_publish(self, handle):
                def run(produce):
                    if handle.text in self.modules:
                        raise hubplug.errors.OccupiedError(f"{handle} exists already")
                    with tempfile.TemporaryDirectory() as folder:
                        produce(Path(folder))
                        self.modules[handle.text] = {path.name: path.read_bytes() for path in Path(folder).iterdir()}

                return hubplug.Plan(f"keep {handle} in memory", run) if handle.scheme == "depot" else None

    Args:
        handle: The URL to export to. ``handle.text`` may hold a secret; ``str(handle)`` does not.

    Returns:
        A plan, ``network=True`` where it opens a socket; or another Handle (``handle.instead(...)``), a URL or a path.
        ``run(produce)`` raises OccupiedError when something is there; calls ``produce(dest)``, which fills the empty local
        directory ``dest``; brings the files, ``tfhub_module.pb`` last; or deletes them, and its ExportError says what stays.

    Order:
        For exports to URLs, after ``hubplug_export`` and before the plan of that. A local path is the core's own.

    Guarantees:
        What ``produce`` raises reaches the caller as it is. Offline, a plan with ``network=True`` is not run.
    """
