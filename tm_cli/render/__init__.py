"""Objects in, text out; knows models and events, never a client."""
