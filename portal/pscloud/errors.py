"""What can go wrong with PSCloud; every message is fit for the office."""

from __future__ import annotations


class PscloudError(Exception):
    """PSCloud did not give what was asked for; the message says what happened and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Retryable(PscloudError):
    """Trying again later may work. `retry_after` is PSCloud's wish in seconds, or None; `outcome_unknown` says that what was
    sent may have arrived all the same, so PSCloud must be asked before it is sent again."""

    def __init__(self, message: str, retry_after: float | None = None, *, outcome_unknown: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.outcome_unknown = outcome_unknown


class Rejected(PscloudError):
    """The same request will not work however often it is sent; `status` is the HTTP status when there was one, `code` and `says` what
    PSCloud itself gives as its reason, `answer` the body."""

    def __init__(self, message: str, status: int | None = None, *, code: str = "", says: str = "", answer: bytes = b"") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.says = says
        self.answer = answer


class AuthFailed(PscloudError):
    """PSCloud does not accept our token or log-in (401) or does not let it do this (403); `says` is its own reason."""

    def __init__(self, message: str, status: int = 401, says: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.says = says
