"""The rules of collecting money, on plain values: no clock, no database, no network."""
