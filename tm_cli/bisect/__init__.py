"""Which commit made a service slower: the search, the repository, the services under test."""
