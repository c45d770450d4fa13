"""search"""

from __future__ import annotations

import re
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.String(length=40).with_variant(sa.String(length=40, collation="C"), "postgresql")
    op.create_table(
        "search_words",
        sa.Column("word", text, nullable=False),
        sa.Column("backwards", text, nullable=False),
        sa.PrimaryKeyConstraint("word", name=op.f("pk_search_words")),
    )
    op.create_index(op.f("ix_search_words_backwards"), "search_words", ["backwards"])
    op.create_table(
        "soa_totals",
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("collector_code", text, nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("with_penalty", sa.Boolean(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("amount_due", sa.BigInteger(), nullable=False),
        sa.Column("penalty", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("status", "collector_code", "due_date", "with_penalty", name=op.f("pk_soa_totals")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO soa_totals SELECT status, coalesce(collector_code, ''), due_date, penalty > 0, count(*), "
        "sum(amount_due), sum(penalty) FROM soas GROUP BY 1, 2, 3, 4"
    )
    op.create_index("ix_soas_list_code", "soas", ["status", sa.text("coalesce(collector_code, '')"), "id"])
    fold_anew()
    if op.get_bind().dialect.name == "sqlite":
        index_on_sqlite()
    else:
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        op.execute("CREATE INDEX ix_soas_search ON soas USING gin (search_text gin_trgm_ops)")


def index_on_sqlite() -> None:
    """A trigram index that triggers keep equal to soas.search_text, whoever writes; numbered apart, because a rowid of soas may change."""
    op.execute("CREATE TABLE soa_search_rows (id INTEGER PRIMARY KEY, soa_id VARCHAR(100) NOT NULL UNIQUE)")
    op.execute("CREATE VIRTUAL TABLE soa_search USING fts5(text, tokenize = 'trigram case_sensitive 1', content = '')")
    op.execute("INSERT INTO soa_search_rows (soa_id) SELECT id FROM soas ORDER BY id")
    op.execute("INSERT INTO soa_search (rowid, text) SELECT r.id, s.search_text FROM soa_search_rows r JOIN soas s ON s.id = r.soa_id")
    op.execute("""
        CREATE TRIGGER soa_search_insert AFTER INSERT ON soas BEGIN
            INSERT INTO soa_search_rows (soa_id) VALUES (NEW.id);
            INSERT INTO soa_search (rowid, text) SELECT id, NEW.search_text FROM soa_search_rows WHERE soa_id = NEW.id;
        END""")
    op.execute("""
        CREATE TRIGGER soa_search_update AFTER UPDATE OF search_text ON soas WHEN NEW.search_text <> OLD.search_text BEGIN
            INSERT INTO soa_search (soa_search, rowid, text)
            SELECT 'delete', id, OLD.search_text FROM soa_search_rows WHERE soa_id = OLD.id;
            INSERT INTO soa_search (rowid, text) SELECT id, NEW.search_text FROM soa_search_rows WHERE soa_id = NEW.id;
        END""")
    op.execute("""
        CREATE TRIGGER soa_search_delete AFTER DELETE ON soas BEGIN
            INSERT INTO soa_search (soa_search, rowid, text)
            SELECT 'delete', id, OLD.search_text FROM soa_search_rows WHERE soa_id = OLD.id;
            DELETE FROM soa_search_rows WHERE soa_id = OLD.id;
        END""")


def fold_anew() -> None:
    """Fold what was stored before "de la" became one word, and gather the words of all names; as portal/store/search.py did then."""
    bind = op.get_bind()
    last, words = "", set()
    while rows := bind.execute(
        sa.text("SELECT id, customer_name, search_text FROM soas WHERE id > :last ORDER BY id LIMIT 5000"), {"last": last}
    ).all():
        last = rows[-1].id
        changed = [{"id": row.id, "text": join(row.search_text)} for row in rows if join(row.search_text) != row.search_text]
        if changed:
            bind.execute(sa.text("UPDATE soas SET search_text = :text WHERE id = :id"), changed)
        for row in rows:
            apart = unicodedata.normalize("NFKD", row.customer_name.casefold())
            bare = "".join(character for character in apart if not unicodedata.combining(character))
            words |= {word for word in re.findall(r"[^\W\d_]+", join(bare)) if 4 <= len(word) <= 40}
    if words:
        bind.execute(
            sa.text("INSERT INTO search_words (word, backwards) VALUES (:word, :backwards)"),
            [{"word": word, "backwards": word[::-1]} for word in sorted(words)],
        )


def join(text: str) -> str:
    """ "de la" in one word."""
    return re.sub(r"\bde (la|las|los)\b", r"de\1", " ".join(text.split()))


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")
