"""Use cases: the only place that commits. Time comes in as an argument."""
