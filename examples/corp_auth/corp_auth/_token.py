"""Asks the token service when a request is about to be sent, and not before."""

from __future__ import annotations

import requests
import requests.auth

from hubplug.errors import AccessError
from hubplug.urls import redact


class TokenAuth(requests.auth.AuthBase):
    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        answer = requests.post(self._service, timeout=10)
        if not answer.ok:
            raise AccessError(
                f"The token service {redact(self._service)} answered {answer.status_code}",
                hint="sign on, and try again",
            )
        request.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        return request
