"""Plays journeys: several requests for one arrival, with checks, extraction and cookies."""
