//! Where the interpreter keeps what `%threads` reads of it, for each version of CPython, as its headers say.
//!
//! None of this is a promise of CPython's, so `interpreter` compares it with what the C interface says before it is
//! believed. From 3.13 on an interpreter carries a table of its own, which those who look from outside read instead.

/// Distances in bytes from the start of each structure.
#[derive(Clone, Copy)]
pub struct Layout {
    pub interpreters: Interpreters,
    pub thread: ThreadState,
    pub frame: InterpreterFrame,
    pub code: CodeObject,
    pub text: Text,
    pub gil: Gil,
}

/// `_PyRuntime`, and what leads from one interpreter to its threads and to the next one.
#[derive(Clone, Copy)]
pub struct Interpreters {
    /// The first interpreter, from the runtime on.
    pub head: usize,
    pub next: usize,
    pub threads: usize,
}

/// `PyThreadState`.
#[derive(Clone, Copy)]
pub struct ThreadState {
    pub next: usize,
    pub native_id: usize,
    /// The innermost frame, or the structure on the C stack that holds it.
    pub top: usize,
    /// Where that structure holds it.
    pub through: Option<usize>,
}

/// `_PyInterpreterFrame`.
#[derive(Clone, Copy)]
pub struct InterpreterFrame {
    pub code: usize,
    pub previous: usize,
    pub instruction: usize,
    pub entry: Entry,
    /// Behind the frame lie the values of its variables.
    pub size: usize,
}

/// How a frame tells that the interpreter's C function was called for it.
#[derive(Clone, Copy)]
pub enum Entry {
    /// By this flag of its own.
    Flag(usize),
    /// Behind it stands a frame that is owned by the C stack, by this byte of that frame.
    Owner(usize),
}

/// `PyCodeObject`.
#[derive(Clone, Copy)]
pub struct CodeObject {
    pub first_line: usize,
    pub file: usize,
    pub name: usize,
    pub lines: usize,
    pub instructions: usize,
    /// The names of its variables, and their number.
    pub variables: usize,
    pub variable_count: usize,
}

/// Where the characters of a string begin.
#[derive(Clone, Copy)]
pub struct Text {
    pub ascii: usize,
    pub other: usize,
}

/// The lock itself.
#[derive(Clone, Copy)]
pub struct Gil {
    /// In the runtime, or a pointer in the interpreter.
    pub place: GilPlace,
    pub holder: usize,
    pub locked: usize,
}

/// Where the lock is.
#[derive(Clone, Copy)]
pub enum GilPlace {
    /// So far into `_PyRuntime`.
    Runtime(usize),
    /// A pointer to it lies so far into the interpreter's state.
    Interpreter(usize),
}

/// The layout of the version that this was built for.
#[cfg(all(Py_3_11, not(Py_3_12)))]
pub const LAYOUT: Option<Layout> = Some(V3_11);
/// The layout of the version that this was built for.
#[cfg(all(Py_3_12, not(Py_3_13)))]
pub const LAYOUT: Option<Layout> = Some(V3_12);
/// The layout of the version that this was built for.
#[cfg(all(Py_3_13, not(Py_3_14), not(Py_GIL_DISABLED)))]
pub const LAYOUT: Option<Layout> = Some(V3_13);
/// Of other versions nothing is known.
#[cfg(any(not(Py_3_11), Py_3_14, Py_GIL_DISABLED))]
pub const LAYOUT: Option<Layout> = None;

/// CPython 3.11.
pub const V3_11: Layout = Layout {
    interpreters: Interpreters {
        head: 40,
        next: 0,
        threads: 16,
    },
    thread: ThreadState {
        next: 8,
        native_id: 160,
        top: 56,
        through: Some(8),
    },
    frame: InterpreterFrame {
        code: 32,
        previous: 48,
        instruction: 56,
        entry: Entry::Flag(68),
        size: 72,
    },
    code: CodeObject {
        first_line: 72,
        file: 112,
        name: 128,
        lines: 136,
        instructions: 184,
        variables: 96,
        variable_count: 76,
    },
    text: Text {
        ascii: 48,
        other: 72,
    },
    gil: Gil {
        place: GilPlace::Runtime(360),
        holder: 8,
        locked: 16,
    },
};

/// CPython 3.12.
pub const V3_12: Layout = Layout {
    interpreters: Interpreters {
        head: 40,
        next: 0,
        threads: 72,
    },
    thread: ThreadState {
        next: 8,
        native_id: 144,
        top: 56,
        through: Some(0),
    },
    frame: InterpreterFrame {
        code: 0,
        previous: 8,
        instruction: 56,
        entry: Entry::Owner(70),
        size: 72,
    },
    code: CodeObject {
        first_line: 68,
        file: 112,
        name: 128,
        lines: 136,
        instructions: 192,
        variables: 96,
        variable_count: 72,
    },
    text: Text {
        ascii: 40,
        other: 56,
    },
    gil: Gil {
        place: GilPlace::Interpreter(384),
        holder: 8,
        locked: 16,
    },
};

/// CPython 3.13.
pub const V3_13: Layout = Layout {
    interpreters: Interpreters {
        head: 632,
        next: 7264,
        threads: 7344,
    },
    thread: ThreadState {
        next: 8,
        native_id: 160,
        top: 72,
        through: None,
    },
    frame: InterpreterFrame {
        code: 0,
        previous: 8,
        instruction: 56,
        entry: Entry::Owner(70),
        size: 72,
    },
    code: CodeObject {
        first_line: 68,
        file: 112,
        name: 128,
        lines: 136,
        instructions: 200,
        variables: 96,
        variable_count: 72,
    },
    text: Text {
        ascii: 40,
        other: 56,
    },
    gil: Gil {
        place: GilPlace::Interpreter(16),
        holder: 8,
        locked: 16,
    },
};
