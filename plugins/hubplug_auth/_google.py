"""Google's application default credentials for https URLs of Google storage."""

from __future__ import annotations

from typing import Any

from hubplug.errors import AccessError, ConfigError
from hubplug.files.locks import ForkLock
from hubplug_auth._signers import Signer

_READ_ONLY = "https://www.googleapis.com/auth/devstorage.read_only"


class GoogleCredentials(Signer):
    """Signs with the credentials that google-auth finds: a key file, gcloud's login, the machine's own."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"Google application default credentials, rule for {rule}")
        self._rule = rule
        self._lock = ForkLock()
        self._credentials: Any = None

    def __call__(self, request: Any) -> Any:
        try:
            import google.auth
            from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
            from google.auth.transport.requests import Request
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"The Google rule for {self._rule} needs {error.name}, which is not installed",
                hint="pip install 'hubplug[gcs]'",
            ) from None
        problem = hint = None
        headers: dict[str, str] = {}
        with self._lock:
            try:
                if self._credentials is None:
                    self._credentials, _ = google.auth.default(scopes=[_READ_ONLY])
                self._credentials.before_request(Request(), request.method, request.url, headers)
            except DefaultCredentialsError:
                problem = "there are none"
                hint = "gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS to a key file"
            except GoogleAuthError as error:
                problem = f"Google gave no token for them ({type(error).__name__})"
                hint = "check that the account exists and its key has not expired"
        if problem is not None:
            raise AccessError(
                f"Google application default credentials, rule for {self._rule}: {problem}; the request was not sent",
                hint=hint,
            )
        request.headers.update({name.title(): value for name, value in headers.items()})
        return request
