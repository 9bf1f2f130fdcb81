"""The load generators that benchmarks/engine.py compares, and the targets they are aimed at."""
