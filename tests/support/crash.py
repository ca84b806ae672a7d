"""Ways to die, and what a client sees of it."""

from __future__ import annotations

import time
from pathlib import Path

from support.client import Client
from support.compiler import shared_library
from support.exchange import Exchange
from support.patience import PATIENCE
from support.process import Kernel

SOURCE = r"""
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int read_at(const volatile int *place) { return *place; }
void write_at(volatile int *place) { *place = 1; }
void write_to_text(void) { *(volatile char *)"text" = 'T'; }
static int data[4096];
void jump_to_data(void) { ((void (*)(void))data)(); }
int recurse(int depth) { volatile char room[1024]; room[0] = depth; return recurse(depth + 1) + room[0]; }
void free_twice(void) { void *block = malloc(100); free(block); free(block); }
/* The header of the block behind is overwritten, which malloc finds with its lock held. */
void overrun(void) {
  char *one = malloc(5000), *other = malloc(5000), *last = malloc(5000);
  (void)last;
  memset(one, 'A', 5064);
  free(other);
  free(one);
  malloc(70000);
}
/* Many free blocks with ruined links: whoever allocates meets one. */
void ruin(void) {
  enum { MANY = 2000 };
  static char *blocks[MANY];
  for (int i = 0; i < MANY; i++) blocks[i] = malloc(2000 + 16 * (i % 100));
  for (int i = 0; i < MANY; i += 2) free(blocks[i]);
  for (int i = 0; i < MANY; i += 2) memset(blocks[i], 'A', 1000);
  *(volatile int *)8 = 1;
}
int divide(int one, int other) { return one / other; }
#ifdef __x86_64__
void multiply_tiles(void) { __asm__ volatile(".byte 0xc4, 0xe2, 0x73, 0x5e, 0xc2"); }
#endif
void illegal(void) { __builtin_trap(); }
static void *die(void *place) { *(volatile int *)place = 1; return 0; }
static void *overflow(void *none) { (void)none; return (void *)(long)recurse(0); }
void on_thread(void) { pthread_t t; pthread_create(&t, 0, die, (void *)16); pthread_join(t, 0); }
void overflow_on_thread(void) { pthread_t t; pthread_create(&t, 0, overflow, 0); pthread_join(t, 0); }
static void *wait_and_die(void *barrier) { pthread_barrier_wait(barrier); *(volatile int *)24 = 1; return 0; }
void two_at_once(void) {
  static pthread_barrier_t barrier;
  pthread_t one, other;
  pthread_barrier_init(&barrier, 0, 2);
  pthread_create(&one, 0, wait_and_die, &barrier);
  pthread_create(&other, 0, wait_and_die, &barrier);
  pthread_join(one, 0);
}
/* As runtimes do that find null by its fault: theirs is handled, others go to the handler before. */
static struct sigaction before;
static sigjmp_buf back;
static volatile int handled;
static void foreign(int signal, siginfo_t *info, void *context) {
  if (info->si_addr == (void *)0x1000) { handled++; siglongjmp(back, 1); }
  if (before.sa_flags & SA_SIGINFO) before.sa_sigaction(signal, info, context);
}
int with_foreign_handler(void) {
  struct sigaction action = {.sa_sigaction = foreign, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGSEGV, &action, &before);
  for (int i = 0; i < 3; i++) if (!sigsetjmp(back, 1)) *(volatile int *)0x1000 = 1;
  return handled;
}
void end(int status) { exit(status); }
"""

PLUS = r"""
#include <stdexcept>
extern "C" void throw_out() noexcept { throw std::runtime_error("the tank is empty"); }
"""


def library(folder: Path) -> Path:
    """The functions, as a shared library."""
    made = folder / "libways.so"
    if not made.exists():
        shared_library(made, SOURCE, "-g", "-O0", "-w", "-pthread")
    return made


def plus_library(folder: Path) -> Path:
    """The one in C++."""
    made = folder / "libplus.so"
    if not made.exists():
        shared_library(made, PLUS, "-g", "-w", compiler="g++")
    return made


def die(kernel: Kernel, client: Client, code: str, **options) -> Exchange:
    """Runs what ends the kernel; all that came of it. The process is gone."""
    exchange = client.start(code, **options)
    wait_for_death(kernel, client)
    return exchange


def die_when_all_is_sent(kernel: Kernel, client: Client, code: str) -> Exchange:
    """The same for code that ruins the heap: nothing that is still to be sent lies in it."""
    gate = kernel.directory / "gate"
    wait = "import os\nprint('ready', flush=True)\nwhile not os.path.exists('gate'): pass\n"
    exchange = client.start(wait + code)
    client.until(exchange.text, "the cell", exchange)
    gate.touch()
    wait_for_death(kernel, client)
    return exchange


def wait_for_death(kernel: Kernel, client: Client) -> int:
    """Takes in messages until the process is gone and nothing comes any more; its exit code."""
    deadline = time.monotonic() + PATIENCE
    while kernel.alive:
        client.pump(100)
        assert time.monotonic() < deadline, "the kernel lives"
    while client.pump(300):
        pass
    return kernel.wait()


def told(exchange: Exchange, name: str = "KernelCrash") -> str:
    """What stands under the cell, after it was found to be as the protocol wants it."""
    error = exchange.one("error")
    assert exchange.content["status"] == "error"
    assert exchange.content["ename"] == error["ename"] == name
    assert exchange.content["traceback"] == error["traceback"]
    assert exchange.trace[-1] == "idle", exchange.trace
    text = "\n".join(error["traceback"])
    assert text.startswith(f"{name}: {error['evalue']}")
    return text


def restarted(kernel: Kernel) -> Client:
    """The next kernel of the same connection file, as a front end starts it."""
    for client in kernel.clients:
        client.close()
    kernel.clients.clear()
    kernel.restart()
    return kernel.connect()


def kept(kernel: Kernel) -> list[str]:
    """What the kernels left in the folder of the connection file."""
    return sorted(path.name for path in kernel.directory.glob("diaphane-*"))
