"""A worker on another host: joins a server and runs shares of its load in local engines."""
