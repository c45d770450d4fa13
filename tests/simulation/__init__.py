"""A seeded simulation of bad days: the real portal, model phones and a model PSCloud in one process (docs/reliability.md)."""
