"""The one error that a route of the simulator raises on purpose."""


class ApiError(Exception):
    """Becomes an answer with this status and {"error": {"code", "message"}}."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
