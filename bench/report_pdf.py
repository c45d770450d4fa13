"""Collection Report as PDF: the product's way beside a plain WeasyPrint table of the same columns, each in a process of its own.

`python -m bench.report_pdf [rows ...]` (default 1000) prints processor seconds and peak memory of the whole process, and their ratios.
A plain table of 10,000 rows takes a minute and 1.7 GB: `--plain-once SECONDS MEGABYTES` takes figures measured before instead."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

NOW = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)


def payments(count: int) -> list[Any]:
    """So many payments of one month, always the same."""
    from portal.store.ledger import PaymentRow, SplitRow

    names = ("Dela Cruz, Maria Consolacion", "Reyes, Juan", "Santos-Villanueva, Ma. Theresa", "Bautista, Ana", "Ocampo, Jose Mari")
    tenders = (("cash", None, None), ("check", "BDO", "00{n:06d}"), ("e_wallet", "GCash", "GC{n:09d}"), ("cash", None, None))
    found = []
    for n in range(1, count + 1):
        tender, channel, reference = tenders[n % len(tenders)]
        given: dict[str, Any] = {
            "id": f"00000000-0000-4000-8000-{n:012d}", "receipt_number": f"T{n % 20 + 1:02d}-{n // 20 + 1:08d}",
            "account_number": f"MP-2019-{n:06d}", "customer_name": names[n % len(names)], "collector_display": "Nena Reyes",
            "amount": Decimal(112_000 + n % 997).scaleb(-2), "tender": tender, "channel": channel,
            "reference": reference.format(n=n) if reference else None, "status": "completed", "flags": (), "void": None,
            "collected_at": NOW + timedelta(minutes=n), "business_date": date(2026, 11, 20),
        }  # fmt: skip
        row = PaymentRow._make(given.get(name) for name in PaymentRow._fields)
        parts = (Decimal("12.00"), row.amount - Decimal("12.00"), Decimal("0.00"))
        found.append(SplitRow(row, *parts, (f"SI-{n:07d}", f"SI-{n + 1:07d}")[: n % 2 + 1]))
    return found


def make(way: str, count: int, folder: Path, kept: Path | None) -> None:
    """Set the report and say how long this process took, how much of it the processor worked, and how large it became."""
    begun = time.perf_counter()
    from config import TestConfig
    from portal import collection_report, create_app
    from portal.documents import html_to_pdf

    app = create_app(TestConfig(folder, DATABASE_URL=f"sqlite:///{folder / 'portal.sqlite3'}"))
    with app.app_context():
        rows = [(line, None) for line in payments(count)]
        words = ["1 Nov 2026 to 30 Nov 2026"]
        if way == "plain":
            context: dict[str, Any] = {**collection_report.contents(rows, words, []), "made_at": NOW}
            app.update_template_context(context)
            html = app.jinja_env.get_template("pdf/collection_report.html").render(context)
            content = html_to_pdf(html.replace('class="grid payments"', 'class="grid"'))
        else:
            content = collection_report.pdf(rows, words, [], NOW, lambda done: None)
    if kept:
        kept.write_bytes(content)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def measured(way: str, count: int, folder: Path, kept: str | None) -> tuple[float, float]:
    """Seconds of the processor (others may use the machine meanwhile) and MiB of a process of its own."""
    command = [sys.executable, "-m", "bench.report_pdf", "--make", way, "--folder", str(folder), str(count)]
    if kept:
        command += ["--keep", f"{kept}-{way}-{count}.pdf"]
    _, seconds, memory = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-3:]
    return float(seconds), float(memory)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", type=int, default=[1000])
    parser.add_argument("--make", choices=("plain", "lines"))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--keep", help="where to keep the PDFs: the beginning of their names")
    parser.add_argument("--plain-once", nargs=2, type=float, metavar=("SECONDS", "MEGABYTES"))
    given = parser.parse_args()
    if given.make:
        make(given.make, given.rows[0], given.folder, Path(given.keep) if given.keep else None)
        return
    import flask_migrate

    from config import TestConfig
    from portal import create_app

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with create_app(TestConfig(folder, DATABASE_URL=f"sqlite:///{folder / 'portal.sqlite3'}")).app_context():
            flask_migrate.upgrade()
        for count in given.rows:
            plain = tuple(given.plain_once) if given.plain_once else measured("plain", count, folder, given.keep)
            ours = measured("lines", count, folder, given.keep)
            print(f"{count:,} rows: plain table {plain[0]:.2f} s, {plain[1]:.0f} MiB; lines {ours[0]:.2f} s, {ours[1]:.0f} MiB;", end=" ")
            print(f"{plain[0] / ours[0]:.1f}x faster, {ours[1] / plain[1]:.2f}x the memory")


if __name__ == "__main__":
    main()
