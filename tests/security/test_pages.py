"""What stands in the pages: htmx held short, scripts from files only, and customers' names as text whatever they are (S23-S25, S36-S38)."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import socket
import zipfile
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import weasyprint
from flask import Flask
from jinja2 import Environment

from portal import documents
from portal.documents import html_to_pdf
from portal.exports import guarded
from portal.extensions import db
from portal.services import collector_codes
from portal.store import users as user_store
from portal.store.models import SyncFailure
from portal.typesetting import FencedFetcher
from tests.factories import NOW, Phone, make_soa, make_user, store_soas
from tests.security.world import World, cases, routes, send

PORTAL = Path(documents.__file__).parent
TEMPLATES = PORTAL / "templates"
HTMX = PORTAL / "static/vendor/htmx.org@2.0.11/dist/htmx.min.js"
CDN = "https://cdn.jsdelivr.net/npm/htmx.org@2.0.11/dist/htmx.min.js"


class Page(HTMLParser):
    """A page as a browser reads it: its elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.within: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.within:
            while self.within.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.within and self.within[-1] in {"script", "style"}:
            assert not data.strip(), f"inline {self.within[-1]}: {data[:80]}"

    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        """Elements and names of attributes, without any text or value."""
        return [(tag, tuple(sorted(attributes))) for tag, attributes in self.elements]

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def pages(app: Flask, world: World) -> list[tuple[str, Page]]:
    """Every HTML page and part that somebody may see."""
    found = []
    for person in ("anonymous", "supervisor", "admin"):
        for method, rule in routes(app):
            for case in cases(method, rule).values():
                for headers in ({}, {"HX-Request": "true"}):
                    if method == "GET":
                        response = case(world, person).send(world.client(app, person), "GET", headers)
                        if response.mimetype == "text/html" and response.status_code != 302:
                            found.append((f"{rule} {person} {headers}", Page(response.get_data(as_text=True))))
    assert len(found) > 60
    return found


def test_htmx_is_held_short_on_every_page_and_nothing_is_inline(app: Flask, world: World) -> None:
    whole = 0
    for name, page in pages(app, world):
        for tag, attributes in page.elements:
            forbidden = [attr for attr in attributes if attr.startswith(("on", "hx-on", "data-hx-on")) or attr in {"style", "srcdoc"}]
            assert not forbidden, f"{name}: <{tag}> has {forbidden}"
            for attr, value in attributes.items():
                assert not re.match(r"\s*(javascript|vbscript|data\s*:\s*text):?", value, re.I), f"{name}: {attr}={value[:60]}"
                if attr in {"hx-vals", "hx-headers", "hx-vars", "hx-request"}:
                    assert not re.match(r"\s*(js|javascript):", value), f"{name}: {attr}={value[:60]}"
                if attr == "hx-trigger":
                    assert "[" not in value, f"{name}: a trigger filter needs eval: {value}"
                if attr in {"src", "action", "hx-get", "hx-post", "formaction"} or (attr == "href" and tag != "a"):
                    assert value.startswith(("/", "#")) or value == CDN, f"{name}: {attr}={value}"
            if tag == "a" and "href" in attributes:
                assert attributes["href"].startswith(("/", "#")), f"{name}: {attributes['href']}"
            assert tag not in {"style", "iframe", "object", "embed", "base"}, name
        for script in page.of("script"):
            assert script.get("src"), f"{name}: an inline script"
        if page.of("html"):
            whole += 1
            if "mpos" in name:
                continue
            configs = [meta["content"] for meta in page.of("meta") if meta.get("name") == "htmx-config"]
            assert len(configs) == 1, name
            config = json.loads(configs[0])
            wanted = {
                "allowEval": False,
                "allowScriptTags": False,
                "selfRequestsOnly": True,
                "historyCacheSize": 0,
                "includeIndicatorStyles": False,
            }
            assert {key: config.get(key) for key in wanted} == wanted, name
            assert "inlineScriptNonce" not in config and "inlineStyleNonce" not in config
        for form_start, attributes in page.elements:
            if form_start == "form" and attributes.get("method", "get").lower() == "post":
                assert [field for field in page.of("input") if field.get("name") == "csrf_token" and field.get("value")], name
    assert whole > 25


def test_the_cdns_script_is_the_vendored_one_byte_for_byte(app: Flask) -> None:
    (script,) = [tag for tag in Page(app.test_client().get("/login").get_data(as_text=True)).of("script") if "htmx.min.js" in tag["src"]]
    digest = base64.b64encode(hashlib.sha384(HTMX.read_bytes()).digest()).decode()
    assert script["src"] == CDN and script["integrity"] == f"sha384-{digest}" and script["crossorigin"] == "anonymous"
    assert app.test_client().get("/static/vendor/htmx.org@2.0.11/dist/htmx.min.js").get_data() == HTMX.read_bytes()


def test_the_phone_app_takes_nothing_from_elsewhere() -> None:
    """A collector's phone works offline and holds customers' data: every address in its files is our own."""
    allowed = {
        "http://www.w3.org/2000/svg",  # the name of the SVG language, not an address that is asked
        "https://www.openstreetmap.org/search?query=${query}`;",  # a link to a map, followed only when somebody taps it
    }
    for file in [*(PORTAL / "static/mpos").rglob("*.*"), *(TEMPLATES / "mpos").iterdir()]:
        if file.suffix in {".mjs", ".css", ".html", ".webmanifest", ".svg"}:
            found = set(re.findall(r"(?:https?:)?//[a-z0-9][a-z0-9.-]+\.[a-z]{2,}[^\s\"')]*", file.read_text()))
            assert found <= allowed, f"{file.name}: {found - allowed}"


FORBIDDEN_IN_TEMPLATES = {
    r"\|\s*safe\b": "switches escaping off",
    r"\bMarkup\b": "switches escaping off",
    r"autoescape\s+false": "switches escaping off",
    r"\bhx-on\b": "evaluates an attribute as script",
    r"\bhx-vars\b": "evaluates an attribute as script",
    r"[\"']\s*js:": "evaluates an attribute as script",
    r"hx-trigger=\"[^\"]*\[": "a trigger filter needs eval",
    r"\son[a-z]+\s*=\s*[\"']": "an inline handler",
    r"\bstyle\s*=\s*[\"']": "an inline style",
    r"<style\b": "an inline style sheet",
    r"<script\b(?![^>]*\bsrc=)": "an inline script",
    r"=\s*\{\{": "an attribute without quotes lets a value add attributes",
    r"<base\b|<iframe\b|<object\b|<embed\b": "loads or redirects what the CSP forbids",
}
FORBIDDEN_IN_PYTHON = {
    r"render_template_string|from_string\(": "a template made of data can run code",
    r"\bMarkup\b": "switches escaping off",
    r"import (?:pickle|marshal|shelve)\b|from (?:pickle|marshal|shelve) ": "reading it back can run code",
    r"yaml\.load\(|\beval\(|\bexec\(": "runs text as code",
    r"verify\s*=\s*False": "takes any certificate",
    r"shell\s*=\s*True|os\.system\(|os\.popen\(": "a shell reads data as commands",
    r"debug\s*=\s*True|run_simple|app\.run\(": "the development server shows traces and a console",
}
FORBIDDEN_IN_SCRIPTS = {
    r"\b(?:inner|outer)HTML\b|insertAdjacentHTML|document\.write|createContextualFragment|setHTMLUnsafe": "reads text as HTML",
    r"\beval\(|new Function\(|setTimeout\(\s*[\"']|setInterval\(\s*[\"']": "runs text as code",
    r"javascript:": "runs text as code",
}


def offences(files: list[Path], forbidden: dict[str, str]) -> list[str]:
    assert files
    return [
        f"{file.relative_to(PORTAL.parent)}: {found.group()!r} {why}"
        for file in files
        for pattern, why in forbidden.items()
        for found in re.finditer(pattern, file.read_text())
    ]


def test_no_template_switches_escaping_off_or_carries_script() -> None:
    assert not offences([file for file in TEMPLATES.rglob("*") if file.is_file() and file.suffix == ".html"], FORBIDDEN_IN_TEMPLATES)


def test_no_python_module_runs_text_or_makes_templates_of_data() -> None:
    files = [*PORTAL.rglob("*.py"), *(PORTAL.parent / "workers").glob("*.py"), PORTAL.parent / "wsgi.py", PORTAL.parent / "config.py"]
    assert not offences(files, FORBIDDEN_IN_PYTHON)


def test_no_script_reads_text_as_html_or_code() -> None:
    static = PORTAL / "static"
    files = [file for file in static.rglob("*") if file.suffix in {".mjs", ".js"} and "vendor" not in file.relative_to(static).parts]
    assert not offences(files, FORBIDDEN_IN_SCRIPTS)


@pytest.mark.parametrize(
    "text", ["{{ x|safe }}", "<a title={{ x }}>", '<p style="x">', "<script>x</script>", '<b onclick="x">', '<i hx-on:click="x">']
)
def test_the_search_for_offences_finds_them(text: str) -> None:
    assert [pattern for pattern in FORBIDDEN_IN_TEMPLATES if re.search(pattern, text)]


def test_every_template_is_escaped(app: Flask) -> None:
    environment: Environment = app.jinja_env
    assert callable(environment.autoescape)
    for name in environment.list_templates():
        if name.endswith(".html"):
            assert environment.autoescape(name), name


# --- names that are more than names

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "closing": "</td></tr></table><script src=//evil.example></script>",
    "quotes": '"\'><img src=x onerror=alert(1)> O\'Neil "Jun" & Sons',
    "braces": "{{7*7}}{% raw %}${7*7}<%= 7*7 %>",
    "htmx": '" hx-on:click="alert(1)" hx-get="//evil.example" x="',
    "formula": "=cmd|' /C calc'!A0",
    "plus": "+63 917 (x)",
    "minus": "-2+3",
    "at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "wide": "＝1+1",
    "reversed": "\u202egnp.exe \u2066Santos\u2069",
    "long": "W" * 300,
    "entities": "&lt;b&gt; &amp;amp; &#x3c;",
    "address": "javascript:alert(document.domain)",
    "comment": "<!-- --!> <![CDATA[ x ]]>",
    "accents": "Ñoño Peñaflor-Güell ₱ 🙏 日本",
}
PLAIN = "Reyes, Ana"


def people_page_parts(app: Flask, world: World, name: str) -> dict[str, tuple[str, str]]:
    """Put `name` wherever text from outside ends up; the pages (path, who looks) that show it."""
    with app.app_context():
        run = store_soas(make_soa("S-H", customer_name=name, collector_code="A1", address=name, contact_number=name[:60]))
        db.session.add(
            SyncFailure(
                run_id=run, pscloud_id=name[:100], label=name, field="amount_due", reason=f"{name} is not an amount.", raw=json.dumps(name)
            )
        )
        shown = "".join(c for c in name[:120] if c.isprintable())
        user_id = make_user("hostile", "collector", codes=["A1", shown[:40]])
        user_store.set_fields(user_id, display_name=name[:120])
        db.session.commit()
        collector_codes.add("ZZ", shown, shown, "ada", NOW)
        phone = Phone(shown[:60].strip() or "x", user_id, "hostile")
        phone.start()
        fields: dict[str, Any] = {"tender": "check", "channel": shown[:60], "reference": shown[:60]}
        payment = phone.pay(make_soa("S-H", customer_name=name), 10000, **fields).payload["payment"]
        phone.x_reading()
        send(phone)
    return {
        "list": ("/soas", "cashier"),
        "soa": ("/soas/S-H", "cashier"),
        "payments": ("/payments", "cashier"),
        "payment": (f"/payments/{payment}", "cashier"),
        "home": ("/", "cashier"),
        "run": (f"/syncs/{run}", "cashier"),
        "codes": ("/collector-codes", "admin"),
        "users": ("/users", "admin"),
        "user": (f"/users/{user_id}", "admin"),
        "terminals": ("/terminals", "admin"),
        "readings": ("/readings", "cashier"),
    }


def read_pages(app: Flask, world: World, name: str) -> dict[str, Page]:
    found = {}
    for title, (path, person) in people_page_parts(app, world, name).items():
        response = world.client(app, person).get(path)
        assert response.status_code == 200, f"{path}: {response.get_data(as_text=True)[:300]}"
        found[title] = Page(response.get_data(as_text=True))
    return found


@pytest.fixture(scope="module")
def plain_shapes() -> dict[str, Any]:
    return {}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_name_is_shown_as_text_on_every_page(app: Flask, world: World, kind: str, plain_shapes: dict[str, Any]) -> None:
    """Whatever the name, each page has the very elements and attributes it has with a plain one, and shows the name letter by letter."""
    if not plain_shapes:
        plain_shapes.update({title: page.shape() for title, page in read_pages(app, world, PLAIN).items()})
        world.restore(app)
    name = HOSTILE[kind]
    for title, page in read_pages(app, world, name).items():
        assert page.shape() == plain_shapes[title], f"{title} has other elements with this name"
        text = "".join(page.texts)
        if title in {"list", "soa", "payments", "payment", "home", "run"}:
            assert name in text, title
        elif title in {"users", "user"}:
            assert name[:120] in text or any(name[:120] in value for _, attributes in page.elements for value in attributes.values()), title


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_name_in_a_csv_file_is_text(app: Flask, world: World, kind: str) -> None:
    name = HOSTILE[kind]
    people_page_parts(app, world, name)
    for path, columns in (("/soas.csv", ("Customer",)), ("/payments.csv", ("Customer", "Collector", "Bank or wallet", "Reference"))):
        response = world.client(app, "cashier").get(path)
        content = response.get_data()
        assert response.mimetype == "text/csv" and response.headers["Content-Disposition"].startswith("attachment;")
        assert content.startswith(b"\xef\xbb\xbf") and content.count(b"\xef\xbb\xbf") == 1
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        (row,) = [row for row in rows if row["SOA"] == "S-H"]
        assert row["Customer"] == guarded(name)
        for value in (row[column] for column in columns):
            assert not value.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")), value


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_name_in_an_excel_file_is_text(app: Flask, world: World, kind: str) -> None:
    name = HOSTILE[kind]
    people_page_parts(app, world, name)
    for path, place in (("/soas.xlsx", 0), ("/payments.xlsx", 6)):
        content = world.client(app, "cashier").get(path).get_data()
        sheet = zipfile.ZipFile(io.BytesIO(content)).read("xl/worksheets/sheet1.xml")
        root = ElementTree.fromstring(sheet)  # noqa: S314 - a file of our own making
        rows = [[(cell.get("t"), "".join(cell.itertext())) for cell in row] for row in root.iter() if row.tag.endswith("}row")]
        (row,) = [row for row in rows if row[place] == ("inlineStr", "S-H")]
        assert ("inlineStr", name) in row, "in its own letters, and text"
        assert b"<f>" not in sheet and b"hyperlink" not in sheet


def test_what_the_guard_of_formulas_leaves_alone() -> None:
    assert [guarded(text) for text in ("Dela Cruz", "0917 555", "", "'x", "a=b", "₱5")] == ["Dela Cruz", "0917 555", "", "'x", "a=b", "₱5"]
    assert [guarded(text) for text in ("=1", " =1", "\t1", "\r1", "\n1", "-1", "＠x")] == [
        "'=1",
        "' =1",
        "'\t1",
        "'\r1",
        "'\n1",
        "'-1",
        "'＠x",
    ]


def test_hostile_names_are_set_in_the_reports(app: Flask, world: World) -> None:
    for kind in ("script", "quotes", "braces", "reversed", "long"):
        parts = people_page_parts(app, world, HOSTILE[kind])
        report = world.client(app, "supervisor").get("/reports/collection.pdf?from=2026-11-20&to=2026-11-20")
        assert report.status_code == 200 and report.get_data()[:5] == b"%PDF-", kind
        assert b"/JavaScript" not in report.get_data() and b"/EmbeddedFile" not in report.get_data()
        assert parts
        world.restore(app)


def test_what_was_typed_is_shown_as_text(app: Flask, world: World) -> None:
    client, anonymous = world.client(app, "cashier"), world.client(app, "anonymous")
    for name in HOSTILE.values():
        for path in ("/soas", "/payments"):
            page = Page(
                client.get(path, query_string={"q": name, "collector_code": name, "from": name, "due_from": name, "status": name}).get_data(
                    as_text=True
                )
            )
            assert not [tag for tag in page.of("script") if "evil" in tag.get("src", "")]
            assert not [attrs for _, attrs in page.elements if any(attr.startswith(("on", "hx-on")) for attr in attrs)]
        form = {"username": name, "password": "x", "next": name}
        login = Page(anonymous.post("/login", data=form, headers=world.headers("anonymous")).get_data(as_text=True))
        (field,) = [tag for tag in login.of("input") if tag.get("name") == "username"]
        assert field["value"] == name and len(login.of("script")) == 4
        admin = world.client(app, "admin")
        admin.post("/collector-codes", data={"code": name[:40], "name": name, "area": name}, headers=world.headers("admin"))
        page = Page(admin.get("/collector-codes").get_data(as_text=True))
        assert not [tag for tag in page.of("script") if "evil" in tag.get("src", "")] and not page.of("img")


def test_the_phones_list_is_json_whatever_the_name(app: Flask, world: World) -> None:
    people_page_parts(app, world, HOSTILE["closing"])
    response = world.client(app, "collector_a").get("/api/v1/soas")
    assert response.mimetype == "application/json" and response.headers["X-Content-Type-Options"] == "nosniff"
    assert HOSTILE["closing"] in [soa["customer_name"] for soa in response.get_json()["soas"]]


# --- PDF: nothing is fetched


def pdf_texts(content: bytes) -> bytes:
    """Everything in a PDF, streams unpacked."""
    found = content
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", content, re.S):
        try:
            found += zlib.decompressobj().decompress(stream)
        except zlib.error:
            continue
    return found


def test_without_the_fence_the_file_would_be_in_the_pdf(tmp_path: Path) -> None:
    """What the next test guards against is real: this is the library left to itself."""
    secret = tmp_path / "secret.txt"
    secret.write_text("TOP-SECRET-VALUE-4711")
    content = bytes(weasyprint.HTML(string=f'<link rel="attachment" href="file://{secret}"><p>x').write_pdf())
    assert b"TOP-SECRET" in pdf_texts(content) and b"/EmbeddedFile" in pdf_texts(content)


@pytest.mark.parametrize(
    "payload",
    [
        '<link rel="attachment" href="file://{secret}">',
        '<link rel="attachment" href="{secret}">',
        '<img src="file://{secret}"><img src="http://127.0.0.1:{port}/x.png">',
        '<link rel="stylesheet" href="http://127.0.0.1:{port}/x.css"><style>@import url(http://127.0.0.1:{port}/y.css);</style>',
        '<style>@font-face {{ font-family: x; src: url("file://{secret}") }} body {{ background: url("file://{secret}") }}</style>',
        '<object data="file://{secret}"></object><embed src="file://{secret}"><iframe src="file://{secret}"></iframe>',
        '<svg xmlns="http://www.w3.org/2000/svg"><image href="file://{secret}" width="9" height="9"/></svg>',
        '<img src="portal-asset:../../config.py"><img src="portal-asset:css/../css/pdf.css"><img src="portal-asset:/etc/passwd">',
        '<a rel="attachment" href="file://{secret}">x</a><meta name="x" content="file://{secret}">',
    ],
)
def test_a_document_cannot_fetch_anything(payload: str, tmp_path: Path) -> None:
    """The three payloads of S37 (attachment, image, style sheet) and their relatives: the file is not in the PDF, nobody was asked."""
    secret = tmp_path / "secret.txt"
    secret.write_text("TOP-SECRET-VALUE-4711")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        html = payload.format(secret=secret, port=listener.getsockname()[1])
        content = html_to_pdf(f"<html><head></head><body><p>Report</p>{html}</body></html>")
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert content.startswith(b"%PDF-")
    assert b"TOP-SECRET" not in pdf_texts(content) and b"/EmbeddedFile" not in pdf_texts(content)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "http://127.0.0.1/",
        "https://169.254.169.254/",
        "data:text/css,x",
        "ftp://x/",
        "portal-asset:../config.py",
        "css/pdf.css",
        "",
    ],
)
def test_the_fetcher_knows_our_assets_only(url: str) -> None:
    with pytest.raises(ValueError, match="assets"):
        FencedFetcher().fetch(url)
    assert FencedFetcher().fetch("portal-asset:css/pdf.css").read()
