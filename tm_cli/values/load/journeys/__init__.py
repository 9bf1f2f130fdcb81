"""Journeys without code: the steps that a visitor plays, and checks on what is answered."""
