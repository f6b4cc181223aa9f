"""Every hook, in the order in which a handle travels.

Rules that hold for all of them:

- A plugin answers None for "not mine", or ``Declined(reason)``: the reason is listed when nobody answers. ``[]`` and
  ``False`` are answers, and wrong ones.
- An exception means "mine, and it failed". It stops the chain: nobody else is asked, because falling from a private
  server that is down through to a public one would be dependency confusion.
- Hooks decide, plans act: a hook does no I/O beyond a local ``stat``. What it would do goes into ``Plan.run``.
- The first answer counts, in the order of the chain, but for ``hubplug_validate``, where everybody is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from hubplug.spec import ModuleSpec
    from hubplug.types import (
        ArchiveStream,
        AuthRequest,
        Declined,
        ExportRequest,
        Finding,
        Handle,
        LocalModule,
        Plan,
        Source,
    )

PROJECT_NAME = "hubplug"

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)


@hookspec(firstresult=True)
def hubplug_resolve(handle: Handle) -> Source | Handle | Declined | None:
    """Says where a handle lives, or which handle to ask for instead.

    A company's scheme needs nothing more than this::

        class TeamModels:
            @hubplug.hookimpl
            def hubplug_resolve(self, handle):
                if handle.scheme == "corp":
                    return handle.instead("https://models.corp.example/" + handle.text.removeprefix("corp://"))

    Args:
        handle: What was asked for.

    Returns:
        A Source; or another Handle, made with ``handle.instead(...)``, which goes through the chain again (ten times at
        most, and a loop is an error that names it).
    """


@hookspec(firstresult=True)
def hubplug_auth(request: AuthRequest) -> Callable[[Any], Any] | Declined | None:
    """Says how to sign an HTTP request.

    Asked for the first request and again for every redirect target, so that a credential never follows a redirect to
    another host::

        class CorpSignOn:
            @hubplug.hookimpl
            def hubplug_auth(self, request):
                if hubplug.under_prefix(request.url, "https://models.corp.example/"):
                    return HTTPKerberosAuth()

    Args:
        request: The URL, the handle, and where a redirect came from.

    Returns:
        A ``requests.auth.AuthBase`` (any callable that takes and returns a prepared request). Nobody answering is fine:
        the request is sent unsigned.
    """


@hookspec(firstresult=True)
def hubplug_cache(source: Source) -> Plan[LocalModule] | Declined | None:
    """Says where the local copy of a source lives.

    ::

        class OneDirectory:
            @hubplug.hookimpl
            def hubplug_cache(self, source):
                path = Path("/models") / hashlib.sha256(source.key.encode()).hexdigest()
                if path.is_dir():
                    return hubplug.Plan(f"use {path}", lambda produce: hubplug.LocalModule(path, source.handle))

                def fill(produce):
                    staging = Path(tempfile.mkdtemp(dir="/models"))
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
        When nobody answers, the module lands in a temporary directory that lives as long as the process.
    """


@hookspec(firstresult=True)
def hubplug_fetch(source: Source) -> Plan[ArchiveStream | Handle | None] | Declined | None:
    """Brings a source.

    ::

        class Ftp:
            @hubplug.hookimpl
            def hubplug_fetch(self, source):
                if source.location.startswith("ftp://"):
                    def run(tree, auth_for):
                        return hubplug.ArchiveStream(urlopen(source.location), name=str(source))
                    return hubplug.Plan(f"download {source}", run, network=True)

    Args:
        source: A source that no cache has.

    Returns:
        A plan whose ``run(tree, auth_for)`` returns an ArchiveStream that the core unpacks and closes; or None after it
        has written the whole module through ``tree`` (a TreeWriter); or another Handle, which goes through the chain
        again but not through the cache. ``auth_for(url, redirected_from=None)`` asks ``hubplug_auth``.
    """


@hookspec(firstresult=True)
def hubplug_unpack(archive: ArchiveStream) -> Plan[None] | Declined | None:
    """Says which archive format this is, and unpacks it.

    ::

        class Zip:
            @hubplug.hookimpl
            def hubplug_unpack(self, archive):
                if archive.peek(4) == b"PK\\x03\\x04":
                    return hubplug.Plan("unpack a zip archive", lambda tree: unzip(archive, tree))

    Args:
        archive: Look at it with ``peek``; consume it only in the plan.

    Returns:
        A plan whose ``run(tree)`` reads the archive to its last byte and writes its members through ``tree``.
    """


@hookspec(firstresult=True)
def hubplug_load_format(module: LocalModule) -> ModuleSpec | Declined | None:
    """Recognizes the format of a module directory and reads its definition, without TensorFlow.

    ::

        class Onnx:
            @hubplug.hookimpl
            def hubplug_load_format(self, module):
                if (module.path / "model.onnx").is_file():
                    return OnnxSpec(module.path)

    Args:
        module: The directory; probe it for a marker file.

    Returns:
        A ModuleSpec.
    """


@hookspec
def hubplug_validate(spec: ModuleSpec, profile: str) -> Sequence[Finding] | None:
    """Checks a module against a profile. Everybody is asked; the findings are put together.

    ::

        class HouseRules:
            @hubplug.hookimpl
            def hubplug_validate(self, spec, profile):
                if profile == "house":
                    if "default" not in spec.signatures():
                        return [hubplug.Finding("house/default", "error", "there is no signature 'default'")]
                    return []

    Args:
        spec: The module's definition; ``spec.signatures(tags)`` needs no TensorFlow.
        profile: The name of a set of rules.

    Returns:
        A list of findings, empty for a good module; None for a profile that this plugin does not know. A profile that
        nobody knows is an error. Never raises for a bad module.
    """


@hookspec(firstresult=True)
def hubplug_export(request: ExportRequest) -> Plan[None] | Declined | None:
    """Writes a module.

    ::

        class Notes:
            @hubplug.hookimpl
            def hubplug_export(self, request):
                if isinstance(request.spec, NoteSpec):
                    return hubplug.Plan("write the note", lambda dest: (dest / "note.txt").write_text(request.spec.text))

    Args:
        request: The definition, where the values come from, and the directory that is to hold it.

    Returns:
        A plan whose ``run(dest)`` writes into the empty staging directory ``dest`` (a Path); the core publishes it with
        one rename.
    """
