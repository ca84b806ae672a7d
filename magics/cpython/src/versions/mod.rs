//! Where CPython keeps what is read of it. One file a version: 3.11 and 3.12 by their headers, later versions by the
//! table that an interpreter carries for debuggers.
//!
//! A new version is a file beside these, and its line in `layout`.

mod debug_offsets;
mod v3_11;
mod v3_12;
mod v3_13;
mod v3_14;
mod v3_15;

use std::fmt;

use diaphane_sight::proc::target_process::TargetProcess;

use debug_offsets::DebugTable;

/// A version of CPython, as `Py_Version` has it: one byte each for major, minor and patch, one for the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version(pub(crate) u32);

impl Version {
    /// Major and minor.
    fn release(self) -> (u8, u8) {
        let [major, minor, ..] = self.0.to_be_bytes();
        (major, minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch, _] = self.0.to_be_bytes();
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// Why an interpreter's structures are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// It exports no version.
    Nameless,
    /// Nobody wrote down where this version keeps what.
    Version,
    /// The table for debuggers is missing, of another version, or broken.
    Table,
    /// It can run without the GIL, and is of a version of which that is not known.
    FreeThreaded,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nameless => "it is older than 3.11, or hides its names",
            Self::Version => "only 3.11 to 3.15 are known",
            Self::Table => "its table for debuggers is not there, or not as this version has it",
            Self::FreeThreaded => {
                "it is built without the GIL, which is known of 3.14 and 3.15 alone"
            }
        })
    }
}

/// Where an interpreter of this version keeps what, whose `_PyRuntime` lies at this address.
pub(crate) fn layout(
    target: TargetProcess,
    runtime: usize,
    version: Version,
) -> Result<Layout, Unknown> {
    let table = || DebugTable::read(target, runtime, version);
    match version.release() {
        (3, 11) => Ok(v3_11::LAYOUT),
        (3, 12) => Ok(v3_12::LAYOUT),
        (3, 13) => v3_13::layout(&table()?),
        (3, 14) => v3_14::layout(&table()?),
        (3, 15) => v3_15::layout(&table()?),
        _ => Err(Unknown::Version),
    }
}

/// Offsets in bytes from the start of each structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub interpreters: InterpretersLayout,
    pub thread: ThreadState,
    pub gil: Gil,
    pub frame: InterpreterFrame,
    pub code: CodeObjectLayout,
    pub object: Object,
    pub text: Text,
}

/// `_PyRuntime`, and what leads from one interpreter to its threads and to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InterpretersLayout {
    /// The first interpreter, from the runtime on.
    pub head: usize,
    pub next: usize,
    pub threads: usize,
}

/// `PyThreadState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ThreadState {
    pub next: usize,
    pub native_id: usize,
    /// The innermost frame, or the structure on the C stack that holds it.
    pub top: usize,
    /// Where that structure holds it.
    pub through: Option<usize>,
}

/// The lock itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gil {
    pub place: GilPlace,
    /// Whether it is used at all, in builds that can do without it.
    pub enabled: Option<usize>,
    pub holder: usize,
    pub locked: usize,
}

/// Where the lock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GilPlace {
    /// So far into `_PyRuntime`.
    Runtime(usize),
    /// A pointer to it lies so far into the interpreter's state.
    Interpreter(usize),
}

/// `_PyInterpreterFrame`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InterpreterFrame {
    /// The code object; since 3.14 with a tag, which [`untagged`] takes away.
    pub code: usize,
    pub previous: usize,
    pub instruction: usize,
    pub entry: Entry,
    /// Which copy of the instructions the thread runs, in free-threaded builds.
    pub copy: Option<usize>,
    /// The values of its variables, behind everything else.
    pub locals: usize,
}

/// How a frame tells that the interpreter's C function was called for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// By this flag of its own.
    Flag(usize),
    /// Behind it stands a frame that is no function's.
    Owner(Owner),
}

/// Whom a frame belongs to: the byte at `at`. No function's are those from `first_of_c` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub at: usize,
    pub first_of_c: u8,
}

/// `PyCodeObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CodeObjectLayout {
    pub first_line: usize,
    pub file: usize,
    pub name: usize,
    pub lines: usize,
    pub instructions: usize,
    /// The copies of the instructions, one for each thread, in free-threaded builds.
    pub copies: Option<usize>,
    /// A tuple of the names of its variables.
    pub variables: usize,
}

/// `PyObject`, and the built-in types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Object {
    pub class: usize,
    /// The length of lists, tuples, bytes, strings and dictionaries.
    pub length: usize,
    pub tuple_items: usize,
    pub bytes: usize,
    /// The name of a type.
    pub class_name: usize,
}

/// `PyUnicodeObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text {
    pub state: usize,
    /// How many bits of the state come before those that say how it is stored.
    pub interned_bits: u32,
    /// Where the letters begin of a string that has ASCII alone.
    pub ascii: usize,
    /// Where they begin of others.
    pub other: usize,
}

/// How a string is stored.
pub(crate) struct Storage {
    /// How many bytes a letter takes.
    pub size: usize,
    /// Whether the letters follow the structure.
    pub compact: bool,
    pub ascii: bool,
}

impl Text {
    /// What a state says: three bits for the size of a letter, one each for compact and for ASCII.
    pub fn storage(&self, state: i32) -> Storage {
        let bits = state.cast_unsigned() >> self.interned_bits;
        Storage {
            size: (bits & 7) as usize,
            compact: bits >> 3 & 1 == 1,
            ascii: bits >> 4 & 1 == 1,
        }
    }

    /// Where the letters begin.
    pub fn start(&self, storage: &Storage) -> usize {
        if storage.ascii {
            self.ascii
        } else {
            self.other
        }
    }
}

/// A reference as a frame holds it, without the bits that say whether it is counted (`_PyStackRef`). Objects lie 8 bytes
/// apart at least, so plain pointers stay as they are.
pub(crate) fn untagged(reference: usize) -> usize {
    reference & !3
}

/// What 3.11 to 3.13 have in common, with the GIL: a reference count and a type in front of each object.
const PLAIN_OBJECT: Object = Object {
    class: 8,
    length: 16,
    tuple_items: 24,
    bytes: 32,
    class_name: 24,
};

/// How many bits of a string's state say whether it is interned.
const INTERNED_BITS: u32 = 2;
