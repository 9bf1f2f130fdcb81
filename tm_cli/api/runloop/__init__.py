"""The benchmark part of the Runloop API."""
