"""The response script of a profile, and the requests that it asks for."""
