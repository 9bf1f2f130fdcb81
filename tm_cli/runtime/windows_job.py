"""A job object: Windows ends the processes in it together, and with the last handle on it."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

_KILL_ON_JOB_CLOSE = 0x2000
_EXTENDED_LIMITS = 9


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("process_time", ctypes.c_int64),
        ("job_time", ctypes.c_int64),
        ("flags", ctypes.c_uint32),
        ("least_working_set", ctypes.c_size_t),
        ("most_working_set", ctypes.c_size_t),
        ("most_processes", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority_class", ctypes.c_uint32),
        ("scheduling_class", ctypes.c_uint32),
    )


class _ExtendedLimits(ctypes.Structure):
    _fields_ = (
        ("basic", _BasicLimits),
        ("io_counters", ctypes.c_uint64 * 6),
        ("memory", ctypes.c_size_t * 4),
    )


class Job:
    """The job of one process and of those that it will start; without effect where the system
    does not permit one.
    """

    def __init__(self, process_handle: int) -> None:
        self._handle: int | None = None
        if sys.platform == "win32":
            with suppress(OSError):
                kernel = ctypes.WinDLL("kernel32", use_last_error=True)
                kernel.CreateJobObjectW.restype = ctypes.c_void_p
                job = ctypes.c_void_p(kernel.CreateJobObjectW(None, None))
                limits = _ExtendedLimits(basic=_BasicLimits(flags=_KILL_ON_JOB_CLOSE))
                kernel.SetInformationJobObject(
                    job, _EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)
                )
                kernel.AssignProcessToJobObject(job, ctypes.c_void_p(process_handle))
                self._handle = job.value

    def end(self) -> None:
        """End every process in it at once."""
        if sys.platform == "win32" and self._handle is not None:
            with suppress(OSError):
                ctypes.WinDLL("kernel32").TerminateJobObject(ctypes.c_void_p(self._handle), 1)
