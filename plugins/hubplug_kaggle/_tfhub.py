"""Where the models of tfhub.dev are on Kaggle.

There is no rule: ``deepmind/i3d-kinetics-400/1`` is ``deepmind/i3d-kinetics/tensorFlow1/400/1``. tfhub.dev itself redirects, and a table
has the moves that public documents tell of, each with the document, so that they are known when tfhub.dev is gone.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from hubplug.errors import FetchError, MissingError
from hubplug.urls import redact, under_prefix
from hubplug.web import Network
from hubplug_kaggle._address import Address

TABLE = Path(__file__).with_name("tfhub_moves.tsv")
DELETED = Path(__file__).with_name("tfhub_deleted.txt")
_MOST_HOPS = 5
_KAGGLE = ("https://www.kaggle.com", "https://kaggle.com")
_GONE = "what was not moved to Kaggle by March 18, 2024 was deleted; only someone who has a copy can help"


def place_in_table(path: str) -> str | None:
    """The ``kaggle://`` handle of a model, or None where the table does not have it.

    Args:
        path: Of its URL at tfhub.dev, with the version: ``google/nnlm-en-dim50/1``.
    """
    found = _moves().get(path)
    return None if found is None else f"kaggle://{found}"


def find_deletion(path: str) -> MissingError | None:
    """The error for a model that is known to be deleted."""
    name = path.rpartition("/")[0] if path.rpartition("/")[2].isdigit() else path
    return _deleted_error(path) if name in _deletions() else None


def moved_to(path: str, tfhub: str, endpoint: str, auth_for: Network) -> str:
    """Asks tfhub.dev.

    Args:
        path: As for ``place_in_table``.
        tfhub: The server that is asked.
        endpoint: Of Kaggle.
        auth_for: What asks.

    Raises:
        MissingError: It was deleted, or there was never such a model.
        FetchError: The server says something else.
    """
    url = f"{tfhub}/{path}"
    for _ in range(_MOST_HOPS):
        answer = auth_for.send(url, follow=False)
        if isinstance(answer.error, MissingError):
            raise _deleted_error(path)
        if answer.error is not None:
            raise answer.error
        if answer.location is None:
            break
        if any(under_prefix(answer.location, f"{kaggle}/models") for kaggle in (endpoint, *_KAGGLE)):
            return _on_kaggle(path, answer.location)
        if not under_prefix(answer.location, f"{tfhub}/"):
            raise FetchError(
                f"{redact(url)} leads to {redact(answer.location)}, which is not Kaggle",
                hint="ask for it on Kaggle: kaggle://owner/model/framework/variation/version",
            )
        url = answer.location
    raise FetchError(
        f"{redact(url)} does not say where it is on Kaggle",
        hint="look for it on kaggle.com/models, and ask for kaggle://owner/model/framework/variation/version",
    )


def _on_kaggle(path: str, location: str) -> str:
    if urlsplit(location).path.strip("/") == "models":  # the list of all models: there is none in its place
        raise _deleted_error(path)
    address = Address.of_page(location)
    if address is None or address.version is None:
        raise FetchError(
            f"tfhub.dev leads from {path} to {redact(location)}, which names no version of one model",
            hint="choose one there, and ask for kaggle://owner/model/framework/variation/version",
        )
    return str(address)


def _deleted_error(path: str) -> MissingError:
    return MissingError(f"https://tfhub.dev/{path} is not on Kaggle, so it was deleted or never there", hint=_GONE)


@cache
def _moves() -> dict[str, str]:
    return {fields[0]: fields[1] for fields in rows_of(TABLE)}


@cache
def _deletions() -> frozenset[str]:
    return frozenset(fields[0] for fields in rows_of(DELETED))


def rows_of(table: Path) -> list[list[str]]:
    """The rows of a table: lines with tabs between the fields; ``#`` begins a comment."""
    lines = table.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]
