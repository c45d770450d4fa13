"""Real processes, really killed and cut: what the portal survives, one test a fault (docs/reliability.md)."""
