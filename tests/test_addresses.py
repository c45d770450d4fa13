"""What templates write is escaped, by the quick way as by Jinja's own."""

from __future__ import annotations

from decimal import Decimal

import pytest
from flask import Flask
from markupsafe import Markup, escape

from portal import addresses

NASTY = '<script>alert(\'"&")</script>'


class OwnHtml:
    """An object that says itself how it is written."""

    def __html__(self) -> str:
        return "<b>own</b>"


@pytest.mark.parametrize("value", ["", "Peña", NASTY, Markup("<b>"), OwnHtml(), 7, -1, True, None, Decimal("1.50"), [NASTY]])
def test_a_value_is_escaped_as_by_markupsafe(value: object) -> None:
    found = addresses.escaped(value)
    assert found == str(escape(value)) and type(found) is str


def test_templates_of_the_portal_escape_wherever_a_value_stands(app: Flask) -> None:
    source = (
        "{% macro cell(words) %}<td title='{{ words }}'>{{ words }}{{ caller() }}</td>{% endmacro %}{% set block %}{{ nasty }}{% endset %}"
        "{% call cell(nasty) %}{{ nasty|upper }}{% endcall %}{{ block }}{{ number }}{{ missing }}{{ '<' ~ nasty }}"
        "{% autoescape false %}{{ plain }}{% endautoescape %}{{ own }}"
    )
    assert "environment.escaped(" in app.jinja_env.compile(source, raw=True)
    safe = str(escape(NASTY))
    found = app.jinja_env.from_string(source).render(nasty=NASTY, number=5, plain="<i>", own=OwnHtml())
    assert found == f"<td title='{safe}'>{safe}{escape(NASTY.upper())}</td>{safe}5&lt;{safe}<i><b>own</b>"
