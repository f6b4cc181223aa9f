"""A stand-in of Kaggle's API, of its storage and of tfhub.dev, written from public documentation.

Kaggle's API: ``GET /api/v1/models/{owner}/{model}/{framework}/{variation}/get`` and ``.../{version}/download``, as in the
``endpoint`` of the requests of the package kagglesdk 0.1.38; errors are JSON with ``code`` and ``message``. tfhub.dev redirects to pages of
kaggle.com with ``?tfhub-redirect=true``, and to the list of all models for what is not there (openvino pull request #21169).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from tests.servers import Reply, Request, ScriptedServer, redirect

TOKEN = "KGAT_canary0123456789"
USER, KEY = "reader", "canary-key-0123"
BASIC = base64.b64encode(f"{USER}:{KEY}".encode()).decode()


class StandIn:
    """What Kaggle has, and what it was asked.

    Attributes:
        versions: Path of a model instance -> its archives, the first one version 1.
        gated: Paths whose licence has to be accepted.
        errors_with_200: Whether refusals have the status 200.
    """

    def __init__(self, server: ScriptedServer, storage: ScriptedServer, versions: Mapping[str, list[bytes]]) -> None:
        self.server = server
        self.storage = storage
        self.versions = versions
        self.gated: set[str] = set()
        self.errors_with_200 = False
        server.always(self.answer)
        for path, archives in versions.items():
            for number, archive in enumerate(archives, 1):
                storage.on(f"/{path}/{number}.tar.gz", Reply(body=archive, etag=f'"{number}"'))

    @property
    def endpoint(self) -> str:
        return self.server.url("")

    def answer(self, request: Request) -> Reply:
        parts = request.path.removeprefix("/api/v1/models/").split("/")
        path, rest = "/".join(parts[:4]), parts[4:]
        credentials = request.header("Authorization")
        if credentials not in (None, f"Bearer {TOKEN}", f"Basic {BASIC}"):
            return self.refuse(401, "Unauthenticated")
        if path not in self.versions:
            return self.refuse(404, f"Model instance {path} not found")
        if path in self.gated and credentials is None:
            return self.refuse(403, "Permission 'models.get' was denied: user consent is required")
        if rest == ["get"]:
            return self.json(
                {"id": 1, "slug": parts[3], "versionNumber": len(self.versions[path]), "licenseName": "Apache 2.0"}
            )
        if len(rest) == 2 and rest[1] == "download" and 0 < int(rest[0]) <= len(self.versions[path]):
            return redirect(self.storage.url(f"/{path}/{rest[0]}.tar.gz?X-Goog-Signature=canary-signature"))
        return self.refuse(404, "Version not found")

    def refuse(self, code: int, message: str) -> Reply:
        return self.json({"code": code, "message": message}, 200 if self.errors_with_200 else code)

    def json(self, content: object, status: int = 200) -> Reply:
        return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    @property
    def asked(self) -> list[str]:
        return [request.target for request in self.server.requests]
