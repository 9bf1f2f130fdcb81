"""The operations of the API, a file per noun."""
