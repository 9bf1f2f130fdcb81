"""Whose files are obeyed. User ids are compared as this process really has them."""

from __future__ import annotations

import os

import pytest

from tm_cli.runtime.trusted_files import is_trusted_owner

pytestmark = pytest.mark.skipif(os.name != "posix", reason="user ids")

ME = os.geteuid() if os.name == "posix" else 0
OTHER = 54321
AS_ROOT = pytest.mark.skipif(ME != 0, reason="needs root")


def test_own_files_and_those_of_root_are_trusted():
    assert is_trusted_owner(ME, {})
    assert is_trusted_owner(0, {})


def test_files_of_another_user_are_not():
    assert not is_trusted_owner(OTHER, {})


@pytest.mark.parametrize("named", ["54321", "1, 54321", " 54321 ,7", ",,54321,"])
def test_a_named_owner_is_trusted(named):
    assert is_trusted_owner(OTHER, {"TM_TRUSTED_OWNERS": named})
    assert not is_trusted_owner(OTHER + 1, {"TM_TRUSTED_OWNERS": named})


@pytest.mark.parametrize(
    "named", ["", ",", "*", "all", "-1", "+54321", "54_321", "5432", "0x d431", "٥٤٣٢١", "9" * 5000]
)
def test_what_is_no_id_names_nobody(named):
    assert not is_trusted_owner(OTHER, {"TM_TRUSTED_OWNERS": named, "SUDO_UID": named})


@AS_ROOT
def test_root_by_sudo_trusts_who_called_it():
    assert is_trusted_owner(OTHER, {"SUDO_UID": "54321"})


@pytest.mark.skipif(ME == 0, reason="needs a user other than root")
def test_without_being_root_the_variable_of_sudo_says_nothing():
    assert not is_trusted_owner(OTHER, {"SUDO_UID": "54321"})


@pytest.mark.process
@AS_ROOT
def test_the_variable_of_sudo_says_nothing_to_other_users():
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        os._exit(int(is_trusted_owner(OTHER, {"SUDO_UID": "54321"})))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
