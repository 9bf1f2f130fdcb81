"""One noun per file: a command declares its options, makes one call and hands on the result."""
