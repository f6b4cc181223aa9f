"""Every error that hubplug raises on purpose.

    HubplugError
    ├── ConfigError (ValueError)              hubplug.yaml, an environment variable or an argument is wrong
    ├── MissingDependencyError (ImportError)  a package that this needs is not installed
    ├── PluginError (RuntimeError)            a plugin cannot be used, or broke the contract of a hook
    ├── HandleError (ValueError, OSError)     the text cannot be a handle
    ├── NobodyAnswered (RuntimeError)         no plugin of the chain takes this
    ├── FetchError (OSError)                  the module could not be brought here
    │   ├── MissingError                      nothing is at that place (a path, a 404)
    │   ├── AccessError                       the server refused (401, 403, 407)
    │   ├── IncompleteDownload                fewer bytes than announced
    │   │   └── SourceChanged                 not what it was when the transfer began; once more may succeed
    │   └── OfflineError                      the network would be needed and is switched off
    ├── ArchiveError (OSError, ValueError)    the archive is damaged or is not an archive at all
    │   └── UnsafeArchiveError                the archive asks for what no module needs
    ├── DigestMismatch (OSError)              what arrived is not what was pinned
    ├── CacheError (OSError)                  the cache directory cannot be used
    ├── FormatError (ValueError)              the files are not a module hubplug can read
    ├── UnknownTagsError (ValueError, KeyError)
    ├── UnknownSignatureError (ValueError, KeyError)
    ├── InputError (TypeError)                what was fed to a signature does not fit it
    ├── ExportError (RuntimeError)            the module could not be written
    │   └── OccupiedError                     something is there already, and stays as it is
    └── ValidationError (ValueError)          a module does not keep a profile that is demanded of it

Each member also inherits the builtin type that tensorflow_hub 0.15 raised in that place, so that an old ``except
ValueError`` keeps working. Those that must be a ``tf.errors`` type as well are defined by the plugin ``tf1``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_BREAKS = re.compile(r"\s*[\r\n]\s*")


def printable(text: str) -> str:
    """One line with everything a terminal would act on as an escape: control characters, and those that turn the reading
    direction. Names come from modules, too."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class HubplugError(Exception):
    """Base of all errors of hubplug.

    Attributes:
        message: What failed, on which object, with the values that disagree. One line.
        hint: The one thing to do next, or None.
    """

    # TensorFlow's autograph turns errors that it does not know into one of its own, unless they have this.
    ag_pass_through = True

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __setattr__(self, name: str, value: Any) -> None:
        # Names in archives, reasons of servers and texts of files end in messages, and these on terminals and in logs.
        if name in ("message", "hint") and isinstance(value, str):
            value = printable(_BREAKS.sub(" ", value))
        super().__setattr__(name, value)

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class ConfigError(HubplugError, ValueError):
    """hubplug.yaml, an environment variable or an argument has a value that is not valid.

    The message names the file, the key path, what was found and what is possible. ``hubplug config check`` tries a file
    with every plugin that it names; ``hubplug config schema`` lets an editor find such mistakes while you type.
    """


class MissingDependencyError(HubplugError, ImportError):
    """A package that only some of hubplug needs is not installed.

    The hint is the command that installs it.
    """

    # ImportError makes it an attribute of its own.
    name: str | None = None


class PluginError(HubplugError, RuntimeError):
    """A plugin cannot be imported or constructed, or broke the contract of a hook.

    The message names the plugin and the distribution that it came from: tell its authors. Until it is mended,
    ``HUBPLUG_DISABLE_PLUGINS=name`` or ``disabled: [name]`` leaves it out.
    """


class HandleError(HubplugError, ValueError, OSError):
    """The text cannot be a handle.

    A handle is a path or a URL. The hint says what was probably meant: a scheme that is misspelt, a URL without a host, a
    fragment that is not a pin.
    """


class NobodyAnswered(HubplugError, RuntimeError):
    """No plugin of the chain takes what it was asked for.

    The message lists who was asked and why each declined. Usually the plugin for that scheme is not in the chain
    (``hubplug plugins`` shows it), its package is not installed, or the directory is in a format that none reads.
    """


class FetchError(HubplugError, OSError):
    """The module could not be brought here.

    The message says which step failed: the name of the host, the connection, TLS, the proxy, or the answer of the server.
    ``hubplug explain HANDLE`` shows where the module was looked for, and whose credentials were used.
    """


class MissingError(FetchError):
    """Nothing is at the place that the handle names.

    A path that does not exist, or a server that says 404 or 410. Check the spelling and the version. A module that was
    withdrawn has to come from a mirror or from a cache that still has it.
    """


class AccessError(FetchError):
    """The server refused: 401, 403 or 407.

    The message says which server it was after redirects, and which rule of ``auth`` signed the request, if one did. Add or
    mend that rule, or the user and password of the proxy for 407.
    """


class IncompleteDownload(FetchError):
    """The transfer ended before the announced number of bytes had arrived.

    It was retried and resumed already, as often as ``retries`` says. A proxy on the way that cuts long answers, or a server
    that stops, has to be looked at; a mirror helps in the meantime. Nothing that is incomplete stays in the cache.
    """


class SourceChanged(IncompleteDownload):
    """What the server has now is not what the first bytes came from; fetching it from the start may succeed.

    Somebody published over a version while it was fetched. Ask again, and pin the digest of what you then have.
    """


class OfflineError(FetchError):
    """The network would be needed, and it is switched off.

    ``offline: true``, ``HUBPLUG_OFFLINE=1`` or ``--offline`` says so, and no cache has the module. Bring it with
    ``hubplug fetch`` or ``hubplug cache export`` on a machine with a network, and ``hubplug cache import`` here.
    """


class ArchiveError(HubplugError, OSError, ValueError):
    """The archive is damaged, truncated, or no archive at all.

    Servers answer with a page of HTML where they want a login or do not know the module: the message quotes its beginning. Where
    the archive itself is damaged, it has to be packed again (``hubplug pack``).
    """


class UnsafeArchiveError(ArchiveError):
    """The archive asks for what no module needs: a link, a name outside the module, more than the caps.

    Pack the module again with ``hubplug pack``, which writes nothing of that kind. A module that is really larger than the caps
    needs ``limits`` in hubplug.yaml.
    """


class DigestMismatch(HubplugError, OSError):
    """What arrived does not have the digest that was pinned.

    The message has both digests. Either the module was published again under the same version, or something between you
    and the server changes what it sends. Find out which before you pin the new one with ``hubplug lock``.
    """


class CacheError(HubplugError, OSError):
    """The cache directory, or an entry of it, cannot be used.

    The message names the path, and its owner and mode where these are the reason. Choose another directory with
    ``TFHUB_CACHE_DIR`` or the option ``dir``; ``hubplug cache verify`` finds damaged entries.
    """


class FormatError(HubplugError, ValueError):
    """The files are not a module that hubplug can read.

    The message names the file and what is wrong in it. ``hubplug validate --profile complete`` lists everything that is
    missing or damaged in a module.
    """


class UnknownTagsError(HubplugError, ValueError, KeyError):
    """The module has no graph variant with these tags.

    The message lists those that it has, and ``hubplug show HANDLE`` shows them. Most modules have one without tags, for
    inference; some have one with the tag ``train`` as well.
    """


class UnknownSignatureError(HubplugError, ValueError, KeyError):
    """The graph variant has no signature of this name.

    The message lists those that it has with inputs and outputs: give one as ``signature=``.
    """


class InputError(HubplugError, TypeError):
    """What was fed to a signature, or asked of it, does not fit it.

    The message says what is missing or too much, and which dtype and shape are expected. A signature with several inputs
    takes a dict; one without an output ``default`` needs ``as_dict=True``.
    """


class ExportError(HubplugError, RuntimeError):
    """The module could not be written.

    Nothing half-written stays behind, or the message names what could not be taken back. Where it speaks of the module itself
    (an asset, a signature), its definition has to change.
    """


class OccupiedError(ExportError):
    """Something is at the place that is to hold the module. Nothing there was touched.

    A version is published once. Export to the next one, or remove what is there yourself.
    """


class ValidationError(HubplugError, ValueError):
    """A module does not keep a profile that is demanded of it.

    The section ``validate`` of hubplug.yaml demands it of everything under a prefix. The findings say what is wrong; the
    module has to be mended by who publishes it, or the demand taken back.

    Attributes:
        findings: What was found, errors and warnings: a tuple of ``hubplug.Finding``.
    """

    def __init__(self, message: str, *, findings: Sequence[Any] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.findings = tuple(findings)


@contextmanager
def needs(package: str, extra: str) -> Iterator[None]:
    """Within it, a package that cannot be found is an error that says how to install it.

    Args:
        package: The import package, as ``tensorflow``.
        extra: The extra of hubplug that brings it.

    Raises:
        MissingDependencyError: In the place of a ModuleNotFoundError of that package.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        also = ", or hubplug[tensorflow-cpu] for a machine without a GPU" if extra == "tensorflow" else ""
        raise MissingDependencyError(
            f"This needs {package}, which is not installed", hint=f"pip install 'hubplug[{extra}]'{also}"
        ) from error
