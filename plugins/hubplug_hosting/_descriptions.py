"""What archives say about themselves, looked at once: in a child process, one after the other, and not while a request waits.

Nothing of an archive is parsed in the server itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import tempfile
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import hubplug
from hubplug.files.signatures import SignsModules
from hubplug.files.staging import replace_file
from hubplug.hub import Hub
from hubplug.processes.children import run_child
from hubplug.settings.config import Config
from hubplug.shown.logs import logger
from hubplug_hosting._artifacts import Artifact, WorkFolder
from hubplug_hosting._describing import Job
from hubplug_hosting._members import open_regular, opened_directory
from hubplug_hosting._tree import suffix_in, suffixes_of

_LOG = logger("hubplug.hosting")
_PROGRAM = "from hubplug_hosting._describing import main; main()"
_READS_LOCAL_ARCHIVES = ("file", "archive")
_HOOKS_NEEDED = ("hubplug_unpack", "hubplug_load_format", "hubplug_validate")
_ALWAYS = ("complete", "safe")
_MEMORY = 4 << 30
_SECONDS = 120
_LONGEST_ANSWER = 8 << 20
_MOST_KEPT = 2_000
_MOST_UNPACKED = 4
_LARGEST_README = 256 << 10


@dataclass(eq=False)
class Description:
    """What is known of an archive by now.

    Attributes:
        facts: What it says about itself, or ``problem``; there before the profiles are checked.
        checks: Profile -> ``state`` and ``findings``; or only a ``problem``, as when there is one in the facts.
    """

    facts: Future[dict[str, Any]] = field(default_factory=Future)
    checks: Future[dict[str, Any]] = field(default_factory=Future)


class Descriptions:
    """Describes archives, each once."""

    def __init__(self, hub: Hub, work: WorkFolder, *, memory: int = _MEMORY, seconds: int = _SECONDS) -> None:
        """Prepares.

        Args:
            hub: Whose chain reads and validates.
            work: Where descriptions are kept, and archives unpacked for as long as they are looked at.
            memory: Bytes of address space for one archive.
            seconds: For each of the two looks at it.
        """
        self._config = _for_local_archives(hub)
        self._profiles = profiles_of(hub)
        self._signing = [plugin for _, plugin in hub.instances(SignsModules)]  # type: ignore[type-abstract]
        self._suffixes = suffixes_of(hub)
        self._work = work
        self._memory, self._seconds = memory, seconds
        # One after the other; the checks of one module, which take longer, do not hold up the facts of the next.
        self._describing = ThreadPoolExecutor(1, thread_name_prefix="hubplug-describe")
        self._checking = ThreadPoolExecutor(1, thread_name_prefix="hubplug-check")
        self._unpacked = threading.BoundedSemaphore(_MOST_UNPACKED)
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Description] = OrderedDict()
        self._closed = threading.Event()

    def close(self) -> None:
        """Ends what is being looked at."""
        self._closed.set()
        self._describing.shutdown()
        self._checking.shutdown()

    def get(self, artifact: Artifact, path: str, readme: str | None) -> Description:
        """The description of an archive, which may not be there yet; ``artifact`` may be closed then.

        Args:
            artifact: The archive.
            path: Where it lies. What lies there when it is looked at must have the digest of ``artifact``.
            readme: The publisher's documentation beside it, or None.
        """
        signers = [plugin.signers_key() for plugin in self._signing]
        key = hashlib.sha256(
            json.dumps([artifact.sha256, readme, hubplug.__version__, self._profiles, signers]).encode()
        ).hexdigest()
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
            known = self._known[key] = Description()
            while len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
        if not self._read(key, known):
            self._describing.submit(self._describe, key, known, path, artifact.sha256, readme)
        return known

    def _read(self, key: str, known: Description) -> bool:
        with suppress(OSError, ValueError, KeyError):
            kept = json.loads((self._work.path() / f"{key}.facts.json").read_text("utf-8"))
            facts, checks = kept["facts"], kept["checks"]
            known.facts.set_result(facts)
            known.checks.set_result(checks)
            return True
        return False

    def _describe(self, key: str, known: Description, path: str, sha256: str, readme: str | None) -> None:
        self._unpacked.acquire()
        folder = ""
        try:
            folder = tempfile.mkdtemp(prefix="looking-", dir=self._work.path())
            # Whatever characters are in its path, they are in no handle.
            archive = Path(folder, f"archive{suffix_in(path, self._suffixes)}")
            archive.symlink_to(path)
            pinned = f"{archive}#sha256={sha256}"
            job = Job(self._config, pinned, folder, readme, self._profiles, self._memory, self._seconds)
            known.facts.set_result(self._ask(job))
            if "problem" not in known.facts.result():
                self._checking.submit(self._check, key, known, replace(job, archive=""))
                return
        except Exception as error:  # whoever waits gets an answer
            _LOG.error("%s could not be described: %s", path, error)
        self._finish(known, folder)

    def _check(self, key: str, known: Description, job: Job) -> None:
        try:
            known.checks.set_result(self._ask(job))
            if "problem" not in known.checks.result():
                with replace_file(self._work.path() / f"{key}.facts.json") as file:
                    file.write(json.dumps({"facts": known.facts.result(), "checks": known.checks.result()}).encode())
        except Exception as error:
            _LOG.error("what was found of a module could not be kept: %s", error)
        self._finish(known, job.folder)

    def _finish(self, known: Description, folder: str) -> None:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        self._unpacked.release()
        for future in (known.facts, known.checks):
            if not future.done():
                future.set_result({"problem": "it could not be looked at"})

    def _ask(self, job: Job) -> dict[str, Any]:
        problem, said = run_child(_PROGRAM, pickle.dumps(job), self._seconds, cancelled=self._closed)
        if problem is None and len(said) <= _LONGEST_ANSWER:
            with suppress(ValueError):
                answer = json.loads(said)
                if isinstance(answer, dict):
                    return answer
        return {"problem": problem or "it gave no answer"}


def profiles_of(hub: Hub) -> tuple[str, ...]:
    """The profiles that the plugins of a chain know, what is asked of every module first.

    Not those of who signs: who has to have signed a module depends on its handle, and the page says who did.
    """
    plugins = [member.plugin for member in hub.chain.members if not isinstance(member.plugin, SignsModules)]
    known = [profile for plugin in plugins for profile in getattr(plugin, "profiles", ())]
    return tuple(dict.fromkeys([*(profile for profile in _ALWAYS if profile in known), *known]))


def readme_beside(root: str, components: tuple[str, ...], name: str) -> str | None:
    """The documentation beside a module: ``1.md``, or else ``README.md`` of the model's directory."""
    for file in (f"{name}.md", "README.md"):
        with (
            suppress(OSError, UnicodeDecodeError),
            opened_directory(root) as descriptor,
            os.fdopen(open_regular((*components[:-1], file), descriptor), "rb") as stream,
        ):
            return stream.read(_LARGEST_README).decode("utf-8")
    return None


def _for_local_archives(hub: Hub) -> Config:
    """The configuration of a chain without what brings and keeps modules, and so without its credentials."""
    names = [m.name for m in hub.chain.members if any(hasattr(m.plugin, hook) for hook in _HOOKS_NEEDED)]
    needed = [name for name in _READS_LOCAL_ARCHIVES if name not in names]
    return replace(hub.config, chain=(*names, *needed), chains={}, offline=True)
