"""Who may call a view. A view that declares nothing is closed to everybody (RELIABILITY S27)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])
PUBLIC = "public"
ROLES = ("collector", "office", "supervisor", "admin")
IMPLIED = {"supervisor": ("office",)}
"""A supervisor does all that the office does (DOMAIN 1)."""


def public(view: View) -> View:
    """Anybody may call it, signed in or not."""
    view.access = frozenset({PUBLIC})  # type: ignore[attr-defined]
    return view


def roles(*allowed: str) -> Callable[[View], View]:
    """Only people who hold one of these roles may call it."""
    unknown = set(allowed) - set(ROLES)
    if unknown or not allowed:
        raise ValueError(f"unknown or no role: {sorted(unknown)}")

    def mark(view: View) -> View:
        view.access = frozenset(allowed)  # type: ignore[attr-defined]
        return view

    return mark


def plain_reads(view: View) -> View:
    """It only reads, each query by itself: PostgreSQL need not begin and end a transaction around them."""
    view.plain_reads = True  # type: ignore[attr-defined]
    return view


def declared(view: Callable[..., Any]) -> frozenset[str] | None:
    """What a view declared, or None."""
    return getattr(view, "access", None)


def effective(held: frozenset[str]) -> frozenset[str]:
    """The roles held, with those they imply."""
    return held.union(*(IMPLIED.get(role, ()) for role in held))


def allows(access: frozenset[str] | None, held: frozenset[str] | None) -> bool:
    """Whether somebody with these roles (None: not signed in) may call a view with this declaration."""
    if access is None:
        return False
    if PUBLIC in access:
        return True
    return held is not None and bool(access & effective(held))
