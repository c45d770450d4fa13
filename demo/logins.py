"""The people of the demo. They exist only where no PSCLOUD_URL is set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Login:
    """One demo user."""

    name: str
    password: str
    display_name: str
    roles: tuple[str, ...]


LOGINS = (
    Login("nena", "nena-collects", "Nena Santos", ("collector",)),
    Login("jun", "jun-collects", "Jun Reyes", ("collector",)),
    Login("carla", "carla-cashier", "Carla Mendoza", ("office",)),
    Login("ramon", "ramon-supervises", "Ramon Villanueva", ("supervisor",)),
    Login("admin", "admin-of-demo", "Amihan Cruz", ("admin",)),
)
