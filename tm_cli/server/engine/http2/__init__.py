"""HTTP/2 (RFC 9113) for targets that speak nothing else, or where a profile asks for it."""
