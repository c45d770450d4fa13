"""The phone's worker keeps the app's files and nothing of anybody (S50); the security page claims only what is tested."""

from __future__ import annotations

import json
import re
from pathlib import Path

from flask import Flask

from portal.blueprints import mpos
from tests.security.world import PEOPLE, World, cases, routes

ROOT = Path(mpos.__file__).parents[2]


def kept(app: Flask) -> list[str]:
    text = app.test_client().get("/mpos/sw.mjs").get_data(as_text=True)
    found = re.search(r"files: (\[.*?\]) \}\)", text, re.S)
    assert found
    return [file["url"] for file in json.loads(found[1])]


def test_the_worker_keeps_static_files_of_the_app_and_its_one_page_only(app: Flask) -> None:
    files = kept(app)
    assert len(files) == len(set(files)) > 20
    for url in files:
        assert url in {"/mpos/", "/mpos/manifest.webmanifest"} or url.startswith("/static/mpos/"), url
        assert Path(url).suffix in {"", ".mjs", ".css", ".svg", ".png", ".woff2", ".webmanifest"}
        assert "?" not in url and "//" not in url and ".." not in url
    office = {rule for method, rule in routes(app) if method == "GET" and not rule.startswith(("/mpos", "/static"))}
    assert not office & set(files)


def test_what_the_worker_keeps_is_the_same_for_everybody(app: Flask, world: World) -> None:
    for url in [*kept(app), "/mpos/sw.mjs"]:
        answers = {world.client(app, person).get(url).get_data() for person in PEOPLE}
        assert len(answers) == 1, f"{url} differs by person"
        (content,) = answers
        assert b"csrf" not in content or url.endswith(".mjs"), f"{url} carries a token"
        assert not [name for name in (b"Alon", b"Bituin", b"S-A", b"Rita") if name in content]
        assert "Set-Cookie" not in world.client(app, "collector_a").get(url).headers, url


def test_the_worker_lives_under_mpos_only(app: Flask) -> None:
    workers = {rule for _, rule in routes(app) if rule.endswith(("js", "worker"))}
    assert workers == {"/mpos/sw.mjs"}, "its place is its scope: office pages never pass through it"
    response = app.test_client().get("/mpos/sw.mjs")
    assert "Service-Worker-Allowed" not in response.headers and response.mimetype == "text/javascript"
    assert response.headers["Cache-Control"] == "no-cache"
    registrations = [
        file.name
        for file in (ROOT / "portal/static").rglob("*.mjs")
        if "vendor" not in file.parts and re.search(r"\bregister\(\s*[\"']", file.read_text())
    ]
    assert registrations == ["phone.mjs"], "office pages register no worker"


def test_no_answer_with_a_users_data_may_be_kept(app: Flask, world: World) -> None:
    files = set(kept(app))
    for person in ("collector_a", "admin"):
        for method, rule in routes(app):
            for case in cases(method, rule).values():
                call = case(world, person)
                if method == "GET" and call.path not in files and not rule.startswith(("/static", "/mpos")):
                    assert call.send(world.client(app, person), "GET").headers["Cache-Control"] == "no-store", call.path


def test_logging_out_clears_caches_but_never_what_is_unsent(app: Flask, world: World) -> None:
    answer = world.client(app, "cashier").post("/logout", headers=world.headers("cashier"))
    assert answer.headers["Clear-Site-Data"] == '"cache"'


def test_every_test_that_the_security_page_names_exists() -> None:
    """docs/security.md says which test proves what; a renamed test must not leave it claiming more than is checked."""
    text = (ROOT / "docs/security.md").read_text()
    named = set(re.findall(r"`(tests/[\w/.-]+\.(?:py|mjs))(?:::(\w+))?`", text))
    assert len(named) > 30
    for file, test in named:
        source = ROOT / file
        assert source.exists(), file
        assert not test or re.search(rf"def {test}\b", source.read_text()), f"{file}::{test}"
    numbers = set(re.findall(r"^\| (S\d+) \|", text, re.M))
    promised = ["S5", *(f"S{n}" for n in (13, 14, 15, *range(19, 30), *range(35, 39), 46, 49, 50, 58, 59))]
    assert set(promised) <= numbers
