"""The WSGI entry point."""

from config import Config
from portal import create_app

app = create_app(Config())
