"""A worker on another host: it joins a server and plays shares of runs with its own engines."""
