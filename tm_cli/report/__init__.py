"""Evidence as a JSON document, and back: reports are made from it, and gates replayed."""
