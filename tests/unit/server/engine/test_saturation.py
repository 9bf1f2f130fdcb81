from pathlib import Path

import pytest

from tm_cli.server.engine.saturation import (
    CpuPressure,
    Flags,
    LoadSample,
    Saturation,
    p99,
    share_above,
    signs,
)

CALM = LoadSample(cpu=0.4, late=0.01, held=0.01, service_p99=0.1)
GENERATOR = Flags(generator_saturated=True)
DOWNSTREAM = Flags(downstream_saturated=True)
FLAKY = Flags(flaky_dispatch=True)


@pytest.mark.parametrize(
    ("sample", "flags"),
    [
        pytest.param(CALM, Flags(), id="calm"),
        pytest.param(LoadSample(), Flags(), id="nothing-happened"),
        pytest.param(LoadSample(cpu=0.95), GENERATOR, id="no-processor-left"),
        pytest.param(LoadSample(late=0.03), Flags(), id="one-hiccup"),
        pytest.param(LoadSample(late=0.2), GENERATOR, id="dispatched-late"),
        pytest.param(LoadSample(held=0.2), GENERATOR, id="sent-late-though-slots-were-free"),
        pytest.param(
            LoadSample(held=0.2, is_full=True, cpu=0.3), DOWNSTREAM, id="target-holds-slots"
        ),
        pytest.param(LoadSample(held=0.2, is_full=True, cpu=0.8), GENERATOR, id="who-knows"),
        pytest.param(
            LoadSample(held=0.5, late=0.5, is_full=True, cpu=0.3),
            GENERATOR,
            id="late-before-any-slot",
        ),
        pytest.param(LoadSample(is_full=True, cpu=0.3), Flags(), id="full-but-nobody-waits"),
        pytest.param(LoadSample(service_p99=0.85), DOWNSTREAM, id="near-the-timeout"),
        pytest.param(LoadSample(lost=0.06), FLAKY, id="answers-missing"),
        pytest.param(
            LoadSample(held=0.5, is_full=True, cpu=0.2, thinking=0.4),
            DOWNSTREAM,
            id="visitors-held-by-the-target",
        ),
        pytest.param(
            LoadSample(held=0.5, is_full=True, cpu=0.2, thinking=0.6),
            GENERATOR,
            id="too-few-senders-for-visitors-who-think",
        ),
        pytest.param(
            LoadSample(service_p99=1.0, lost=1.0, cpu=0.99),
            Flags(generator_saturated=True, downstream_saturated=True, flaky_dispatch=True),
            id="everything-at-once",
        ),
    ],
)
def test_the_signs_of_a_sample_are(sample: LoadSample, flags: Flags) -> None:
    assert signs(sample) == flags


def test_a_sign_of_one_second_raises_nothing() -> None:
    saturation = Saturation()
    for sample in (CALM, LoadSample(cpu=1.0), CALM, LoadSample(cpu=1.0)):
        saturation.observe(sample)
    assert (saturation.now, saturation.ever) == (Flags(), Flags())


def test_a_sign_of_two_seconds_raises_the_flag_until_it_is_gone() -> None:
    saturation = Saturation()
    saturation.observe(LoadSample(cpu=1.0))
    saturation.observe(LoadSample(late=1.0))
    assert saturation.now == GENERATOR
    saturation.observe(CALM)
    assert (saturation.now, saturation.ever) == (Flags(), GENERATOR)


def test_different_signs_do_not_add_up() -> None:
    saturation = Saturation()
    saturation.observe(LoadSample(cpu=1.0))
    saturation.observe(LoadSample(lost=1.0))
    assert saturation.ever == Flags()


def test_the_99th_percentile_is_a_nearest_rank() -> None:
    assert p99([]) == 0
    assert p99([5.0]) == 5
    assert p99([float(n) for n in range(1, 101)]) == 99


def test_the_share_above_a_limit_leaves_the_limit_out() -> None:
    assert share_above([], 1) == 0
    assert share_above([1, 2, 3, 1], 1) == 0.5


MACHINE, GROUP = "proc/pressure/cpu", "sys/fs/cgroup/ci/job/cpu.pressure"


def waited(root: Path, name: str, seconds: float) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    microseconds = int(seconds * 1e6)
    path.write_text(f"some avg10=1.00 avg60=2.00 avg300=3.00 total={microseconds}\nfull total=0\n")


@pytest.mark.parametrize(
    ("files", "group", "share"),
    [
        pytest.param({MACHINE: 3}, "0::/", 0.3, id="of-the-machine"),
        pytest.param({MACHINE: 3, GROUP: 1}, "9:cpu:/\n0::/ci/job\n", 0.1, id="of-the-own-group"),
        pytest.param(
            {MACHINE: 3, GROUP: 1}, "9:cpu:/ci/job", 0.3, id="the-first-version-of-groups"
        ),
        pytest.param({MACHINE: 40}, "", 1.0, id="never-more-than-always"),
        pytest.param({}, "0::/ci/job", None, id="another-system"),
    ],
)
def test_the_share_of_the_time_in_which_a_task_waited_for_a_cpu(
    tmp_path: Path, files: dict[str, float], group: str, share: float | None
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(group)
    for name in files:
        waited(tmp_path, name, 500)
    times = iter([0.0, 100.0, 110.0])
    pressure = CpuPressure(lambda: next(times), tmp_path)
    pressure.begin()
    for name, seconds in files.items():
        waited(tmp_path, name, 500 + seconds)
    assert pressure.share() == share


@pytest.mark.parametrize("text", ["", "some avg10=1.00", "full total=5", "some total=x", "\xff"])
def test_what_cannot_be_read_is_no_pressure(tmp_path: Path, text: str) -> None:
    (tmp_path / "proc/pressure").mkdir(parents=True)
    (tmp_path / MACHINE).write_text(text)
    assert CpuPressure(lambda: 0.0, tmp_path).share() is None
