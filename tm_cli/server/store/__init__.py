"""What is stored on disk: profiles, runs, their results, and the digest of the key."""
