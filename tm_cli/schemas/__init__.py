"""JSON Schemas of what tm writes."""
