"""The phone app under /mpos/: its page, manifest and service worker, the same for everybody. Nothing here may depend on a user."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Response, current_app, make_response, render_template, request

from portal.access import public
from portal.packing import small

bp = Blueprint("mpos", __name__, url_prefix="/mpos")

SHELL = "/mpos/"
MANIFEST = "/mpos/manifest.webmanifest"
TEXTS = frozenset({"text/html", "text/javascript", "text/css", "image/svg+xml", "application/manifest+json"})
KEPT = frozenset({".mjs", ".css", ".svg", ".png", ".woff2"})


@dataclass(frozen=True, slots=True)
class Shell:
    """One version of the app: `files` are the addresses the worker keeps, each with the SHA-256 of its bytes."""

    version: str
    page: str
    manifest: bytes
    files: tuple[dict[str, str], ...]


def build_shell(static_folder: Path, demo: bool) -> Shell:
    """Read and hash the app's files; the version changes when any byte of them does, and only then."""
    root = static_folder / "mpos"
    static_files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix in KEPT)
    files = [_kept(f"/static/{path.relative_to(static_folder).as_posix()}", path.read_bytes()) for path in static_files]
    manifest = (root / "manifest.webmanifest").read_bytes()
    files.append(_kept(MANIFEST, manifest))
    # The page names the version, so its own hash cannot be part of it: its text without a version stands in.
    blank = _page("", demo, files)
    version = _sha256("\n".join([*(f"{file['url']} {file['sha256']}" for file in files), blank]).encode())[:12]
    page = _page(version, demo, files)
    files.append(_kept(SHELL, page.encode()))
    return Shell(version, page, manifest, tuple(files))


def _kept(url: str, content: bytes) -> dict[str, str]:
    return {"url": url, "sha256": _sha256(content)}


def _page(version: str, demo: bool, files: list[dict[str, str]]) -> str:
    return render_template("mpos/shell.html", version=version, demo=demo, files=[file["url"] for file in files])


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def shell() -> Shell:
    """This process's version of the app; read anew for each request in debug."""
    kept = current_app.extensions.get("mpos_shell")
    if not isinstance(kept, Shell) or current_app.debug:
        kept = build_shell(Path(current_app.static_folder or ""), bool(current_app.config.get("DEMO")))
        current_app.extensions["mpos_shell"] = kept
    return kept


def _answer(body: str | bytes, content_type: str) -> Response:
    response = make_response(body)
    response.headers["Content-Type"] = content_type
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


@bp.get("/")
@public
def index() -> Response:
    """The app's page; the app itself starts in the browser."""
    return _answer(shell().page, "text/html; charset=utf-8")


@bp.get("/sw.mjs")
@public
def service_worker() -> Response:
    """The service worker with this version's file list."""
    built = shell()
    text = render_template("mpos/sw.mjs", version=built.version, files=built.files)
    return _answer(text, "text/javascript; charset=utf-8")


@bp.get("/manifest.webmanifest")
@public
def manifest() -> Response:
    """The manifest that makes the app installable."""
    return _answer(shell().manifest, "application/manifest+json; charset=utf-8")


@bp.after_app_request
def compressed(response: Response) -> Response:
    """The shell's files as small as they get: they are many, and the line they come over is slow. Nothing secret is among them."""
    ours = request.blueprint == bp.name or (request.endpoint == "static" and request.path.startswith("/static/mpos/"))
    if not ours or request.method != "GET" or response.status_code != 200 or response.mimetype not in TEXTS:
        return response
    response.vary.add("Accept-Encoding")
    way = request.accept_encodings.best_match(["br", "gzip"]) if request.accept_encodings else None
    if way:
        response.direct_passthrough = False
        response.set_data(small(response.get_data(), way))
        response.headers["Content-Encoding"] = way
        response.set_etag(response.get_etag()[0] or "", weak=True)  # the same file, in other bytes
    return response
