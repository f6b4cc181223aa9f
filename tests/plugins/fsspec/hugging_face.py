"""A stand-in of the Hugging Face Hub, written from what huggingface_hub asks and from its documentation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from urllib.parse import unquote

from tests.servers import Reply, Request, ScriptedServer, redirect

TOKEN = "hf_canary0123456789abcdef"
REPOSITORY = "team/model"


class StandIn:
    """One repository.

    Attributes:
        commits: Commit -> its files.
        branches: Branch or tag -> commit.
        gated: Whether a token is demanded, and conditions have to be accepted.
        private: Whether it is hidden from those without a token.
        storage: Where large files are.
        large: Suffixes of what is in git LFS.
    """

    large = (".pb", ".tar", "-of-00001")

    def __init__(self, server: ScriptedServer, storage: ScriptedServer | None = None) -> None:
        self.server = server
        self.storage = storage
        self.commits: dict[str, Mapping[str, bytes]] = {}
        self.branches: dict[str, str] = {}
        self.gated = self.private = False
        server.always(self.answer)

    def push(self, branch: str, files: Mapping[str, bytes]) -> str:
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits[commit], self.branches[branch] = files, commit
        return commit

    def answer(self, request: Request) -> Reply:
        token = request.header("Authorization")
        if token not in (None, f"Bearer {TOKEN}"):
            return self.error(401, "Invalid credentials", "")
        path = unquote(request.path)
        if (self.private and token is None) or REPOSITORY not in path:
            return self.error(401 if token is None else 404, "Repository not found", "RepoNotFound")
        if self.gated and token is None:
            return self.error(401, "Access to model team/model is restricted", "GatedRepo")
        if path.startswith("/api/models/"):
            return self.api(path.removeprefix(f"/api/models/{REPOSITORY}"))
        _, _, rest = path.partition("/resolve/")
        revision, _, name = rest.partition("/")
        content = self.files(revision).get(name) if self.files(revision) is not None else None
        if content is None:
            return self.error(404, "Entry not found", "EntryNotFound")
        if self.storage is not None:
            self.storage.on(f"/{name}", Reply(body=content, etag='"1"', ranges=True))
            return redirect(self.storage.url(f"/{name}?X-Amz-Signature=canary"))
        return Reply(
            body=content, etag='"1"', ranges=True, headers={"X-Repo-Commit": self.branches.get(revision, revision)}
        )

    def api(self, rest: str) -> Reply:
        kind, _, after = rest.strip("/").partition("/")
        revision, _, folder = after.partition("/")
        revision = revision or "main"
        commit = self.branches.get(revision, revision)
        if commit not in self.commits:
            return self.error(404, "Revision not found", "RevisionNotFound")
        if kind in ("", "revision"):
            return self.json(
                {"id": REPOSITORY, "modelId": REPOSITORY, "sha": commit, "siblings": [], "tags": [], "private": False}
            )
        if kind == "tree":
            return self.json(self.tree(self.commits[commit], folder.strip("/")))
        return self.error(404, "not found", "")

    def tree(self, files: Mapping[str, bytes], folder: str) -> list[object]:
        inside = f"{folder}/" if folder else ""
        found: dict[str, dict[str, object]] = {}
        for name, content in files.items():
            if name.startswith(inside):
                first, slash, _ = name[len(inside) :].partition("/")
                entry = {"type": "directory", "size": 0} if slash else {"type": "file", "size": len(content)}
                found[first] = {**entry, "path": inside + first, "oid": hashlib.sha1(content).hexdigest()}
                if not slash and first.endswith(self.large):
                    sha256 = hashlib.sha256(content).hexdigest()
                    found[first]["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
        return list(found.values())

    def files(self, revision: str) -> Mapping[str, bytes]:
        return self.commits.get(self.branches.get(revision, revision), {})

    def error(self, status: int, message: str, code: str) -> Reply:
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        return Reply(status, json.dumps({"error": message}).encode(), {"Content-Type": "application/json", **headers})

    def json(self, content: object) -> Reply:
        return Reply(body=json.dumps(content).encode(), headers={"Content-Type": "application/json"})
