//! The list of places that may hold unsafe code, each with its reason.

/// Where unsafe code may stand, and why it must.
pub const UNSAFE: &[(&str, &str)] = &[
    (
        "magics/sight/src/runtimes/glibc_malloc.rs",
        "malloc reports to a C stream",
    ),
    (
        "magics/sight/src/runtimes/stdio.rs",
        "C's standard streams are written out",
    ),
    (
        "magics/rust/cell/src/",
        "memory of Python's objects becomes Rust's types",
    ),
    (
        "magics/rust/sidecar/src/code.rs",
        "the source of cells, as text",
    ),
    (
        "magics/rust/sidecar/src/settings.rs",
        "evcxr reads its settings from the environment",
    ),
    (
        "magics/src/rust_cells/",
        "code of the user's is loaded and called, and its faults are survived",
    ),
    (
        "magics/src/numpy/dtype_functions.rs",
        "NumPy's own function for the table of a dtype",
    ),
    (
        "magics/src/numpy/ufunc/modern.rs",
        "a field of NumPy's is a Python object",
    ),
    (
        "kernel/src/interposed/",
        "functions of the C library's are stood in for",
    ),
    (
        "kernel/src/capture.rs",
        "the descriptors 1 and 2 are replaced",
    ),
    (
        "kernel/src/sigint.rs",
        "the handler of SIGINT is wrapped, so that the main thread gets the signal",
    ),
    (
        "kernel/src/allocator.rs",
        "the last words are made in memory that is not malloc's",
    ),
    (
        "magics/sight/src/crash/",
        "a signal handler notes a fault, and another process is started there",
    ),
    ("kernel/src/exit.rs", "the process ends without destructors"),
    (
        "kernel/src/embed/config.rs",
        "CPython's C interface starts the interpreter",
    ),
    (
        "kernel/src/host/",
        "Python calls us with pointers of its own",
    ),
    (
        "kernel/src/io/sockets.rs",
        "descriptors that libzmq leaves to children are closed for them",
    ),
    (
        "kernel/src/io/subscribers.rs",
        "libzmq says when it needs a frame no more",
    ),
    (
        "magics/sight/src/stand_ins.rs",
        "the linker says where a section begins and ends",
    ),
    (
        "magics/trace/src/interposition.rs",
        "the C library's table of names is written",
    ),
    (
        "magics/trace/src/closed_pages.rs",
        "pages are opened for writing",
    ),
    (
        "magics/sight/src/threads/creation_records.rs",
        "it stands between a thread's creator and the C library",
    ),
    (
        "magics/sight/src/threads/main_thread.rs",
        "one thread of the process is sent a signal",
    ),
    (
        "magics/sight/src/runtimes/getters.rs",
        "libraries are asked for the size of their pools",
    ),
    (
        "magics/sight/src/arch/",
        "the control register of the floating-point unit",
    ),
    ("magics/sight/src/proc/host.rs", "sysconf"),
    (
        "magics/sight/src/proc/thread_descriptors.rs",
        "Linux tells where a thread keeps its robust mutexes",
    ),
    (
        "magics/forks/",
        "a child of a fork gets locks that nobody holds",
    ),
    ("magics/sight/tests/forks.rs", "the tests fork"),
    (
        "magics/sight/src/linker/forks.rs",
        "a fork waits for a walk over the linker's list",
    ),
    (
        "magics/sight/src/linker/link_map.rs",
        "the dynamic linker's list of libraries",
    ),
    (
        "magics/sight/src/proc/maps/queried.rs",
        "the kernel is asked for single regions by an ioctl",
    ),
    (
        "magics/sight/src/proc/pages",
        "PAGEMAP_SCAN and move_pages are system calls without a safe form",
    ),
    (
        "magics/sight/src/proc/target_process.rs",
        "memory is read through the kernel",
    ),
    (
        "magics/cpython/src/extensions.rs",
        "the slots of CPython's C struct for a module",
    ),
    (
        "magics/src/arch/",
        "a signal handler moves a thread out of a Rust cell that faults",
    ),
    (
        "magics/src/session/import_audit.rs",
        "CPython's audit hooks, and the frames of who asked",
    ),
    (
        "magics/src/memory/allocated.rs",
        "a function of tracemalloc that no header declares",
    ),
    (
        "magics/src/numpy/memory_handler",
        "NumPy's memory handlers are C functions, called with or without the GIL",
    ),
    (
        "magics/src/memory/buffers/dlpack.rs",
        "DLPack is a C struct",
    ),
    (
        "magics/src/memory/buffers/arrow_stream.rs",
        "Arrow's C interface is C structs",
    ),
    (
        "magics/src/numpy/arrays.rs",
        "the fields of NumPy's C structs",
    ),
    (
        "magics/src/python/objects.rs",
        "an object's reference count",
    ),
    (
        "magics/src/memory/object_graph",
        "what objects hold is read as the garbage collector reads it",
    ),
    (
        "magics/sight/src/unwind/stopped.rs",
        "threads of another process are stopped by ptrace",
    ),
    (
        "magics/sight/src/unwind/signal.rs",
        "threads copy their stacks in a signal handler",
    ),
    (
        "magics/cpython/src/events/",
        "CPython calls back with raw pointers",
    ),
    (
        "magics/sight/src/unwind/handler.rs",
        "a signal gets a handler",
    ),
    (
        "magics/trace/src/sampler/",
        "signals make threads copy their stacks, and timers of POSIX",
    ),
    (
        "magics/trace/src/thread_copies.rs",
        "threads write copies of themselves in a signal handler",
    ),
    (
        "magics/trace/src/write_protection.rs",
        "userfaultfd and an advice about memory have no safe form",
    ),
    (
        "magics/trace/src/watchpoints/",
        "perf events of Linux, and the handler of their signal",
    ),
    (
        "magics/trace/src/arch/",
        "instructions of the processor, and a signal handler that makes system calls",
    ),
    (
        "magics/tests/hooks/steps.rs",
        "a test steps through native code by the processor's trap flag",
    ),
    (
        "magics/trace/src/inline_hooks/",
        "the code of loaded libraries is changed while all threads are stopped",
    ),
    (
        "magics/trace/src/linker_events/",
        "the linker's structures are read, and its function for debuggers leads to ours",
    ),
    (
        "magics/trace/tests/interposition.rs",
        "the tests stand in for functions and call them",
    ),
    ("magics/trace/tests/loads.rs", "the tests load libraries"),
    (
        "magics/trace/src/recorder/",
        "hooks call assembly, which writes events into memory of the thread",
    ),
    (
        "magics/trace/src/got_hooks/",
        "pointers in tables of libraries are replaced",
    ),
    (
        "magics/trace/src/syscalls/",
        "system calls are sent to a signal handler, which makes them",
    ),
    (
        "magics/trace/tests/syscall_stacks.rs",
        "the tests make system calls from odd places",
    ),
    (
        "magics/trace/tests/syscalls.rs",
        "the tests make system calls and handle signals",
    ),
    (
        "magics/trace/tests/hooks.rs",
        "the tests call through pointers",
    ),
    (
        "magics/trace/src/trampolines.rs",
        "machine code is written for hooks",
    ),
    (
        "magics/cpython/src/own_layout.rs",
        "a variable and a constant of CPython's",
    ),
    (
        "magics/cpython/src/here.rs",
        "frames are read on their own thread, in a signal handler",
    ),
    (
        "magics/cpython/src/interpreter.rs",
        "CPython's C interface names the states of threads",
    ),
    (
        "magics/cpython/src/check.rs",
        "CPython's own structures are compared with its C interface",
    ),
    (
        "magics/cpython/src/lazy.rs",
        "a code object that a C struct of CPython refers to",
    ),
];
