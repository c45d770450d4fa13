"""The phone app's shell: one version for everybody, its worker names exactly what it consists of."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import brotli
import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.blueprints import mpos


def worker_list(client: FlaskClient) -> tuple[str, dict[str, str]]:
    text = client.get("/mpos/sw.mjs").get_data(as_text=True)
    match = re.search(r"version: (\"[^\"]+\"), files: (\[.*\]) \}\);", text)
    assert match, text
    return json.loads(match[1]), {file["url"]: file["sha256"] for file in json.loads(match[2])}


def test_every_file_the_worker_keeps_is_served_with_the_bytes_it_names(app: Flask) -> None:
    client = app.test_client()
    _, files = worker_list(client)
    assert {"/mpos/", "/mpos/manifest.webmanifest", "/static/mpos/app.mjs", "/static/mpos/domain/money.mjs"} <= set(files)
    for url, sha256 in files.items():
        response = client.get(url)
        assert response.status_code == 200, url
        assert hashlib.sha256(response.data).hexdigest() == sha256, url


def test_the_worker_keeps_every_module_that_is_imported(app: Flask) -> None:
    client = app.test_client()
    _, files = worker_list(client)
    for url in [url for url in files if url.endswith(".mjs")]:
        for name in re.findall(r"(?:from|import)\s*\(?[\"'](\.{1,2}/[^\"']+)[\"']", client.get(url).get_data(as_text=True)):
            assert urljoin(url, name) in files, f"{url} imports {name}"


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/mpos/", "text/html; charset=utf-8"),
        ("/mpos/sw.mjs", "text/javascript; charset=utf-8"),
        ("/mpos/manifest.webmanifest", "application/manifest+json; charset=utf-8"),
    ],
)
def test_shell_files_are_revalidated_each_time(app: Flask, path: str, content_type: str) -> None:
    client = app.test_client()
    response = client.get(path)
    assert (response.status_code, response.headers["Content-Type"], response.headers["Cache-Control"]) == (200, content_type, "no-cache")
    assert client.get(path, headers={"If-None-Match": response.headers["ETag"]}).status_code == 304
    assert "Set-Cookie" not in response.headers


def test_the_version_changes_with_any_byte_and_only_then(app: Flask, tmp_path: Path) -> None:
    static = tmp_path / "static"
    shutil.copytree(Path(app.static_folder or ""), static)

    def version(**options: Any) -> str:
        with app.test_request_context("/mpos/"):
            return mpos.build_shell(static, options.get("demo", False)).version

    first = version()
    assert version() == first
    assert version(demo=True) != first
    module = static / "mpos" / "clock.mjs"
    module.write_bytes(module.read_bytes() + b"\n")
    assert version() != first


def test_the_page_names_its_version(app: Flask) -> None:
    version, _ = worker_list(app.test_client())
    assert f'<meta name="mpos-version" content="{version}">' in app.test_client().get("/mpos/").get_data(as_text=True)


def test_the_shell_is_sent_compressed_and_stays_under_200_kilobytes(app: Flask) -> None:
    client = app.test_client()
    _, files = worker_list(client)
    sizes = {}
    for url, sha256 in files.items():
        response = client.get(url, headers={"Accept-Encoding": "gzip, br"})
        sizes[url] = len(response.data)
        plain = brotli.decompress(response.data) if response.headers.get("Content-Encoding") == "br" else response.data
        assert hashlib.sha256(plain).hexdigest() == sha256, url
        assert url.endswith(".png") or (response.headers["Content-Encoding"] == "br" and "Accept-Encoding" in response.headers["Vary"]), url
    assert sum(sizes.values()) < 200_000
    tag = client.get("/static/mpos/app.mjs", headers={"Accept-Encoding": "br"}).headers["ETag"]
    again = client.get("/static/mpos/app.mjs", headers={"Accept-Encoding": "br", "If-None-Match": tag})
    assert again.status_code == 304
    assert "Content-Encoding" not in client.get("/static/mpos/app.mjs").headers
