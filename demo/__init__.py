"""Programs for demonstrations and tests; the product imports nothing from here."""
