"""What survives a restart: profiles, runs, their results, and the digest of the key."""
