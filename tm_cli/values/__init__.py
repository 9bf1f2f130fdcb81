"""Value types that any package may use: text, times, addresses, limits."""
