"""Reads pipelines: do their gates run, and does a failing gate fail the pipeline?"""
