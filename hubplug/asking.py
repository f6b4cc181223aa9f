"""How plans ask servers: who signs a request, who sends it, and what was said last about a handle that means the latest.

A socket is opened only by a plan that says so, and none when hubplug is offline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hubplug.chain import Answer, Chain, blamed, member_of, mistake_of
from hubplug.errors import OfflineError
from hubplug.files.answers import KnownAnswer, last_answer
from hubplug.settings.config import Config
from hubplug.settings.trust import refuse_leak
from hubplug.types import AuthRequest, Handle
from hubplug.urls import redact
from hubplug.web import WebAnswer, WebRequest


class Asker:
    """What plans get as ``auth_for``: a ``hubplug.web.Network``."""

    def __init__(self, chain: Chain, config: Config, handle: Handle, text: str) -> None:
        """Asks on behalf of a handle; what may be a secret in ``text``, its location, goes to no other server."""
        self._chain = chain
        self._config = config
        self._handle = handle
        self._text = text

    def __call__(self, url: str, redirected_from: str | None = None, /) -> Any:
        if redirected_from is None:  # a mirror; where else to ask, the server itself may say
            refuse_leak(self._text, url, self._config)
        answer = self._chain.ask("hubplug_auth", AuthRequest(url, self._handle, redirected_from))
        return None if answer.member is None else _Signer(answer)

    def send(self, url: str, *, follow: bool = True) -> WebAnswer:
        refuse_leak(self._text, url, self._config)
        request = WebRequest(url, self._handle, follow)
        answer = self._chain.ask_or_raise("hubplug_send", f"a request to {redact(url)}", request)
        refuse_network(answer, self._handle, self._config)
        said: WebAnswer = answer.run(Asker(self._chain, self._config, self._handle, url), expect=(WebAnswer,))
        return said


def refuse_network(answer: Answer, handle: Handle, config: Config, looked: Sequence[tuple[str, str]] = ()) -> None:
    """Refuses a plan that opens sockets, when hubplug is offline.

    Raises:
        OfflineError: Says who was asked before: ``looked``, and those who declined.
    """
    if not (answer.value.network and config.offline):
        return
    where = "".join(f"; {name}: {reason}" for name, reason in (*looked, *answer.declined))
    raise OfflineError(
        f"{handle.original} is not here, and hubplug is offline: it would have to {answer.value.what}{where}",
        hint=f"where there is a network: hubplug resolve '{handle.original}', then hubplug cache export",
    )


def known_answer(answer: Answer, handle: Handle, config: Config) -> KnownAnswer | None:
    """What the plan of this plugin named for a handle when it was run last."""
    return last_answer(config.answers_path, member_of(answer).name, handle)


class _Signer:
    """What a plugin signs a request with; what it returns is checked, and its errors are its own."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.hubplug_rule = getattr(answer.value, "hubplug_rule", type(answer.value).__name__)
        self.hubplug_hint = getattr(answer.value, "hubplug_hint", None)

    def __call__(self, request: Any) -> Any:
        member = member_of(self._answer)
        try:
            signed = self._answer.value(request)
        except Exception as error:
            raise blamed(error, member, "signing a request") from error
        if not isinstance(signed, type(request)):
            raise mistake_of(
                member,
                f"has a signer that returned {type(signed).__name__}, expected the {type(request).__name__} it was given",
            )
        return signed
