"""Statistics that the judge needs: resampling, distributions, dispersion, tests."""
