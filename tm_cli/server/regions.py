"""Names of the places that send load."""

LOCAL = "local"


def display_name(region: str) -> str:
    return "Local" if region == LOCAL else region
