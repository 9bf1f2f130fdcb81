"""Plays a user's own locustfile: an arrival of the curve is one visitor."""
