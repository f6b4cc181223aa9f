"""Credentials for URL prefixes, out of the configuration.

This package decides which rule signs a request. A rule whose secret cannot be had is an error: a request that was meant to
be signed is never sent unsigned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from hubplug.errors import ConfigError
from hubplug.hookspecs import hookimpl
from hubplug.types import AuthRequest, Declined
from hubplug.urls import covering, normal_form, redact
from hubplug_auth._options import RuleOptions

if TYPE_CHECKING:
    from hubplug_auth._rules import Rule

# Query parameters that make a URL its own credential: Amazon, Google, Azure and CloudFront.
_SIGNATURES = frozenset({"x-amz-signature", "x-goog-signature", "signature", "sig"})


class Credentials:
    """The plugin ``auth``: signs HTTP requests under URL prefixes.

    ::

        auth:
          options:
            rules:
              - {prefix: "https://hub.example.com/", token_env: CORP_TOKEN}
              - {prefix: "https://hub.example.com/vision/", username: reader, password_file: /run/secrets/vision}
    """

    trusted_options: ClassVar[Sequence[str]] = ("rules",)

    def __init__(self, *, rules: Sequence[RuleOptions] = ()) -> None:
        """Checks the rules; reads no secret yet.

        Args:
            rules: Each has a ``prefix`` and says one way to sign. Of several that cover a URL the longest prefix wins.
                A secret ``S`` is given as ``S_env`` (name of an environment variable), ``S_file`` (path), ``S_command``
                (a command line or list; the first line that it prints) or ``S`` itself.

                - ``token``: ``Authorization: Bearer``.
                - ``username`` and the secret ``password``: basic authentication.
                - ``credential_command``: a git credential helper, asked with ``get``; basic authentication.
                - ``netrc: true`` or a path: basic authentication with the entry of the host.
                - ``header`` (its name) and the secret ``value``.
                - ``token_url``, ``client_id``, the secret ``client_secret``; if need be ``scope``, ``audience``,
                  ``ca_bundle``, ``client_auth: body``: OAuth2 client credentials (RFC 6749, section 4.4).
                - ``google: true``: Google's application default credentials; the prefix may be left out.

        Raises:
            ConfigError: A rule is not valid.
        """
        if not rules:
            self._rules: list[Rule] = []
            return
        from hubplug_auth._rules import read_rule

        self._rules = [read_rule(rule, f"rules[{index}]") for index, rule in enumerate(rules)]
        seen: set[str] = set()
        for index, rule in enumerate(self._rules):
            prefix = normal_form(rule.prefix).rstrip("/")
            if prefix in seen:
                raise ConfigError(f"rules[{index}]: there is a rule for {redact(rule.prefix)} already")
            seen.add(prefix)

    @hookimpl
    def hubplug_auth(self, request: AuthRequest) -> Callable[[Any], Any] | Declined | None:
        if not self._rules:
            return None
        prefix = covering(request.url, [rule.prefix for rule in self._rules])
        if prefix is None:
            return Declined("no rule covers this URL")
        if request.redirected_from is not None and _is_signed(request.url):
            return Declined("the URL is signed already, and a second signature would break the first")
        return next(rule.signer for rule in self._rules if rule.prefix == prefix)

    def describe_state(self) -> dict[str, object]:
        """What a support ticket should say of the rules: where each takes its secret, and whether there is one."""
        return {
            **{rule.signer.hubplug_rule: rule.signer.hubplug_problem or "set" for rule in self._rules},
            "problems": self.find_problems(),
        }

    def find_problems(self) -> list[str]:
        """What the rules lack at the moment, as far as that shows without a request or a command: ``config check`` says it."""
        return [
            f"{rule.signer.hubplug_rule}: {problem}" for rule in self._rules if (problem := rule.signer.hubplug_problem)
        ]


def _is_signed(url: str) -> bool:
    names = {part.partition("=")[0].lower() for part in urlsplit(url).query.split("&")}
    return not names.isdisjoint(_SIGNATURES)
