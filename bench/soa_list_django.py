"""The peer of the SOA list: Django admin on the same rows. Run by an interpreter of its own that has django, gunicorn and psycopg.

`prepare` makes Django's own tables, a superuser and, on PostgreSQL, the trigram index that its search can use; gunicorn serves
`bench.soa_list_django:app`. PEER_DATABASE is a file of SQLite or an address of PostgreSQL such as `postgresql://user@/name?host=/folder`."""

from __future__ import annotations

import os
import sys
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings

DATABASE = os.environ["PEER_DATABASE"]


def _database() -> dict[str, object]:
    if not DATABASE.startswith("postgresql:"):
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE}
    parts = urlsplit(DATABASE)
    host = parse_qs(parts.query)["host"][0]
    return {
        "ENGINE": "django.db.backends.postgresql", "NAME": parts.path[1:], "USER": parts.username, "HOST": host, "CONN_MAX_AGE": None,
    }  # fmt: skip


settings.configure(
    SECRET_KEY="only-for-measuring" * 4,
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": _database()},
    USE_TZ=True,
    INSTALLED_APPS=[
        "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.messages",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware", "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware", "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.PBKDF2PasswordHasher"],
)  # fmt: skip
django.setup()

from django.contrib import admin  # noqa: E402 - Django wants its settings first
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.urls import path  # noqa: E402


class Soa(models.Model):
    """The portal's table as it stands."""

    id = models.CharField(primary_key=True, max_length=100)
    soa_number = models.CharField(max_length=100)
    account_number = models.CharField(max_length=100)
    customer_name = models.CharField(max_length=300)
    due_date = models.DateField()
    amount_due = models.BigIntegerField()
    penalty = models.BigIntegerField()
    collector_code = models.CharField(max_length=40, null=True)
    status = models.CharField(max_length=10, choices=[("active", "Active"), ("closed", "Closed")])
    changed_run_id = models.IntegerField()

    class Meta:
        """Nothing of it is Django's to make."""

        app_label = "admin"
        db_table = "soas"
        managed = False


class SoaAdmin(admin.ModelAdmin):
    """The same columns, filters and search as Django offers them; the second count of the whole table, which one switches off at this
    size, is off."""

    list_display = (
        "customer_name", "account_number", "soa_number", "due_date", "amount_due", "penalty", "collector_code", "status", "changed_run_id",
    )  # fmt: skip
    list_filter = ("status", "collector_code", "due_date")
    search_fields = ("customer_name", "account_number", "soa_number")
    ordering = ("due_date", "id")
    list_per_page = 50
    show_full_result_count = False


admin.site.register(Soa, SoaAdmin)
urlpatterns = [path("admin/", admin.site.urls)]
app = get_wsgi_application()


def prepare() -> None:
    """Django's own tables, the person who looks, and the index of the search."""
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    if not User.objects.filter(username="peer").exists():
        User.objects.create_superuser("peer", "", "peer-looks-on")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for column in ("customer_name", "account_number", "soa_number"):
                cursor.execute(f"CREATE INDEX IF NOT EXISTS peer_{column} ON soas USING gin (upper({column}) gin_trgm_ops)")
            cursor.execute("ANALYZE soas")


if __name__ == "__main__" and sys.argv[1:] == ["prepare"]:
    prepare()
