"""Static checks of pages and imports: each module has `findings()`, one line for each violation."""
