"""The OpenAPI document of the embedded server: operations, answers, and how it is put together."""
