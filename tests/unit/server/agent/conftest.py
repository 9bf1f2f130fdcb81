import pytest

from tests.unit.server.running_agent import RunningAgent


@pytest.fixture
def start_agent(server):
    started = []

    def start(where=server, **options):
        agent = RunningAgent(where, **options).start()
        started.append(agent)
        return agent

    yield start
    for agent in started:
        agent.stop()
