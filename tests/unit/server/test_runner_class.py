"""How the class of a machine is named."""

import os
import platform

import pytest

from tm_cli.server.runner_class import runner_class


def test_class_names_system_processor_and_number_of_cpus():
    found = runner_class({})
    assert found.startswith(f"{platform.system()} {platform.machine()}, ")
    assert f"{os.cpu_count()} CPU" in found


@pytest.mark.parametrize(
    "environ",
    [
        {"TM_RUNNER_CLASS": "large"},
        {"TM_RUNNER_CLASS": "large", "ImageOS": "ubuntu24"},
        {"TM_RUNNER_CLASS": "", "ImageOS": "large"},
        {"CI_RUNNER_TAGS": "large"},
    ],
)
def test_label_of_the_runner_is_part_of_it(environ):
    assert runner_class(environ) == f"{runner_class({})}, large"


def test_label_is_one_short_line():
    found = runner_class({"TM_RUNNER_CLASS": "a\n\x1b[31m" + "b" * 500})
    assert found.endswith("a [31m" + "b" * 74)
    assert found.isprintable()
