"""The C compiler, for the libraries that tests write themselves."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

INCLUDE = f"-I{sysconfig.get_path('include')}"

WAITER = r"""
#include <pthread.h>
#include <errno.h>
#include <sys/epoll.h>
static volatile int interrupted, ready;
static void *waits(void *_) {
    struct epoll_event e; int fd = epoll_create1(0);
    for (;;) { ready = 1; if (epoll_wait(fd, &e, 1, -1) < 0 && errno == EINTR) interrupted++; }
}
int begin(void) { pthread_t t; int error = pthread_create(&t, 0, waits, 0); while (!ready); return error; }
int count(void) { return interrupted; }
"""
"""A library with a thread that waits, and counts how often its waiting was ended by a signal."""


def shared_library(path: Path, source: str, *options: str, compiler: str = "gcc") -> Path:
    """Compile one; its source stands beside it, where debuggers look for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_suffix(".c")
    file.write_text(source)
    command = [compiler, "-shared", "-fPIC", INCLUDE, "-o", path, file, *options]
    subprocess.run(command, check=True)
    return path
