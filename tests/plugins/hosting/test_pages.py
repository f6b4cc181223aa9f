"""What a person or a program is shown: lists, modules as directories and as archives, and what there is not."""

from __future__ import annotations

import io
import json
import re
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hubplug_format import ModuleBuilder, write_module
from hubplug_hosting import ModuleServer, pack_module
from tests.plugins.hosting.asking import Answer, ask
from tests.plugins.hosting.trees import make_module, make_saved_model

JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html,application/xhtml+xml"}


def data(server: ModuleServer, path: str) -> Any:
    answer = ask(server, path, **JSON)
    assert answer.headers["Content-Type"] == "application/json", answer.body
    return json.loads(answer.body)


def until(server: ModuleServer, path: str, is_there: Callable[[Any], bool]) -> Any:
    """The data of a module as soon as it says what is waited for."""
    for _ in range(400):
        found = data(server, path)
        if is_there(found):
            return found
        threading.Event().wait(0.1)
    raise AssertionError(f"{path} never said so")


def checked(server: ModuleServer, path: str) -> Any:
    return until(server, path, lambda found: found.get("checks") is not None)


@pytest.mark.parametrize("path", ["/publisher/model/1", "/publisher/model/10", "/publisher/model", "/publisher/plain"])
def test_the_page_of_a_module_says_what_it_takes_and_gives(path, server):
    page = ask(server, path)
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    for word in ("TF1 Hub format", "default", "float32", "[?, 2]", "<code>w</code>", "hub.Module(", server.url, "<svg"):
        assert word in page.text
    archive = ask(server, re.search(r'<a class="get" href="([^"]*)"', page.text)[1])
    assert archive.headers["ETag"].strip('"') in page.text


def test_nothing_on_a_page_comes_from_elsewhere_and_no_script_but_its_own_runs(server):
    page = ask(server, "/publisher/model/1")
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"""\son[a-z]+=|<[^>]*\sstyle=|src=|<link(?! rel="icon" href="data:)""", page.text)


def test_the_same_is_there_for_a_program(server):
    found = checked(server, "/publisher/model")
    assert (found["name"], found["version"], found["versions"]) == ("publisher/model/10", "10", ["10", "9", "1"])
    assert found["handle"] == server.url + "publisher/model/10"
    archive = ask(server, "/" + found["archive"]["path"])
    assert archive.headers["ETag"] == f'"{found["archive"]["sha256"]}"'
    assert len(archive.body) == found["archive"]["size"]
    assert found["pinned_handle"] == f"{found['handle']}#sha256={found['archive']['sha256']}"
    assert found["module"]["variants"][0]["signatures"]["default"]["inputs"] == {
        "x": {"dtype": "float32", "shape": [None, 2], "kind": "dense"}
    }
    assert found["module"]["variables"]["listed"] == [{"name": "w", "dtype": "float32", "shape": [2, 2]}]
    files = {file["path"]: file["size"] for file in found["module"]["files"]}
    assert files["assets/vocabulary.txt"] == len(b"one\ntwo\n")
    assert {name: check["state"] for name, check in found["checks"].items() if name in ("safe", "complete")} == {
        "complete": "kept",
        "safe": "kept",
    }


def test_a_page_and_data_are_told_apart_by_caches(server):
    for path in ("/", "/publisher/model/1"):
        for headers in (HTML, JSON):
            assert "Accept" in ask(server, path, **headers).headers["Vary"]


def test_the_common_signatures_that_it_keeps_are_said(tree):
    builder = ModuleBuilder()
    texts = builder.placeholder("texts", "string", [None])
    vectors = builder.placeholder("vectors", "float32", [None, 8])
    builder.signature(inputs={"text": texts}, outputs={"default": vectors})
    write_module(tree / "publisher/text/1", builder)
    with ModuleServer(tree) as server:
        found = checked(server, "/publisher/text/1")
        assert found["checks"]["text-feature-vector"]["state"] == "kept"
        assert found["checks"]["image-feature-vector"]["state"] == "not kept"
        text = ask(server, "/publisher/text/1").text
    assert "✓ text-feature-vector" in text
    assert "image-feature-vector" not in text


def test_a_module_that_is_not_safe_says_so(tree):
    builder = ModuleBuilder()
    name = builder.placeholder("name", "string", [])
    content = builder.node("ReadFile", [name], {}, shape=[])
    builder.signature(inputs={"name": name}, outputs={"default": content})
    write_module(tree / "publisher/reader/1", builder)
    with ModuleServer(tree) as server:
        assert checked(server, "/publisher/reader/1")["checks"]["safe"]["state"] == "not kept"
        text = ask(server, "/publisher/reader/1").text
    assert "✗ not safe" in text
    assert "safe/reads-files" in text


def test_a_tf2_saved_model_is_shown_as_one(tree):
    make_saved_model(tree / "publisher/eager/1")
    with ModuleServer(tree) as server:
        page = ask(server, "/publisher/eager/1")
        found = data(server, "/publisher/eager/1")["module"]
    assert found["format"] == "TF2 SavedModel"
    assert list(found["variants"][0]["signatures"]) == ["serving_default"]
    assert "__saved_model_init_op" not in page.text
    assert found["variables"]["count"] == 1
    assert found["variables"]["listed"] == [{"name": "dense/kernel", "dtype": "float32", "shape": [2]}]
    assert "hub.load(" in page.text
    assert "hub.Module(" not in page.text


def test_the_documentation_of_the_publisher_is_shown_from_inside_and_from_beside(tree, tmp_path):
    inside = make_module(tmp_path / "inside")
    (inside / "README.md").write_text("# From inside\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    pack_module(inside, tree / "publisher/model/20.tar.gz")
    (tree / "publisher/model/9.md").write_text("From *beside*.")
    with ModuleServer(tree) as server:
        text = ask(server, "/publisher/model/20").text
        assert "<h3>From inside</h3>" in text
        assert "<td>2</td>" in text
        assert "From <em>beside</em>." in ask(server, "/publisher/model/9").text
        (tree / "publisher/model/README.md").write_text("Of all versions.")
        assert "Of all versions." in ask(server, "/publisher/model/1").text
        assert "From <em>beside</em>." in ask(server, "/publisher/model/9").text


def test_documentation_can_do_nothing(tree):
    (tree / "publisher/model/1.md").write_text(
        "<script>alert(1)</script> [a](javascript:alert(2)) ![b](https://spy.example/x.png) <b onclick=x>c</b>\n\n"
        "[d](https://fine.example/) <!-- e --> [f](data:text/html,<script>alert(3)</script>)"
    )
    with ModuleServer(tree) as server:
        text = ask(server, "/publisher/model/1").text
    shown = re.search(r'<section class="doc".*?</section>', text, re.DOTALL)[0]
    assert not re.search(r"<script|<img|<b |href=.(javascript|data)", shown)
    assert 'href="https://fine.example/"' in shown
    assert "noopener" in shown


def hostile_archives(folder: Path) -> list[str]:
    """Archives that are no modules, under names that a server serves."""
    (folder / "text").mkdir(parents=True)
    (folder / "text/1.tar.gz").write_bytes(b"not an archive")
    with tarfile.open(folder / "text/2.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("../../escaped")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"bytes"))
    with tarfile.open(folder / "text/3.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("saved_model.pb")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"\xff\xff\xff"))
    return [f"/{folder.name}/text/{number}" for number in (1, 2, 3)]


def test_an_archive_that_cannot_be_looked_at_says_so_and_is_served_all_the_same(tree, tmp_path):
    paths = hostile_archives(tree / "odd")
    with ModuleServer(tree) as server:
        for path in paths:
            assert "problem" in checked(server, path)["checks"]
            page = ask(server, path)
            assert page.status == 200
            assert "could not be looked at" in page.text
            assert str(tmp_path) not in page.text
            assert ask(server, path + ".tar.gz").body == (tree / path[1:]).with_suffix(".tar.gz").read_bytes()
        assert "TF1 Hub format" in ask(server, "/publisher/model/1").text
    assert not (tmp_path / "escaped").exists()


def test_the_page_of_a_damaged_directory_says_what_is_wrong(server, tree, tmp_path):
    (tree / "publisher/plain/saved_model.pb").write_bytes(b"\xff" * 50)
    page = ask(server, "/publisher/plain", **HTML)
    assert page.status == 500
    assert "publisher/plain is not a complete module" in page.text
    assert str(tmp_path) not in page.text


def test_the_list_names_every_model_with_its_versions_and_nothing_else(server):
    text = ask(server, "/").text
    links = re.findall(r'href="(/publisher[^"]*)"', text)
    assert links == [
        "/publisher/model",
        "/publisher/model/10",
        "/publisher/model/9",
        "/publisher/model/1",
        "/publisher/plain",
    ]
    assert server.count_modules() == 4
    for link in links:
        assert ask(server, link).status == 200
    listed = data(server, "/")["models"]
    assert [(model["name"], model["versions"]) for model in listed] == [
        ("publisher/model", ["10", "9", "1"]),
        ("publisher/plain", []),
    ]


def test_the_list_is_searched_without_a_script(server):
    assert re.search(
        r'<form action="/" method="get" role="search">\s*<input type="search" name="q"', ask(server, "/").text
    )
    found = ask(server, "/?q=PLAIN+publ").text
    assert "/publisher/plain" in found
    assert "/publisher/model" not in found
    nothing = ask(server, "/?q=%3Cscript%3E").text
    assert "&lt;script&gt;" in nothing
    assert "<script>alert" not in nothing


def test_a_publisher_has_a_list(server):
    text = ask(server, "/publisher").text
    assert "/publisher/model" in text
    assert "<h1>publisher</h1>" in text
    assert len(data(server, "/publisher/")["models"]) == 2
    assert ask(server, "/publisher?tf-hub-format=compressed").status == 404


@pytest.mark.parametrize("path", ["/publisher/modle/1", "/model", "/pubisher/plain", "/publisher/model/8"])
def test_what_there_is_not_is_answered_with_what_may_have_been_meant(path, server):
    page = ask(server, path, **HTML)
    assert page.status == 404
    assert re.search(r'<li><a href="/publisher/(model|plain)', page.text)
    assert b"Did you mean /publisher/" in ask(server, path + "?tf-hub-format=compressed").body


def test_names_cannot_put_code_into_a_page(tree):
    evil = "<script>alert(1)</script>'\"&"
    make_module(tree / "publisher/model/12", evil=evil)
    make_module(tree / "<script>alert(2)<" / "1")
    with ModuleServer(tree) as server:
        pages = [ask(server, path).text for path in ("/", "/publisher/model/12", "/nobody/%3Cscript%3E")]
        odd = ask(server, "/", Host="<script>alert(3)</script>").text
    for page in [*pages, odd]:
        assert "<script>alert" not in page
        assert "alert(3)" not in page
    assert "&lt;script&gt;alert(1)" in pages[1]


def test_links_and_handles_begin_with_the_root_path(tree):
    with ModuleServer(tree, root_path="/hub") as server:
        for prefix in ("", "/hub"):  # a proxy may take it away, or leave it
            page = ask(server, f"{prefix}/publisher/model/1", Host="models.example.com")
            assert "http://models.example.com/hub/publisher/model/1" in page.text
            assert set(re.findall(r'(?:href|action)="(/[^"]*)"', page.text)) >= {"/hub/", "/hub/publisher"}
            assert not re.search(r'href="/(?!hub/)', page.text)
            assert ask(server, f"{prefix}/publisher/model/1.tar.gz").status == 200


def test_a_proxy_says_what_people_see_if_it_is_trusted(tree):
    forwarded = {"X_Forwarded_Proto": "https", "Host": "hub.example.com"}
    with ModuleServer(tree, trusted_proxies=["127.0.0.1"]) as server:
        assert data_of(ask(server, "/", **JSON, **forwarded))["models"][0]["handle"].startswith(
            "https://hub.example.com/"
        )
    with ModuleServer(tree) as server:
        assert data_of(ask(server, "/", **JSON, **forwarded))["models"][0]["handle"].startswith(
            "http://hub.example.com/"
        )


def data_of(answer: Answer) -> Any:
    return json.loads(answer.body)


def test_a_module_is_looked_at_once_and_in_the_work_folder_for_good(tree, tmp_path):
    work = tmp_path / "work"
    with ModuleServer(tree, work=work) as server:
        first = checked(server, "/publisher/model/1")
    assert work.stat().st_mode & 0o777 == 0o700
    kept = {path.name for path in work.iterdir()}
    assert any(name.endswith(".tar.gz") for name in kept)
    with ModuleServer(tree, work=work) as server:
        again = data(server, "/publisher/model/1")
    assert again["checks"] == first["checks"]
    assert {path.name for path in work.iterdir()} == kept
