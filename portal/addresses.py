"""What every page asks for again and again is put together once: addresses, and parts of the frame that are alike for many people."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import quote

from flask import Flask, has_request_context, request, url_for
from jinja2 import Template, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import TemplateModule
from jinja2.runtime import Context, Macro
from markupsafe import escape

try:
    from markupsafe._speedups import _escape_inner as _escape_text
except ImportError:  # without its compiled part, or in a version that names it otherwise

    def _escape_text(s: str, /) -> str:
        return str(escape(s))


KEPT = 4096
"""Addresses kept at a time; the longest unused go first, so a million SOAs cannot fill the memory."""


@lru_cache(KEPT)
def _kept(_app: Flask, _root: str, endpoint: str, values: tuple[tuple[str, Any], ...]) -> str:
    return url_for(endpoint, **dict(values))


def address(app: Flask, endpoint: str, **values: Any) -> str:
    """url_for(), remembered: an address within the site depends on nothing but its parts and where the application is mounted."""
    kept = has_request_context() and not endpoint.startswith(".") and all(type(value) in (str, int) for value in values.values())
    if not kept or any(name.startswith("_") for name in values):
        return url_for(endpoint, **values)
    return _kept(app, request.environ.get("SCRIPT_NAME", ""), endpoint, tuple(values.items()))


def in_address(text: str, before: str = "") -> str:
    """A text as part of an address, as Jinja's urlencode has it, behind what comes before it; nearly every number of ours is one."""
    return before + (text if text.isascii() and text.isalnum() else quote(text))


def once(kept: dict[tuple[Any, ...], str], macro: Macro, *values: str | int | tuple[str, ...]) -> str:
    """What the macro makes of these values, escaped, made once for each: its name is its own among those used so, and it looks at nothing
    else."""
    key = (macro.name, request.environ.get("SCRIPT_NAME", ""), *values)
    found = kept.get(key)
    if found is None:
        if len(kept) >= KEPT:
            kept.clear()
        found = kept[key] = macro(*values)
    return found


class KnownTemplate(Template):
    """A template whose macros are put together once for all that import them. Jinja asks at each import whether the importing template has
    globals of its own, which ours never have; ten such questions a page take longer than its query."""

    def _get_default_module(self, ctx: Context | None = None) -> TemplateModule:
        return super()._get_default_module()


def escaped(value: Any) -> str:
    """What escape() makes of a value, as plain text: a page joins it at once, and has a thousand values to make into an object each."""
    kind = type(value)
    if kind is str:
        return _escape_text(value)
    if kind is int:
        return str(value)
    return str(escape(value))


class QuickCode(CodeGenerator):
    """Templates whose values are escaped by escaped(); where autoescape is decided while a template runs, by Jinja's own."""

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        if frame.eval_ctx.volatile or not frame.eval_ctx.autoescape or finalize.src is not None:
            super()._output_child_pre(node, frame, finalize)
        else:
            self.write("environment.escaped(")


def register(app: Flask) -> None:
    """What templates call url_for and once, and the filter for addresses they put together themselves."""
    kept: dict[tuple[Any, ...], str] = {}
    app.jinja_env.template_class = KnownTemplate
    app.jinja_env.code_generator_class = QuickCode
    app.jinja_env.extend(escaped=escaped)
    app.jinja_env.globals["once"] = lambda macro, *values: once(kept, macro, *values)
    app.add_template_filter(in_address)
    app.jinja_env.globals["url_for"] = lambda endpoint, **values: address(app, endpoint, **values)
