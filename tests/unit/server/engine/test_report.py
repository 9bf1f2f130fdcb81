import pytest

from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.recorder import EngineReport, OpenBucket, Recorder
from tm_cli.server.engine.saturation import CpuPressure

DUET = {"against": {"target_url": "http://127.0.0.1:81/"}}


class Stage:
    """A report on a run of 10 requests per second; `busy` is the processor's time."""

    def __init__(self, **changes: object) -> None:
        self.now = 1000.0
        self.busy = 0.0
        job = EngineJob.parse(
            {
                "run_id": "run",
                "target_url": "http://127.0.0.1:80/",
                "points": [[0, 10]],
                "duration": 20.0,
                "slots": 4,
                "timeout": 10.0,
                **changes,
            }
        )
        self.plan = job.plan
        self.recorder = Recorder(self.plan)
        self.numbers = iter(range(200))
        self.report = EngineReport(
            job,
            self.plan,
            self.recorder,
            monotonic=lambda: self.now,
            cpu_time=lambda: self.busy,
            pressure=CpuPressure(lambda: self.now),
        )

    def send(self, side: int = 0, wait: float = 0.0) -> OpenBucket:
        """Begin the next request of a side."""
        number = next(n for n in self.numbers if self.plan.side(n) == side)
        self.plan.takes(number)
        bucket = self.recorder.claim(number, number / 10)
        self.recorder.began(bucket, self.now - wait, self.now)
        return bucket

    def answer(self, bucket: OpenBucket, service: float = 0.01) -> None:
        self.recorder.ended(bucket, self.now, self.now, self.now + service, 200)


def test_progress_counts_what_is_due_sent_under_way_and_waiting() -> None:
    stage = Stage()
    for _ in range(3):
        stage.answer(stage.send())
    stage.send()
    progress = stage.report.progress(0.6, is_paused=False)
    assert {name: progress[name] for name in ("due", "sent", "completed")} == {
        "due": 6,
        "sent": 4,
        "completed": 3,
    }
    assert (progress["in_flight"], progress["backlog"], progress["slots"]) == (1, 2, 4)


def test_the_processors_share_leaves_out_what_came_before_the_run() -> None:
    stage = Stage()
    stage.now, stage.busy = 1100.0, 50.0
    stage.report.begin()
    stage.now, stage.busy = 1101.0, 50.25
    assert stage.report.progress(1, is_paused=False)["cpu"] == 0.25


def test_the_sums_are_those_of_our_share() -> None:
    stage = Stage(share={"index": 1, "count": 4})
    finished = stage.report.finished("completed", 20.0)
    assert (finished["planned"], finished["due"], finished["shortfall"]) == (50, 50, 50)


@pytest.mark.parametrize("side", [0, 1])
def test_one_target_of_an_ab_run_can_hold_all_the_slots_of_its_side(side: int) -> None:
    stage = Stage(**DUET)
    for _ in range(2):  # of its two slots
        stage.send(side, wait=0.5)
    for second in (1, 2):
        stage.now += 1
        progress = stage.report.progress(second, is_paused=False)
    assert (progress["downstream_saturated"], progress["generator_saturated"]) == (True, False)


def test_a_pause_is_no_saturation() -> None:
    stage = Stage()
    for second in (1, 2, 3):
        stage.now += 1
        stage.send(wait=5.0)
        progress = stage.report.progress(second, is_paused=True)
    assert progress["generator_saturated"] is progress["downstream_saturated"] is False
