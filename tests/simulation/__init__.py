"""The fault engine: simulated services, faults between them and tm, and checks of the outcome.

`trafficmorph`, `runloop` and `strait` are the services, each with its truth (`world`), its answers
(`api`, `bodies`), what they mean (`evidence`), and its `schedules`; `system` says what the engine
asks of each. The rest serves all three: `plan`, `bodies` and `nemesis` are what goes wrong, `wire`
joins it with the service. `raw_seam`, `httpx_seam` and `socket_server` are three ways for tm to
reach it. `recorder` writes down what happens, `checkers` judge it, `shrink` makes a failing
schedule small. `python tests/simulation/soak.py` runs the large sizes.
"""
