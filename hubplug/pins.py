"""Which content a handle must have: hubplug.lock, written by ``hubplug lock`` and checked at every resolve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from hubplug.errors import ConfigError, DigestMismatch
from hubplug.files.lock_file import Pin, pins_as_json, read_pins, spelling, text_digest, tree_digest
from hubplug.settings.config import Config
from hubplug.shown.logs import logger
from hubplug.types import Handle, LocalModule
from hubplug.urls import redact

_LOG = logger("hubplug")


@dataclass(frozen=True)
class Pins:
    """The pins of a lock file; none where there is no such file.

    Attributes:
        path: The lock file.
        modules: The pins by the redacted text of their handles.
        present: Whether there is such a file.
        locked: Whether what is not pinned is refused.
        named: Whether the user named the file.
        added: Those of ``modules`` that the file does not have yet.
        anew: Whether handles that mean the latest are asked about anew, whatever was said last.
    """

    path: Path
    modules: Mapping[str, Pin] = field(default_factory=dict)
    present: bool = False
    locked: bool = False
    named: bool = False
    added: Mapping[str, Pin] = field(default_factory=dict)
    anew: bool = False

    @classmethod
    def read(cls, config: Config) -> Pins:
        """Reads the lock file that belongs to a configuration.

        Raises:
            ConfigError: It is damaged or cannot be read.
        """
        modules = read_pins(config.lock_path)
        if modules is None:
            return cls(config.lock_path, locked=config.locked, named=config.names_lock)
        return cls(config.lock_path, modules, present=True, locked=config.locked)

    def of(self, handle: Handle) -> Pin | None:
        """The pin of a handle, or None."""
        text = handle.original.text
        for spelt in (spelling(text), text):
            pin = self.modules.get(redact(spelt))
            if pin and pin.handle_sha256 == text_digest(spelt):
                return pin
        return None

    def apply(self, handle: Handle) -> Handle:
        """The handle with the digest that it must have.

        Raises:
            DigestMismatch: The handle names another digest than the lock file, or is not listed though ``locked``.
        """
        pin = self.of(handle)
        if pin is None:
            if self.locked and handle.scheme:
                missing = "is not listed in" if self.present else "is not pinned: there is no"
                raise DigestMismatch(
                    f"{handle} {missing} {self.path}, and the configuration says locked: true",
                    hint=f"hubplug lock '{handle}'",
                )
            if self.present and handle.scheme:
                _LOG.warning("%s is not listed in %s: its content is not checked", handle, self.path)
            elif self.named and handle.scheme:
                _LOG.warning("There is no %s, which HUBPLUG_LOCK names: nothing is checked of %s", self.path, handle)
            return handle
        if handle.sha256 and pin.archive_sha256 and handle.sha256 != pin.archive_sha256:
            raise DigestMismatch(
                f"{handle} asks for the archive with sha256 {handle.sha256}, and {self.path} pins {pin.archive_sha256}",
                hint="make the two agree",
            )
        return replace(handle, sha256=handle.sha256 or pin.archive_sha256)

    def demand(self, handle: Handle, module: LocalModule) -> None:
        """Compares a module with what the handle, or the lock file, says of it; one that cannot be compared fails.

        Raises:
            DigestMismatch: They differ, or nothing is known of where the module's files came from.
        """
        pin = self.of(handle)
        provenance = module.provenance
        if handle.sha256 is not None:
            expected, got = f"the archive with sha256 {handle.sha256}", provenance and provenance.archive_sha256
            fine = got == handle.sha256
        elif pin is not None:
            expected = f"the tree with sha256 {pin.tree_sha256}"
            got = None if provenance is None else tree_digest(provenance.files)
            fine = got == pin.tree_sha256
        else:
            return
        if not fine:
            raise DigestMismatch(
                f"{handle.original}: expected {expected}, got {got or 'files of which no digest is known'}; it is not used",
                hint="ask the publisher which digest is right; if the new one is, change the pin (hubplug lock HANDLE)",
            )

    def without(self, handle: Handle) -> Pins:
        """These pins, but for that of one handle, which may then be anything."""
        names = {str(handle.original), redact(spelling(handle.original.text))}
        modules = {name: pin for name, pin in self.modules.items() if name not in names}
        return replace(self, modules=modules, present=False, locked=False, named=False, anew=True)

    def with_module(self, module: LocalModule) -> Pins:
        """These pins and that of a module that was fetched.

        Raises:
            ConfigError: Nothing is known of where its files came from, as for a directory used in place.
        """
        provenance = module.provenance
        if provenance is None:
            raise ConfigError(
                f"{module.handle.original} has no record of its files: it is used in place, or another program cached it",
                hint="lock handles that hubplug fetches; for an old cache entry: hubplug cache remove, then again",
            )
        name = spelling(module.handle.original.text)
        answer = next((step.text for step in module.handle.trail if step.answered and str(step) == step.text), None)
        tree_sha256 = tree_digest(provenance.files)
        pin = Pin(text_digest(name), provenance.location, provenance.archive_sha256, tree_sha256, answer)
        new = {redact(name): pin}
        return replace(self, modules={**self.modules, **new}, added={**self.added, **new}, present=True)

    def write(self) -> Pins:
        """Adds the pins of modules that were fetched to what the lock file says now, whoever wrote it meanwhile.

        Returns:
            What it says then. It is written whole or not at all.

        Raises:
            ConfigError: It is damaged or cannot be written.
        """
        from hubplug.files.space import reason_of
        from hubplug.files.staging import replace_file, taking_turns

        try:
            with taking_turns(self.path.absolute().parent):
                merged = replace(self, modules={**(read_pins(self.path) or {}), **self.added})
                with replace_file(self.path) as file:
                    file.write(pins_as_json(merged.modules).encode())
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written: {reason_of(error, self.path)}") from error
        return merged
