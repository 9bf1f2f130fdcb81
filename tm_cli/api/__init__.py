"""Clients of the REST APIs: bytes and errors in `transport`, a method per endpoint in `client`."""
