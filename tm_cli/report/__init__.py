"""The report file: one model gives its writer, its strict reader and its JSON Schema."""
