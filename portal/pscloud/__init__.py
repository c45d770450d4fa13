"""The connector: the only code that knows PSCloud's addresses and field names."""
