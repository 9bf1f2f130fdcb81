"""`tm demo`: a small service, a load test of it, and a gate that passes and then fails."""
