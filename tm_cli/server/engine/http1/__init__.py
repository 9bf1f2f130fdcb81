"""HTTP/1.1: requests, connections and responses, and the client of a run with one request."""
