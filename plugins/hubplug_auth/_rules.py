"""What a rule of the configuration means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from hubplug.errors import ConfigError
from hubplug.shown.words import nearest
from hubplug.urls import find_prefix_error, find_url_error, normal_form, redact, scheme_of
from hubplug_auth._secret import SOURCES, Secret, command_words
from hubplug_auth._signers import Basic, Bearer, CredentialHelper, Header, Netrc, Signer

GOOGLE_STORAGE = "https://storage.googleapis.com/"
_TOKEN_CHARACTERS = set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")  # RFC 9110


@dataclass(frozen=True, eq=False)
class Rule:
    """What signs requests under a prefix.

    Attributes:
        prefix: Of URLs.
        signer: What signs.
    """

    prefix: str
    signer: Signer


def read_rule(rule: Mapping[str, Any], key_path: str) -> Rule:
    """Reads one rule.

    Raises:
        ConfigError: It says no way to sign, or several, or something else is not valid. Values are not shown.
    """
    kinds = [kind for kind in _KINDS if any(kind + end in rule for end in (SOURCES if kind == "token" else ("",)))]
    if len(kinds) != 1:
        got = " and ".join(kinds) if kinds else "none"
        raise ConfigError(
            f"{key_path}: expected one way to sign, got {got}",
            hint="one of token_env, username and password_env, credential_command, netrc, header and value_env, "
            "token_url and client_id, google",
        )
    kind = kinds[0]
    read, secret, others = _KINDS[kind]
    keys = {"prefix", kind, *others.split(), *(secret + source for source in SOURCES if secret)}
    if foreign := [key for key in rule if key not in keys]:
        problem = f"this is for another way to sign than {kind}"
        raise ConfigError(f"{key_path}.{foreign[0]}: {problem}", hint=nearest(foreign[0], sorted(keys)))
    prefix = rule.get("prefix", GOOGLE_STORAGE if kind == "google" else "")
    if not _is_http(prefix) or find_prefix_error(prefix):
        # Nothing would lie under it, and requests would go out unsigned.
        raise ConfigError(
            f"{key_path}.prefix: expected the beginning of an http(s) URL, got {repr(redact(prefix)) if prefix else 'none'}",
            hint="write it with its scheme and host: https://hub.example.com/",
        )
    return Rule(prefix, read(rule, redact(prefix), key_path))


def _bearer(rule: Mapping[str, Any], prefix: str, key_path: str) -> Signer:
    return Bearer(Secret.from_option("token", rule, prefix, key_path))


def _basic(rule: Mapping[str, Any], prefix: str, key_path: str) -> Signer:
    username = _text(rule, "username", key_path)
    if ":" in username:
        raise ConfigError(f"{key_path}.username: a user name has no colon")
    return Basic(username, Secret.from_option("password", rule, prefix, key_path))


def _helper(rule: Mapping[str, Any], prefix: str, key_path: str) -> Signer:
    return CredentialHelper(command_words(rule["credential_command"], f"{key_path}.credential_command"), prefix)


def _netrc(rule: Mapping[str, Any], prefix: str, key_path: str) -> Signer:
    path = rule["netrc"]
    if not path:
        raise ConfigError(f"{key_path}.netrc: expected true or a path, got {path!r}")
    return Netrc(None if path is True else path, prefix)


def _header(rule: Mapping[str, Any], prefix: str, key_path: str) -> Signer:
    name = _text(rule, "header", key_path)
    if not set(name) <= _TOKEN_CHARACTERS:
        raise ConfigError(f"{key_path}.header: expected the name of a header")
    return Header(name, Secret.from_option("value", rule, prefix, key_path))


def _oauth2(rule: Mapping[str, Any], prefix: str, key_path: str) -> Signer:
    from hubplug_auth._oauth2 import ClientCredentials

    if not _is_address(rule["token_url"]):
        raise ConfigError(f"{key_path}.token_url: expected an http(s) URL")
    extra = {name: _text(rule, name, key_path) for name in ("scope", "audience") if name in rule}
    return ClientCredentials(
        rule["token_url"],
        _text(rule, "client_id", key_path),
        Secret.from_option("client_secret", rule, prefix, key_path),
        extra=extra,
        in_body=rule.get("client_auth") == "body",
        ca_bundle=_text(rule, "ca_bundle", key_path) if "ca_bundle" in rule else None,
    )


def _google(rule: Mapping[str, Any], prefix: str, key_path: str) -> Signer:
    from hubplug_auth._google import GoogleCredentials

    if rule["google"] is not True:
        raise ConfigError(f"{key_path}.google: expected true, got {rule['google']!r}")
    return GoogleCredentials(prefix)


# By the key that tells the way to sign: what reads it, the secret that it takes, its other keys.
_KINDS: Mapping[str, tuple[Callable[[Mapping[str, Any], str, str], Signer], str, str]] = {
    "token": (_bearer, "token", ""),
    "username": (_basic, "password", ""),
    "credential_command": (_helper, "", ""),
    "netrc": (_netrc, "", ""),
    "header": (_header, "value", ""),
    "token_url": (_oauth2, "client_secret", "client_id scope audience client_auth ca_bundle"),
    "google": (_google, "", ""),
}


def _text(rule: Mapping[str, Any], key: str, key_path: str) -> str:
    value: str = rule.get(key, "")
    if not value or any(c < " " for c in value):
        raise ConfigError(f"{key_path}.{key}: expected a non-empty string")
    return value


def _is_http(value: str) -> bool:
    return scheme_of(value).lower() in ("http", "https")


def _is_address(value: str) -> bool:
    if not _is_http(value) or " " in value or find_url_error(value):
        return False
    return "@" not in urlsplit(normal_form(value)).netloc
