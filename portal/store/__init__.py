"""The one place for SQL. Takes and gives domain objects or small row dataclasses; never commits."""
