"""The page about hooks, from the docstrings of hubplug.hookspecs."""

from __future__ import annotations

import inspect
import re
import textwrap

from hubplug import hookspecs

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("hubplug_"))
SECTIONS = ("Args", "Returns", "Order", "Guarantees")
_TITLES = {"Args": "Arguments", "Returns": "Answer", "Order": "When it is asked", "Guarantees": "Guarantees"}


def all_hooks() -> str:
    """Summary, rules, a table, and a section for each hook."""
    summary, _, rules = (inspect.getdoc(hookspecs) or "").partition("\n\n")
    lines = [
        summary,
        "",
        markup(rules),
        "",
        "| hook | it decides |",
        "|---|---|",
        *(f"| [`{hook}`](#{hook}) | {markup(parts(hook)['summary'])} |" for hook in HOOKS),
        "",
    ]
    for hook in HOOKS:
        lines += section(hook)
    return "\n".join(lines).rstrip() + "\n"


def section(hook: str) -> list[str]:
    """The lines about one hook."""
    found = parts(hook)
    function = getattr(hookspecs, hook)
    signature = str(inspect.signature(function)).replace("'", "")
    first = function.hubplug_spec["firstresult"]
    lines = [f"## {hook}", "", "```text", f"{hook}{signature}", "```", "", markup(found["summary"]), ""]
    if found["text"]:
        lines += [markup(found["text"]), ""]
    lines += ["```python", found["example"], "```", ""]
    for name in filter(found.get, SECTIONS):
        body = found[name]
        if name == "Args":
            body = "\n".join(f"- `{key}`: {' '.join(value.split())}" for key, value in arguments_of(body))
        elif name == "Order":
            body += "\n\n" + ("The first answer counts." if first else "All answers count.")
        lines += [
            f"**{_TITLES[name]}.** " + markup(body) if name != "Args" else f"**{_TITLES[name]}.**\n\n{markup(body)}",
            "",
        ]
    return lines


def parts(hook: str) -> dict[str, str]:
    """The parts of a hook's docstring: summary, text, example, and its sections.

    Raises:
        ValueError: One is missing.
    """
    document = inspect.getdoc(getattr(hookspecs, hook)) or ""
    pieces = re.split(rf"^({'|'.join(SECTIONS)}):\n", document, flags=re.MULTILINE)
    found = {name: textwrap.dedent(body).strip() for name, body in zip(pieces[1::2], pieces[2::2], strict=True)}
    found["summary"], _, rest = pieces[0].partition("\n\n")
    text, marker, example = rest.partition("::\n\n")
    found["text"] = text.strip() + (":" if text.strip() else "")
    found["example"] = textwrap.dedent(example).strip("\n") if marker else ""
    needed = ["summary", "example", *SECTIONS]
    if not inspect.signature(getattr(hookspecs, hook)).parameters:
        needed.remove("Args")
    for name in needed:
        if not found.get(name):
            raise ValueError(f"the documentation of {hook} has no {name}")
    return found


def arguments_of(body: str) -> list[tuple[str, str]]:
    """Names and descriptions of the section Args."""
    return re.findall(r"^(\w+): (.*?)(?=^\w+: |\Z)", body, flags=re.MULTILINE | re.DOTALL)


def markup(text: str) -> str:
    """Docstring markup as Markdown."""
    return text.replace("``", "`")
