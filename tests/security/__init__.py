"""Closed by default: who may do what, and what nobody may (docs/security.md)."""
