//! The libraries of compiled cells. They stay loaded: memory that they handed out is freed by them, and their threads may
//! run on.

use std::ffi::CString;
use std::ops::Range;
use std::sync::Arc;

use diaphane_cell::abi::{ENTRY, Entry};
use diaphane_rust_protocol::Compiled;
use diaphane_sight::maps::Maps;
use libc::{RTLD_LOCAL, RTLD_NOW};

use crate::Error;

/// A compiled cell that is loaded.
#[derive(Debug)]
pub struct Loaded {
    /// What the compiler said about it.
    pub compiled: Compiled,
    /// The number of the cell that it was compiled for.
    pub cell: u32,
    /// Its statements, as a function.
    pub entry: Entry,
    /// Its functions for Python, as the compiler lists them.
    pub functions: Vec<Entry>,
    /// The memory that its code is in.
    pub code: Range<usize>,
}

/// Loads a cell's library, and Rust's own before it: the path that is written in the cell is not always right.
pub fn load(compiled: Compiled, cell: u32) -> Result<Arc<Loaded>, Error> {
    open(&compiled.libstd)?;
    let handle = open(&compiled.library)?;
    let entry = find(handle, ENTRY, &compiled.library)?;
    let functions = compiled.functions.iter();
    let functions = functions
        .map(|function| find(handle, &function.entry, &compiled.library))
        .collect::<Result<_, _>>()?;
    let address = entry as usize;
    let code = Maps::at(address).ok();
    let code = code.and_then(|maps| maps.find(address).map(|region| region.span));
    Ok(Arc::new(Loaded {
        compiled,
        cell,
        entry,
        functions,
        code: code.map_or(0..0, |span| span.start..span.end),
    }))
}

/// The function of a name.
fn find(handle: *mut libc::c_void, name: &str, library: &str) -> Result<Entry, Error> {
    let symbol = CString::new(name).unwrap_or_default();
    #[allow(unsafe_code, reason = "the linker is asked for a function")]
    // SAFETY: the handle is one, and the name ends with a zero.
    let found = unsafe { libc::dlsym(handle, symbol.as_ptr()) };
    if found.is_null() {
        return Err(Error::Usage(format!("%%rust: {library} has no {name}")));
    }
    #[allow(unsafe_code, reason = "the linker gives functions as data")]
    // SAFETY: a function of such a name has this form in every library that the compiler makes.
    Ok(unsafe { std::mem::transmute::<*mut libc::c_void, Entry>(found) })
}

fn open(path: &str) -> Result<*mut libc::c_void, Error> {
    let name =
        CString::new(path).map_err(|_| Error::Usage(format!("%%rust: {path:?} is no path")))?;
    #[allow(unsafe_code, reason = "a library is loaded")]
    // SAFETY: the user's own code is what runs when it is loaded.
    let handle = unsafe { libc::dlopen(name.as_ptr(), RTLD_NOW | RTLD_LOCAL) };
    if handle.is_null() {
        return Err(Error::Usage(format!(
            "%%rust: {path} cannot be loaded: {}",
            reason()
        )));
    }
    Ok(handle)
}

/// What the linker says about its last failure.
fn reason() -> String {
    #[allow(unsafe_code, reason = "the linker's words")]
    // SAFETY: it gives null or a text that stays until the next failure on this thread.
    let words = unsafe {
        let words = libc::dlerror();
        if words.is_null() {
            return String::new();
        }
        std::ffi::CStr::from_ptr(words)
    };
    words.to_string_lossy().into_owned()
}
