"""Profile documents made from what exists: HAR files, curl commands, OpenAPI, access logs.

Each reader turns a text into `Traffic`; `document_text` writes that as a profile document.
"""
