"""Asks the token service when a request is about to be sent, and not before."""

from __future__ import annotations

import requests
import requests.auth

from hubplug.errors import AccessError, FetchError
from hubplug.urls import redact


class TokenAuth(requests.auth.AuthBase):
    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        try:
            answer = requests.post(self._service, timeout=10)
        except requests.RequestException as error:
            raise FetchError(
                f"The token service {redact(self._service)} cannot be reached ({type(error).__name__})",
                hint="is the company's network there?",
            ) from None
        if not answer.ok:
            raise AccessError(
                f"The token service {redact(self._service)} answered {answer.status_code}",
                hint="sign on, and try again",
            )
        try:
            request.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        except (ValueError, KeyError, TypeError):
            raise FetchError(
                f"The token service {redact(self._service)} gave no token", hint="is this its address?"
            ) from None
        return request
