"""Errors whose message a cashier can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class PortalError(Exception):
    """Something the user can understand and mend. `code` is stable for programs; the message is for people."""

    code = "error"
    status = 400
    extra: ClassVar[Mapping[str, object]] = {}
    """What a program is told besides."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code:
            self.code = code


class NotFound(PortalError):
    """The thing asked for does not exist, or is not the asker's to see (the two are told apart nowhere)."""

    code = "not_found"
    status = 404


class Forbidden(PortalError):
    """The user may not do this."""

    code = "forbidden"
    status = 403


class Conflict(PortalError):
    """The state of things does not allow this now; nothing was changed."""

    code = "conflict"
    status = 409


class InvalidInput(PortalError):
    """What was typed or sent cannot be right; the message says what would be."""

    code = "invalid"
    status = 422


class InvalidAmount(InvalidInput):
    """A text or number that is not an exact amount of pesos and centavos."""

    code = "invalid_amount"


class Busy(PortalError):
    """A part the portal leans on is not answering; asking again later is safe."""

    code = "busy"
    status = 503
