"""Which options of a plugin hold secrets, and how they are kept out of messages and of ``hubplug config show``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hubplug.urls import redact, redact_all, scheme_of

HIDDEN = "***"
_SECRET_WORDS = ("token", "password", "secret", "header", "key", "credential", "username", "auth")
# They name a place where the secret is, not the secret.
_PLACES = ("_env", "_file", "_command", "_url", "_name")
_SHORTEST_SECRET = 4


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


def scrub(text: str, options: Mapping[str, Any], raw: Mapping[str, Any]) -> str:
    """A plugin's message without the secrets among its options.

    Args:
        text: The message.
        options: The options, with references expanded.
        raw: The same as they are in the file: what differs came from the environment.
    """
    text = redact_all(text)
    for secret in sorted(set(_secrets(options, raw, "")), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


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
