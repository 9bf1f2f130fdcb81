"""Comments on pull and merge requests, on GitHub and GitLab."""
