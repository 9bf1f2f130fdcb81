"""The job-run API of Strait servers."""
