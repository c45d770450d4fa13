"""Configuration from the environment (and `.env`, which the environment beats). Fails loudly at start, never later."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values

ROOT = Path(__file__).resolve().parent
QUEUES = ("sync", "posting", "exports")


class ConfigError(Exception):
    """A setting is missing or wrong; the message says which and what to write instead."""


def _flag(env: Mapping[str, str], name: str, default: bool = False) -> bool:
    text = env.get(name, "").strip().lower()
    if not text:
        return default
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise ConfigError(f"{name} must be 1 or 0, not {text!r}.")


def _number(env: Mapping[str, str], name: str, default: int, lowest: int, highest: int) -> int:
    text = env.get(name, "").strip() or str(default)
    if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= highest:
        raise ConfigError(f"{name} must be a whole number from {lowest} to {highest}, not {text!r}.")
    return int(text)


def _one_of(env: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    text = env.get(name, "").strip().lower() or choices[0]
    if text not in choices:
        raise ConfigError(f"{name} must be one of {', '.join(choices)}, not {text!r}.")
    return text


def _started_here(data_dir: Path) -> dict[str, str]:
    """What ./run serves on this data folder (its Redis, the demo's simulator): a flask command typed in another window finds it here."""
    try:
        values = json.loads((data_dir / "running.json").read_text())
    except (FileNotFoundError, PermissionError, ValueError):
        return {}
    return {name: value for name, value in values.items() if value}


class Config:
    """Settings of one process. Upper-case attributes are Flask configuration; money settings are in pesos."""

    TESTING = False

    def __init__(self, environment: Mapping[str, str] | None = None, *, make_secret: bool = True) -> None:
        """Read `environment` (default: `.env` beneath the process's own). Raises ConfigError in plain words."""
        if environment is None:
            file_values = {k: v for k, v in dotenv_values(ROOT / ".env").items() if v is not None}
            environment = {**file_values, **os.environ}
            from_machine = True
        else:
            from_machine = False
        env = {k: v for k, v in environment.items() if v != ""}

        self.HOST = env.get("HOST", "127.0.0.1")
        self.PORT = _number(env, "PORT", 8000, 1, 65535)
        self.WEB_WORKERS = _number(env, "WEB_WORKERS", 2, 1, 64)
        self.LOG_FORMAT = _one_of(env, "LOG_FORMAT", ("console", "json"))
        self.TRUSTED_PROXIES = _number(env, "TRUSTED_PROXIES", 0, 0, 10)

        # The supervisor sets PORTAL_DEMO for its children: they have a PSCLOUD_URL (the simulator's) and are a demo all the same.
        self.DEMO = _flag(env, "PORTAL_DEMO", default="PSCLOUD_URL" not in env)
        base = Path(env.get("DATA_DIR", str(ROOT / "var"))).expanduser()
        base = base if base.is_absolute() else ROOT / base
        self.BASE_DATA_DIR = base
        self.DATA_DIR = base / "demo" if self.DEMO else base
        if from_machine:
            env = {**_started_here(self.DATA_DIR), **env}
        self.SQLALCHEMY_DATABASE_URI = self.DATABASE_URL = self._database_url(env)
        self.REDIS_URL = env.get("REDIS_URL")
        self.SECRET_KEY = env.get("SECRET_KEY") or (self._own_secret() if make_secret else None)
        if self.SECRET_KEY is not None and len(self.SECRET_KEY) < 32:
            raise ConfigError("SECRET_KEY must be at least 32 characters of random text.")
        fallbacks = env.get("SECRET_KEY_FALLBACKS", "").split()
        self.SECRET_KEY_FALLBACKS = fallbacks or None

        self.PSCLOUD_URL = env.get("PSCLOUD_URL", "").rstrip("/")
        self.PSCLOUD_TOKEN = env.get("PSCLOUD_TOKEN", "")
        self.PSCLOUD_PROFILE = env.get("PSCLOUD_PROFILE", "")
        self.PSCLOUD_ALLOW_PRIVATE = _flag(env, "PSCLOUD_ALLOW_PRIVATE")
        self.SYNC_SCHEDULE = env.get("SYNC_SCHEDULE", "0 5 * * *")
        self.SYNC_DROP_PERCENT = _number(env, "SYNC_DROP_PERCENT", 20, 0, 100)
        self.BUSINESS_TIMEZONE = env.get("BUSINESS_TIMEZONE", "Asia/Manila")
        try:
            self.ZONE = ZoneInfo(self.BUSINESS_TIMEZONE)
        except (ZoneInfoNotFoundError, ValueError):
            raise ConfigError(f"BUSINESS_TIMEZONE {self.BUSINESS_TIMEZONE!r} is not a time zone; write e.g. Asia/Manila.") from None
        self.PAYMENT_APPROVAL = _one_of(env, "PAYMENT_APPROVAL", ("automatic", "manual"))
        self.TERMINAL_APPROVAL = _one_of(env, "TERMINAL_APPROVAL", ("automatic", "manual"))
        self.STALE_SOA_DAYS = _number(env, "STALE_SOA_DAYS", 7, 1, 365)
        self.ADMIN_USERNAME = env.get("ADMIN_USERNAME", "")
        self.ADMIN_PASSWORD = env.get("ADMIN_PASSWORD", "")
        self.HTMX_SOURCE = _one_of(env, "HTMX_SOURCE", ("cdn", "local"))

        demo_name = "Hardin ng Kapayapaan Memorial Park, Inc." if self.DEMO else ""
        self.ORGANISATION_NAME = env.get("ORGANISATION_NAME", demo_name or "Your organisation")
        self.ORGANISATION = {
            "registered_name": self.ORGANISATION_NAME,
            "business_name": env.get("BUSINESS_NAME", "Hardin ng Kapayapaan" if self.DEMO else ""),
            "address": env.get("ORGANISATION_ADDRESS", "MacArthur Highway, Malolos City, Bulacan" if self.DEMO else ""),
            "tin": env.get("ORGANISATION_TIN", "000-000-000-00000" if self.DEMO else ""),
            "vat_registered": _flag(env, "VAT_REGISTERED", True),
            "min": env.get("RECEIPT_MIN", "DEMO-MIN-0000000" if self.DEMO else ""),
            "serial": env.get("RECEIPT_SERIAL", "DEMO-SERIAL-0000" if self.DEMO else ""),
            "ptu": env.get("RECEIPT_PTU", "DEMO-PTU-0000000" if self.DEMO else ""),
            "receipt_title": env.get("RECEIPT_TITLE", "COLLECTION RECEIPT"),
            "receipt_phrase": env.get("RECEIPT_PHRASE", "THIS DOCUMENT IS NOT VALID FOR CLAIM OF INPUT TAX"),
        }

        # The connection used last is the one with its statements prepared and its pages at hand.
        self.SQLALCHEMY_ENGINE_OPTIONS: dict[str, object] = {"pool_use_lifo": True}
        self.MAX_CONTENT_LENGTH = 2 * 1024 * 1024
        self.MAX_FORM_MEMORY_SIZE = 256 * 1024
        self.MAX_FORM_PARTS = 200
        self.SESSION_COOKIE_HTTPONLY = True
        self.SESSION_COOKIE_SAMESITE = "Lax"
        self.WTF_CSRF_TIME_LIMIT = None  # the token lives and dies with the sign-in, so a page left open over night still works
        self.WTF_CSRF_SSL_STRICT = True
        self.RATELIMIT_ENABLED = True
        self.RATELIMIT_IN_MEMORY_FALLBACK_ENABLED = True
        self.LOGIN_ATTEMPTS = env.get("LOGIN_ATTEMPTS", "10 per minute; 30 per hour")
        self.LOGIN_ATTEMPTS_OF_AN_ADDRESS = env.get("LOGIN_ATTEMPTS_OF_AN_ADDRESS", "40 per minute; 200 per hour")
        self.IDLE_MINUTES = _number(env, "IDLE_MINUTES", 12 * 60, 5, 10080)
        self.SIGN_IN_HOURS = _number(env, "SIGN_IN_HOURS", 7 * 24, 1, 744)

    def _database_url(self, env: Mapping[str, str]) -> str:
        url = env.get("DATABASE_URL") or "sqlite:///DATA_DIR/portal.sqlite3"
        if url.startswith("sqlite:///DATA_DIR/"):
            return "sqlite:///" + str(self.DATA_DIR / url.removeprefix("sqlite:///DATA_DIR/"))
        if url.startswith(("postgresql://", "postgres://")):
            return "postgresql+psycopg://" + url.split("://", 1)[1]
        if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ConfigError("DATABASE_URL must start with sqlite:/// or postgresql+psycopg://.")
        return url

    def _own_secret(self) -> str:
        """The secret kept in DATA_DIR with mode 600; made at first use, when one machine serves alone."""
        if not self.DATABASE_URL.startswith("sqlite:"):
            raise ConfigError(
                "SECRET_KEY is required with a PostgreSQL database: several machines must share it. Write 64 random characters."
            )
        self.DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.DATA_DIR / "secret_key"
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_text().strip()
        secret = secrets.token_urlsafe(48)
        with os.fdopen(handle, "w") as file:
            file.write(secret)
        return secret


class TestConfig(Config):
    """Configuration for tests: everything explicit, nothing read from the machine."""

    __test__ = False
    TESTING = True

    def __init__(self, directory: Path, **environment: str) -> None:
        """Settings with DATA_DIR under `directory`; keyword arguments are environment variables."""
        defaults = {
            "DATA_DIR": str(directory),
            "SECRET_KEY": "tests-only-" + "k" * 40,
            "PSCLOUD_URL": "http://127.0.0.1:9",
            "PSCLOUD_TOKEN": "test-token",
            "PSCLOUD_ALLOW_PRIVATE": "1",
            "ORGANISATION_NAME": "Hardin ng Kapayapaan Memorial Park, Inc.",
        }
        super().__init__({**defaults, **environment})
        self.RATELIMIT_ENABLED = "LOGIN_ATTEMPTS" in environment
