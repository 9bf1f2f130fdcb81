"""Names of the places that send load."""

LOCAL = "local"


def display_name(region: str) -> str:
    """The name to show for a region."""
    return "Local" if region == LOCAL else region
