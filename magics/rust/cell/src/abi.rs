//! What the kernel and a cell agree on. Both are compiled from this file.

use std::ffi::c_void;
use std::sync::atomic::AtomicBool;

/// Which agreement this is. It changes with every change of the structures below.
pub const ABI: u32 = 3;

/// The name of a cell's entry.
pub const ENTRY: &str = "diaphane_main";

/// The name of an entry that says what panic the calling thread is in. It allocates nothing that is not freed, and may be
/// called in the handler of an abort.
pub const LAST_WORDS: &str = "diaphane_last_words";

/// The name of an entry that makes the calling thread fit for the next run, after a fault has taken it out of one.
pub const RECOVER: &str = "diaphane_recover";

/// A cell's entry. It gives back a [`Status`].
pub type Entry = unsafe extern "C" fn(*const Ctx) -> u32;

/// How a cell ended.
pub type Status = u32;
/// It came to its end.
pub const DONE: Status = 0;
/// It panicked; [`Host::fail`] was told.
pub const PANICKED: Status = 1;
/// A `?` ended it; [`Host::fail`] was told.
pub const FAILED: Status = 2;
/// It was compiled for another agreement.
pub const FOREIGN: Status = 3;
/// The thread cannot be made fit: a lock of the standard library stays locked.
pub const LOCKED: Status = 4;

/// What a value or the items of an array are.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One byte, 0 or 1.
    Bool,
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// Floating point, 32 bits.
    F32,
    /// Floating point, 64 bits.
    F64,
    /// Two of 32 bits.
    Complex32,
    /// Two of 64 bits.
    Complex64,
    /// UTF-8; the shape is its length in bytes.
    Text,
    /// Bytes; the shape is their number.
    Bytes,
    /// Nothing: `()`, and what Python calls None.
    Nothing,
}

impl Kind {
    /// The type in Rust; of an array, that of its items.
    #[must_use]
    pub const fn rust(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Complex32 => "::diaphane_cell::Complex<f32>",
            Self::Complex64 => "::diaphane_cell::Complex<f64>",
            Self::Text => "&str",
            Self::Bytes => "&[u8]",
            Self::Nothing => "()",
        }
    }

    /// The size of one, in bytes; of a text and of bytes, that of one byte.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 | Self::Text | Self::Bytes => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 | Self::Complex32 => 8,
            Self::Complex64 => 16,
            Self::Nothing => 0,
        }
    }
}

/// A value that a cell borrows: an array, a number, a text.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Arg {
    /// What it is, or what its items are.
    pub kind: Kind,
    /// How many dimensions it has; a number has none.
    pub ndim: u32,
    /// The first item.
    pub data: *mut u8,
    /// So many numbers as there are dimensions.
    pub shape: *const usize,
    /// The same, in bytes; they may be negative.
    pub strides: *const isize,
}

/// A value that a cell gives away.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Gift {
    /// What it is, or what its items are.
    pub kind: Kind,
    /// How many dimensions it has; a number has none.
    pub ndim: u32,
    /// The first item.
    pub data: *mut u8,
    /// So many numbers as there are dimensions.
    pub shape: *const usize,
    /// The same, in bytes.
    pub strides: *const isize,
    /// Whose memory it is; null if the items are to be copied before the call returns.
    pub owner: *mut c_void,
    /// Frees the owner, once, on any thread.
    pub free: Option<unsafe extern "C" fn(*mut c_void)>,
}

/// A text, which is gone when the call returns.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// UTF-8, without a zero at its end.
    pub data: *const u8,
    /// In bytes.
    pub len: usize,
}

/// What a cell may call. Each function gets [`Ctx::host`] first.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Host {
    /// Takes the result of this number.
    pub put: unsafe extern "C" fn(*mut c_void, u32, *const Gift),
    /// Takes what is to be displayed: its MIME type and its text.
    pub show: unsafe extern "C" fn(*mut c_void, Text, Text),
    /// Says that what is written to descriptor 1 from now on displays a value, until it is said that no longer.
    pub display: unsafe extern "C" fn(*mut c_void, bool),
    /// Takes the words of a panic or an error, and its line in the generated source, or 0.
    pub fail: unsafe extern "C" fn(*mut c_void, Text, u32),
}

/// One run of a cell.
#[repr(C)]
#[derive(Debug)]
pub struct Ctx {
    /// [`ABI`] of the kernel.
    pub abi: u32,
    /// How many values are borrowed.
    pub nargs: u32,
    /// The values.
    pub args: *const Arg,
    /// The first argument of the functions of [`Host`].
    pub host: *mut c_void,
    /// What the cell may call.
    pub calls: *const Host,
    /// Set when the user interrupts.
    pub interrupted: *const AtomicBool,
}
