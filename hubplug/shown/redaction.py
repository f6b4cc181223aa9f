"""How secrets are kept out of what people see: options, messages, and what servers and libraries say.

What is known to be a secret is taken out wherever it stands; what comes from others may hold more, so that is looked through for
what its name gives away. Nothing else does this but ``hubplug.urls.redaction``, for URLs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hubplug.urls import redact, redact_all, scheme_of

HIDDEN = "***"
_SECRET_WORDS = ("token", "password", "secret", "header", "key", "credential", "username", "auth")
# They name a place where the secret is, not the secret.
_PLACES = ("_env", "_file", "_command", "_url", "_name")
_SHORTEST_SECRET = 4
_LONGEST_EXCERPT = 100
_LEAST_SHARE_OF_TEXT = 0.9
_NAMED = re.compile(
    r"(?i)\b((?:access_?|id_?|refresh_?)?token|(?:client_?)?secret|password|passwd|signature|sig|credential|authorization|account_?key|api_?key)"
    r"(['\"]?\s*[=:]\s*['\"]?)(?:bearer\s+|basic\s+)?[^\s'\",;&)}]+"
)


def is_secret_name(name: str) -> bool:
    """Whether an option of this name holds a secret, as far as one can tell."""
    lowered = name.lower()
    # "value" is that of a header, in a rule of the plugin auth.
    return lowered == "value" or (any(word in lowered for word in _SECRET_WORDS) and not lowered.endswith(_PLACES))


def without_secrets(value: Any, name: str = "") -> Any:
    """The value of an option as it may be shown: ``${...}`` stays, what stands under a secret's name does not."""
    if isinstance(value, Mapping):
        return {key: without_secrets(item, key if not is_secret_name(name) else name) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_secrets(item, name) for item in value]
    if is_secret_name(name) and value is not None and not isinstance(value, bool):
        is_reference = isinstance(value, str) and value.startswith("${") and value.endswith("}")
        return value if is_reference else HIDDEN
    if isinstance(value, str):
        return redact(value) if scheme_of(value) else redact_all(value)
    return value


def secrets_in(options: Any, raw: Any = None, name: str = "") -> frozenset[str]:
    """The secrets among options.

    Args:
        options: With references expanded.
        raw: The same as they are in the file: what differs came from the environment.
        name: What the options themselves are called.
    """
    return frozenset(_secrets(options, raw, name))


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """A text of our own without these secrets, and without those of its URLs."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return redact_all(text)


def scrub_foreign(text: str, secrets: Iterable[str] = ()) -> str:
    """What a server or a library says, without these secrets, those of its URLs, and what it names: ``token=...``."""
    return _NAMED.sub(rf"\1\2{HIDDEN}", scrub(text, secrets))


def excerpt(start: bytes, secrets: Iterable[str] = ()) -> str:
    """The first line of what a server sent, as it may be shown; empty for what is not a text."""
    text = start.decode("utf-8", "replace")
    readable = sum(c != "\ufffd" and (c.isprintable() or c in "\r\n\t") for c in text)
    if readable < _LEAST_SHARE_OF_TEXT * len(text):
        return ""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return "".join(c for c in scrub_foreign(line, secrets) if c.isprintable())[:_LONGEST_EXCERPT]


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """The exception and all that it is made from: libraries put them into causes, contexts, arguments and ``reason``."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            related = [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
            waiting.extend(other for other in related if isinstance(other, BaseException))


def showable_cause(error: BaseException, secrets: Iterable[str]) -> BaseException | None:
    """A foreign error as the cause of another one; None where a traceback of it would show a secret."""
    said = [str(one) for one in causes_of(error)]
    return error if said == [scrub_foreign(text, secrets) for text in said] else None


def _secrets(value: Any, raw: Any, name: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            inner = raw.get(key) if isinstance(raw, Mapping) else None
            yield from _secrets(item, inner, name if is_secret_name(name) else str(key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            inner = raw[index] if isinstance(raw, (list, tuple)) and index < len(raw) else None
            yield from _secrets(item, inner, name)
    elif (
        isinstance(value, str)
        and len(value) >= _SHORTEST_SECRET
        and (is_secret_name(name) or (isinstance(raw, str) and raw != value))
    ):
        yield value
