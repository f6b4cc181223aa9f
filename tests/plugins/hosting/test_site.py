"""``hubplug site``: the same pages and archives as files, sent by the real nginx."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import hubplug
from hubplug.cli.main import hubplug as command
from hubplug.errors import ConfigError, OccupiedError
from hubplug_hosting import pack_module, write_site
from tests.plugins.hosting.asking import COMPRESSED, LIMIT
from tests.plugins.hosting.trees import make_module, make_tree

URL = "https://hub.example.com/"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def write(tree: Path, out: Path, url: str = URL):
    return write_site(hubplug.Hub(), tree, out, url)


def test_every_page_and_archive_is_a_file(tree, tmp_path):
    out = tmp_path / "www"
    written = write(tree, out)
    assert (written.models, written.modules, written.problems, written.unmapped) == (2, 4, (), ())
    for name in ("", "publisher", "publisher/model", "publisher/model/1", "publisher/model/10", "publisher/plain"):
        text = (out / name / "index.html").read_text()
        assert "Content-Security-Policy" in text
        assert str(tmp_path) not in text
        json.loads((out / name / "index.json").read_text())
        for link in re.findall(r'href="(/[^"]*)"', text):
            assert (out / link[1:] / "index.html").is_file() or (out / link[1:]).is_file(), link
    assert (
        "https://hub.example.com/publisher/model/10.tar.gz#sha256=" in (out / "publisher/model/index.html").read_text()
    )
    assert "✓ safe" in (out / "publisher/model/1/index.html").read_text()
    for version in ("1", "9"):
        expected = pack_module(tree / "publisher/model" / version, tmp_path / f"{version}.tar.gz")
        assert (out / f"publisher/model/{version}.tar.gz").read_bytes() == expected.path.read_bytes()
    assert not (out / ".hidden").exists()
    assert not (out / "link").exists()


def test_writing_it_again_adds_what_is_new_and_changes_no_archive(tree, tmp_path):
    for apart in ("plain", "model/9"):  # each is looked at again and again
        shutil.rmtree(tree / "publisher" / apart)
    out = tmp_path / "www"
    write(tree, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    write(tree, out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before
    make_module(tree / "publisher/model/11", 11.0)
    assert write(tree, out).modules == 3
    assert json.loads((out / "publisher/model/index.json").read_text())["version"] == "11"
    (tree / "publisher/model/1/assets/vocabulary.txt").write_bytes(b"changed\n")
    with pytest.raises(OccupiedError, match=r"1\.tar\.gz exists with other bytes"):
        write(tree, out)


def test_what_cannot_be_served_is_left_out_and_said(tree, tmp_path):
    (tree / "publisher/plain/variables/variables.index").unlink()
    (tree / "publisher/model/12.tar.gz").write_bytes(b"no archive")
    done = CliRunner().invoke(command, ["site", str(tree), str(tmp_path / "www"), "--url", URL])
    assert done.exit_code == 1
    assert "left out: publisher/plain: " in done.output
    assert "could not be looked at" in (tmp_path / "www/publisher/model/index.html").read_text()
    assert not (tmp_path / "www/publisher/plain").exists()


@pytest.mark.parametrize("url", ["hub.example.com", "ftp://x/", "https://x/?q", "https://x/#y"])
def test_a_url_that_is_none_is_refused(url, tree, tmp_path):
    with pytest.raises(ConfigError):
        write(tree, tmp_path / "www", url)


def test_the_site_may_not_lie_in_its_tree(tree):
    with pytest.raises(ConfigError, match="inside"):
        write(tree, tree / "www")


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an nginx that serves the site of such a tree with the rules that come with it."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    tmp_path = tmp_path_factory.mktemp("nginx")
    tree = make_tree(tmp_path)
    make_module(tree / "publisher/odd name/1")
    out, run = tmp_path / "www", tmp_path / "run"
    run.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert write(tree, out, f"http://127.0.0.1:{port}/").unmapped == ("publisher/odd name", "publisher/odd name/1")
    rules = run / "rules.conf"
    rules.write_text((out / "nginx.conf").read_text().replace("listen 80;", f"listen 127.0.0.1:{port};"))
    temporary = "".join(f"{kind}_temp_path {run};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (run / "nginx.conf").write_text(
        f"{'user root;' if os.geteuid() == 0 else ''} daemon off; worker_processes 1; pid {run}/pid; error_log {run}/error.log;"
        f" events {{}} http {{ access_log off; {temporary} include {rules}; }}"
    )
    with subprocess.Popen(
        [NGINX, "-c", str(run / "nginx.conf"), "-p", str(run), "-e", str(run / "error.log")]
    ) as process:
        try:
            for _ in range(int(LIMIT * 10)):
                with socket.socket() as probe:
                    if process.poll() is not None or probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            assert process.poll() is None, (run / "error.log").read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def get(url: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


def test_nginx_speaks_the_protocol_with_the_rules_that_come_along(nginx, tree):
    ready = (tree / "publisher/model/10.tar.gz").read_bytes()
    for path in ("/publisher/model/10", "/publisher/model/10/", "/publisher/model", "/publisher/model/10.tar.gz"):
        status, body, headers = get(nginx + path + (COMPRESSED if not path.endswith(".gz") else ""))
        assert (status, body) == (200, ready), path
        assert headers["Content-Type"] == "application/gzip"
        assert "Content-Encoding" not in headers
        assert ("immutable" in headers["Cache-Control"]) == path.rstrip("/").endswith(("10", "10.tar.gz"))
        part = get(nginx + path + COMPRESSED, Range="bytes=10-19", If_Range=headers["ETag"])
        assert (part[0], part[1]) == (206, ready[10:20])
    assert get(nginx + "/publisher/model/10?a=b&tf-hub-format=compressed")[1] == ready
    assert get(nginx + "/publisher/model/2" + COMPRESSED)[0] == 404
    assert get(nginx + "/" + COMPRESSED)[0] == 404
    assert get(nginx + "/publisher/model/1?tf-hub-format=uncompressed")[0] == 406


def test_nginx_sends_pages_to_people_and_data_to_programs(nginx):
    for path in ("/", "/publisher", "/publisher/model", "/publisher/model/1", "/publisher/odd%20name/1"):
        status, body, headers = get(nginx + path, Accept="text/html")
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert b"<h1>" in body
        assert json.loads(get(nginx + path, Accept="application/json")[1])
    status, body, _ = get(nginx + "/nobody")
    assert status == 404
    assert b"There is no such module" in body
    assert get(nginx + "/nginx.conf")[0] == 404
    assert get(nginx + "/publisher/odd%20name/1.tar.gz")[1][:2] == b"\x1f\x8b"


def test_hubplug_shows_what_nginx_says_without_downloading_it(nginx):
    with hubplug.Hub().activate():
        shown = CliRunner().invoke(command, ["show", f"{nginx}/publisher/model"])
    assert shown.output.startswith(f"as the server says; not downloaded: {nginx}/publisher/model")


def test_hubplug_resolves_what_nginx_serves(nginx):
    found = json.loads(get(nginx + "/publisher/model", Accept="application/json")[1])
    assert (Path(hubplug.resolve(found["pinned_handle"])) / "saved_model.pb").is_file()
    assert (Path(hubplug.resolve(nginx + "/publisher/model/1")) / "saved_model.pb").is_file()
    assert hashlib.sha256(get(nginx + "/publisher/model" + COMPRESSED)[1]).hexdigest() == found["archive"]["sha256"]
