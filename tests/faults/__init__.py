"""The fault engine: a simulated service, faults between it and tm, and checks of the outcome.

`world` and `api` are the service, `plan`, `bodies` and `nemesis` what goes wrong, `wire` joins
them. `raw_seam`, `httpx_seam` and `socket_server` are three ways for tm to reach it. `schedules`
generates what happens, `recorder` writes it down, `checkers` judge it, `shrink` makes a failing
schedule small. `python tests/faults/soak.py` runs the large sizes.
"""
