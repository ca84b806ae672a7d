"""Native code of a Python process, explained. Written by docs/site/stubs.py."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from types import TracebackType
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

_P = ParamSpec("_P")
_R = TypeVar("_R")
_R_co = TypeVar("_R_co", covariant=True)

__version__: str

class Report:
    """What a magic found: a sequence of rows (dicts), with diagnoses, in text, HTML and JSON."""

    @property
    def name(self) -> str: ...
    @property
    def rows(self) -> list[dict[str, Any]]: ...
    @property
    def diagnoses(self) -> list[dict[str, Any]]: ...
    @property
    def facts(self) -> dict[str, Any]: ...
    @property
    def limits(self) -> list[str]: ...
    @property
    def summary(self) -> list[str]: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __iter__(self) -> Iterator[dict[str, Any]]: ...
    def to_pandas(self) -> Any: ...
    def to_json(self) -> str: ...
    def to_html(self) -> str: ...
    def filter(self, pattern: str) -> Report: ...
    def diff(self, other: Report) -> Report: ...
    def save(self, path: str | PathLike[str]) -> None: ...
    @staticmethod
    def load(path: str | PathLike[str]) -> Report: ...

class Recorded(Protocol, Generic[_P, _R_co]):
    """A function each of whose calls is recorded; the report is that of the last one."""

    report: Report | None
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...

class Recording:
    """What goes on in a block, or whenever a function is called."""

    def __enter__(self) -> Report: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> bool: ...
    def __call__(self, function: Callable[_P, _R]) -> Recorded[_P, _R]: ...
    def run(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> Report: ...

class StandIns:
    """Functions that stand in for the C library's, until that is undone."""

    def undo(self) -> None: ...

def merge(reports: Mapping[Any, Any] | Iterable[Any]) -> Report: ...
def watch_threads() -> StandIns: ...
def watch_imports() -> None: ...

class _NativeProf(Protocol):
    """Run the cell, and show where its time went: Python and native functions of all threads, by samples.

    Each thread that runs looks at itself 499 times a second. Without --wall or --cpu, a sample stands for time that a thread spends on a CPU or waits for the GIL, and on the thread of the cell for any time. On one line, before a statement, it runs that and all that it does until there are enough samples, as %timeit does.

    hz: How many samples of each thread a second
    threads: Which threads: all, or main, which runs the cell
    wall: Also the time in which threads wait
    cpu: Only the time that threads spend on a CPU
    svg: Write the flame graph to a file too
    speedscope: Write the stacks for speedscope.app too
    collapsed: Write collapsed stacks too, one line each
    lines: Count each line of a Python function by itself
    repeat: Run the cell, and all that it does, until there are 200 samples of it, for a minute at the most; its last value is shown once. A block or a function of a program runs once
    children: Record child processes too: forks, and each Python that is started and has diaphane
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

    @overload
    def __call__(self, function: Callable[_P, _R], /, *, hz: int | None = None, threads: Literal['all', 'main'] | None = None, wall: bool = False, cpu: bool = False, svg: str | PathLike[str] | None = None, speedscope: str | PathLike[str] | None = None, collapsed: str | PathLike[str] | None = None, lines: bool = False, repeat: bool = False, children: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recorded[_P, _R]: ...
    @overload
    def __call__(self, *, hz: int | None = None, threads: Literal['all', 'main'] | None = None, wall: bool = False, cpu: bool = False, svg: str | PathLike[str] | None = None, speedscope: str | PathLike[str] | None = None, collapsed: str | PathLike[str] | None = None, lines: bool = False, repeat: bool = False, children: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recording: ...
    def run(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> Report: ...

native_prof: _NativeProf

class _MonitorRecord(Protocol):
    @overload
    def __call__(self, function: Callable[_P, _R], /, seconds: float | None = None, *, every: float | None = None, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recorded[_P, _R]: ...
    @overload
    def __call__(self, seconds: float | None = None, *, every: float | None = None, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recording: ...
    def run(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> Report: ...

class _Monitor(Protocol):
    """Run the cell, and show meanwhile what the process does: CPUs, memory, the GIL and its threads; then a summary over time.

    The picture below the cell goes on while native code has the GIL. On a line, %monitor 10 watches for 10 seconds what goes on in the background; an interrupt ends that early. What is left in the notebook is the summary.

    seconds: For how long to watch, 0.25 to 600; above a cell it is watched to its end
    every: Change the picture every S seconds, 0.25 to 60
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

    record: _MonitorRecord
    def __call__(self, seconds: float | None = None, *, every: float | None = None, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report: ...
    def run(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> Report: ...

monitor: _Monitor

class _MemoryRecord(Protocol):
    @overload
    def __call__(self, function: Callable[_P, _R], /, *, all: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recorded[_P, _R]: ...
    @overload
    def __call__(self, *, all: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recording: ...
    def run(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> Report: ...

class _Memory(Protocol):
    """Show who has the memory of this process: variables, packages, allocators, libraries, and what is left.

    The rows add up to the resident set size. A variable counts with all that it holds, and what several hold counts once, for the one from which it is fewest steps away. Above a cell (%%memory) it shows what is different after the cell.

    all: A row for each variable, however small
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

    record: _MemoryRecord
    def __call__(self, *, all: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report: ...
    def run(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> Report: ...

memory: _Memory

class _ThreadsRecord(Protocol):
    @overload
    def __call__(self, function: Callable[_P, _R], /, *, python: bool = False, stack: int | bool | None = None, native_all: bool = False, locals: bool = False, sample: int | None = None, children: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recorded[_P, _R]: ...
    @overload
    def __call__(self, *, python: bool = False, stack: int | bool | None = None, native_all: bool = False, locals: bool = False, sample: int | None = None, children: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recording: ...
    def run(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> Report: ...

class _Threads(Protocol):
    """List the threads of this process, with the library each one belongs to.

    Native pools usually keep the process's name for their threads; their owner is the library that started them. With --stack, sleeping threads are read from outside, and others get a signal, in whose handler they copy their stack. Above a cell, %%threads runs it and tells how many threads it had, how many CPUs they used over time, and of which pools.

    python: Only the threads that run Python
    stack: Show what each thread runs, Python and native functions in one: the N innermost
    native_all: Show the interpreter's and the C library's own functions in the stacks too
    locals: Show names, types and lengths of the local variables of Python functions in the stacks too
    sample: Watch for so many milliseconds, to see the use of CPUs and waits for the GIL
    children: Show those of the processes that this one has started, read from outside
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

    record: _ThreadsRecord
    def __call__(self, *, python: bool = False, stack: int | bool | None = None, native_all: bool = False, locals: bool = False, sample: int | None = None, children: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report: ...
    def run(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> Report: ...

threads: _Threads

def buffer_addr(*names: object, all: bool = False, each: bool = False, graph: bool = False, pages: bool = False, min: int | str | None = None, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report:
    """Show where the memory of variables lies, whose it is, and who shares it.

    Understands NumPy arrays, pandas Series, DataFrames, Indexes and arrays, pyarrow arrays and tables, polars Series and DataFrames, torch tensors, and everything with the buffer protocol (bytes, bytearray, memoryview, array.array, mmap), `__array_interface__` or DLPack. An object that holds others, such as a list, a sparse matrix or a Dataset, is opened. A NAME may have attributes and subscripts: `frame.index`, `"d['x'][3].w"`. Without a NAME all variables that export memory are listed. Flags: C and F contiguous in C and Fortran order, W writeable, A64 at a multiple of 64 bytes.

    names: Variables to look at
    all: Also what lists, dicts and other objects hold
    each: A row for each buffer, also for those that are alike and at many places of a list
    graph: Draw who lies where in whose memory, with the chain of bases
    pages: How the memory is backed: bytes that are present, in huge pages, and the NUMA nodes
    min: Leave out smaller buffers; a number of bytes, or with a unit: 64kB, 1MB
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

def addr_map(*, group: Literal['lib', 'kind'] | None = None, at: str | None = None, diff: bool = False, pss: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report:
    """Show what lies where in memory: libraries, arrays, stacks, malloc's arenas, mapped files.

    Sizes are addresses that are taken; rss is what is in physical memory, huge what is in huge pages, and pss (with --pss) the first with shared pages counted in part. An array is named where it fills most of a region; a report in a notebook has a picture, in which the filled part of a box is in physical memory.

    group: Add up the regions of each library or kind
    at: Say what lies at one address, such as 0x7f0012345678
    diff: Show only what is different from the last time
    pss: Also what is in physical memory with shared pages counted in part (slower)
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

class _BufferTrace(Protocol):
    """Run the cell, and show which array buffers it allocated, kept and freed, by line.

    NumPy's own allocations are seen, in the thread of the cell. Buffers that are alike in line, size and end are one row. The cell runs as it would without the magic.

    min: Leave out smaller buffers, such as those of single numbers; a number of bytes, or with a unit: 1MB
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

    @overload
    def __call__(self, function: Callable[_P, _R], /, *, min: int | str | None = None, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recorded[_P, _R]: ...
    @overload
    def __call__(self, *, min: int | str | None = None, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recording: ...
    def run(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> Report: ...

buffer_trace: _BufferTrace

class _BufferWrites(Protocol):
    """Run the cell, and show which arrays it wrote to, and which part of them: in place, or a copy?

    Linux notes the first write to each page of 4096 bytes, by any thread, and its own for calls such as `readinto`. Without a NAME all variables that export memory are looked at.

    names: Variables to look at
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

    @overload
    def __call__(self, function: Callable[_P, _R], /, *names: object, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recorded[_P, _R]: ...
    @overload
    def __call__(self, *names: object, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recording: ...
    def run(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> Report: ...

buffer_writes: _BufferWrites

def watch_buffer(*elements: str, len: Literal['1', '2', '4', '8'] | None = None, read: bool = False, stop: bool = False, most: int | None = None, each: bool = False, stack: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recording:
    """Run the cell, and show who writes to an element of an array: the line, the native function, the thread, both values.

    An ELEMENT is `a[10]`, `m[2,3]` or `"d['x'][0]"`, of a NumPy array or of anything else with the buffer protocol. The processor watches up to four at once, of 8 bytes at the most, so the cell runs at its full speed but for the writes. What Linux writes by itself, as for `readinto`, is told at the end, without who asked for it.

    elements: Elements to watch
    len: Watch so many bytes from the element's beginning on, and show them as a number
    read: Count reads too
    stop: Raise an error at the first write; the line that it names may be a few instructions behind, the report's is right
    most: End the watch after N writes
    each: A row for each write, also for those that follow on each other at one place
    stack: With the functions of each row, Python's and native ones, the innermost first
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

def native_doctor(code: str | None = None, *, all: bool = False, workers: str | None = None, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report:
    """Run every check and list what is remarkable, the worst first.

    The magics that can find something are asked with the lines that let them look deepest without slowing the process down. With the code of a finding, such as B001, it shows the page of that.

    code: The code of a finding
    all: Tell in full what calls for nothing, too
    workers: Ask the workers of a client of Dask's instead, and make one report of theirs
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

def stack(*, native: bool = False, all: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report:
    """Show what the main thread runs at this moment: its Python and native functions, the innermost first.

    In a cell this is the line itself. In a terminal, `diaphane ask stack` answers while a cell runs or hangs, and `diaphane stack PID` also where the kernel answers nothing any more.

    native: Show the interpreter's and the C library's own functions too
    all: Show all threads
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

def why_import(name: str | None = None, *, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report:
    """Explain why an import or the loading of a library failed.

    Without a name it is about the last exception; with one, about the exception that a variable of this name holds, or about the module of this name, whose import is then tried again. Shown are what is missing, who needs it, the copy that is loaded already, the files on this machine that might do, and what to do.

    name: A module, or a variable that holds an exception
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

def crash_report(*, against: int | None = None, all: bool = False, warn: Literal['on', 'off'] | None = None, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report:
    """Show why the kernel before this one died: signal, address, instruction, and the stacks of all threads.

    The reports are in Jupyter's runtime folder, beside the connection file, and leave the machine only if you send them.

    against: Compare with the N-th last one: which functions are in one of the two stacks only
    all: Count those of all kernels whose connection files are in the same folder
    warn: on or off: whether a line warns when memory comes near its limit while a cell runs
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

def loaded_libs(pattern: str | None = None, *, new: bool = False, tree: bool = False, why: str | None = None, sym: str | None = None, dup: bool = False, all: bool = False, rss: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report:
    """List the native libraries that are loaded into this process.

    For each one: what it is, the package that brought it, how much memory it maps, in which cell and by whom it was loaded, and where the linker found it. The rows also hold soname, build ID, what it needs, its search paths, its segments, and for BLAS and OpenMP runtimes the version, the kernels in use and the size of the pool.

    pattern: Only libraries whose name, path or package matches, in any case
    new: Only what was loaded since the last cell began
    tree: Show who needs whom as a tree
    why: Show the chain of causes for one library, from the cell to the file
    sym: Show which libraries define or use a symbol, and which definition each use got
    dup: Only libraries that are there more than once
    all: Also the code that the operating system maps into every process, and generated code
    rss: Also how much of each is in physical memory (slower)
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

def native_delta(what: Literal['on', 'off', 'last'] | None = None, *, cell: int | None = None, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report:
    """Show what each cell changed under the surface.

    `on` writes a line under every cell from the next one on, `off` ends that, and `last` reports on the cell before this one, whether a line was written or not. Every cell is measured, also those that only asked something: `--cell 3` reports on an earlier one.

    what: on, off or last
    cell: Report on the cell of this number, one of the last 500
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

class _NativeCalls(Protocol):
    """Show the native calls that a cell makes: from Python over the C functions that it calls and the libraries behind them down to the inner loops, on every thread

    Python's own functions and the C functions that it calls are reported by Python. Calls from one library into another and the inner loops of ufuncs are seen by hooks in the tables through which they go; functions that a library calls inside itself by hooks at their entries, with --deep. All hooks are removed when the cell has ended, however it ended.

    deep: Record every function of Python, of extension modules and of the libraries that came with them, local ones too
    libs: Only calls out of libraries (with --deep: functions of libraries) whose file name matches
    sample: Record no calls but samples, so many times a second: for cells that run long
    args: Keep the arguments of functions that are known by name, and say which arrays they are
    all: Show the calls into the C library and into Python's C interface one by one
    depth: Show no more levels than these
    imports: Record what imports do as well; otherwise they are one row
    limit: How many events each thread may record; what comes behind them is counted only. Without it, the recording ends when there is as much as a report can be made of in about the time that the cell takes
    children: Record child processes too: forks, and each Python that is started and has diaphane
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

    @overload
    def __call__(self, function: Callable[_P, _R], /, *, deep: bool = False, libs: str | None = None, sample: int | bool | None = None, args: bool = False, all: bool = False, depth: int | None = None, imports: bool = False, limit: int | None = None, children: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recorded[_P, _R]: ...
    @overload
    def __call__(self, *, deep: bool = False, libs: str | None = None, sample: int | bool | None = None, args: bool = False, all: bool = False, depth: int | None = None, imports: bool = False, limit: int | None = None, children: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recording: ...
    def run(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> Report: ...

native_calls: _NativeCalls

def where(target: object, *, dtype: str | None = None, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report:
    """Show the C function behind a Python object: its symbol, library, package, source line, and instruction set.

    FUNC is a name with attributes and subscripts (np.add, str.join, math.sin), an address (0x7f...), or a symbol of a library (libc*!memcpy). A ufunc of NumPy has one loop for each row of dtypes; --dtype shows the one that is used.

    target: What to look for
    dtype: The kind of items, for NumPy's functions: float32, i4, or one for each input (f8,i8)
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

def disasm(target: object, *, dtype: str | None = None, asm: int | None = None, isa: bool = False, bytes: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report:
    """Show the machine code of a function, with jumps as arrows and calls by name.

    FUNC is a name with attributes and subscripts (np.add, str.join, math.sin), an address (0x7f...), or a symbol of a library (libc*!memcpy). Of a ufunc of NumPy the loop for float64 is shown, or the one for --dtype. Addresses are offsets from the start of the function.

    target: What to show
    dtype: The kind of items, for NumPy's functions: float32, i4, or one for each input (f8,i8)
    asm: Show N instructions instead of the whole function
    isa: Show which part of the instruction set each instruction belongs to
    bytes: Show the bytes of each instruction
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

class _Syscalls(Protocol):
    """Run the cell, and show the system calls that it makes: what for, how long, and by whom.

    The calls of the cell's thread are seen, and those of threads that it starts, without privileges and without another process. The cell runs as it would without the magic.

    trace: Only these calls, as strace names them: openat,read or a group such as %file, %desc, %memory, %process, %network, %signal; a ! in front means all others
    by: What is one row: the calls of a name and a library, of a library, of a line of the cell, of a Python function, of a path, of a thread
    list: One row for each call, with its arguments
    strace: One line for each call, as strace writes it
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

    @overload
    def __call__(self, function: Callable[_P, _R], /, *, trace: str | None = None, by: Literal['call', 'library', 'line', 'function', 'path', 'thread'] | None = None, list: bool = False, strace: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recorded[_P, _R]: ...
    @overload
    def __call__(self, *, trace: str | None = None, by: Literal['call', 'library', 'line', 'function', 'path', 'thread'] | None = None, list: bool = False, strace: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recording: ...
    def run(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> Report: ...

syscalls: _Syscalls

class _TraceLoads(Protocol):
    """Run the cell, and show which native libraries were loaded for it.

    In the order in which the dynamic linker mapped them: what caused each load (an import, a call of dlopen, another library that needs it), the rule by which the file was found, how long the linker and the library's initialisers took, and which files were looked for in vain. The cell runs as it would without the magic.

    files: List the files that were tried, instead of the libraries
    fail: Only what failed: files that were not there, calls that loaded nothing
    tree: Show who caused what as a tree
    time: The slowest first
    strace: Write the files that were tried as strace does
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

    @overload
    def __call__(self, function: Callable[_P, _R], /, *, files: bool = False, fail: bool = False, tree: bool = False, time: bool = False, strace: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recorded[_P, _R]: ...
    @overload
    def __call__(self, *, files: bool = False, fail: bool = False, tree: bool = False, time: bool = False, strace: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Recording: ...
    def run(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> Report: ...

trace_loads: _TraceLoads

def process_tree(*, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report:
    """List this process and all that it started, with what has changed since the last time.

    What has lost its parent, such as `nohup sleep 300 &` of a shell that has ended, is listed too: it is known by the session or group of this process, or by a variable in its environment. Code of NumPy and of other libraries runs inside of this process; a child is a copy of it (fork, multiprocessing), or another program (subprocess, spawn).

    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

def rust(code: str, /, *, in_: str | list[str] = None, mut: str | list[str] = None, out: str | list[str] = None, keep: str | list[str] = None, slices: bool = False, opt: str | None = None, native: bool = False, isolated: bool = False, def_: bool = False, time: bool = False, show: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report:
    """Compile the cell as Rust, load it into this process and run it on Python's memory.

    Arrays are borrowed where they are, as views of `ndarray`, or as slices. Functions, types, macros and `use` stay for later cells, and so do dependencies, which a line such as `:dep rand = "0.9"` adds. The value of the last expression is shown. A panic, and an error that `?` gives on, become exceptions.

    in_: Borrow variables to read: arrays of numbers, numbers, str, bytes
    mut: Borrow arrays to change them in place
    out: Hand variables over to Python when the cell has ended: numbers, String, Vec, arrays of ndarray, Option of these
    keep: Keep variables of the cell for later Rust cells, which have them as `&mut`; each needs its type: `let n: T = ...`
    slices: Borrow arrays as slices, without `ndarray`
    opt: Optimize by this level, 0 to 3, s or z; 2 if it is not given
    native: Use all instructions that this processor has
    isolated: Run the cell in a copy of the kernel's process: its changes count only if it finishes, and nothing else that it does, even a fault, reaches the kernel
    def_: Make Python functions of the cell's `pub fn`s
    time: Show how long it took to compile and to run
    show: Show the source that is compiled, and do not run it
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

def rust_status(*, here: bool = False, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report:
    """Show what Rust cells have: the compiler, the items that later cells can use, the dependencies, kept variables

    here: Do not ask the compiler: show what is known in this process
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

def rust_reset(*, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report:
    """Forget the items and dependencies of all Rust cells and drop what they kept; libraries that are loaded stay

    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """

def diaphane(*asked: str, filter: str | None = None, sort: str | None = None, top: int | None = None, no_diag: bool = False) -> Report:
    """Show what you can ask: the questions, each with the magic that answers it.

    With the code of a diagnosis, such as B001, it shows the page of that: what it means, how to see it, and what to do. `codes` lists all of them. With a word of the reports, such as soname, it explains the word; `glossary` explains all that there are. Any other word lists the questions in which it stands. `%name?` explains a magic with its options and fields.

    asked: The code of a diagnosis, or codes for the list of them; a word of the glossary, or glossary for all of it; or a word of a question
    filter: Keep the rows in which some field matches, in any case
    sort: Sort by this column: sizes and times from the largest, the rest from the smallest
    top: Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    no_diag: Without diagnoses
    """
