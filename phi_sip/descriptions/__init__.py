"""Objects as plain data, and plain data as objects."""
