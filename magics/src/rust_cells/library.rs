//! The libraries of compiled cells. They stay loaded: memory that they handed out is freed by them, and their threads may
//! run on.

use std::ffi::CString;
use std::fs;
use std::ops::Range;
use std::sync::Arc;

use diaphane_cell::abi::{ENTRY, Entry, LAST_WORDS, RECOVER};
use diaphane_forks::ForkOnce;
use diaphane_rust_protocol::Compiled;
use diaphane_sight::proc::maps::Maps;
use libc::{RTLD_LOCAL, RTLD_NOW};

use crate::error::Error;

/// A compiled cell that is loaded.
#[derive(Debug)]
pub struct LoadedCell {
    /// What the compiler said about it.
    pub compiled: Compiled,
    /// The number of the cell that it was compiled for.
    pub cell: u32,
    /// The library, as this process runs it.
    pub image: CellImage,
    /// A second one, which only runs in processes of their own.
    isolated: ForkOnce<CellImage>,
}

/// The library of a cell in memory.
#[derive(Debug)]
pub struct CellImage {
    /// The cell's statements, as a function.
    pub entry: Entry,
    /// What says after a fault what it was, and what makes the thread fit for the next run.
    pub last_words: Entry,
    pub recover: Entry,
    /// Its functions for Python, as the compiler lists them.
    pub functions: Vec<Entry>,
    /// The memory that its code is in.
    pub code: Range<usize>,
}

impl LoadedCell {
    /// The library with its statics as they are in the beginning, for a process of its own.
    ///
    /// Threads of a pool that the cell has started in this process do not exist in a child, and a cell would wait for
    /// them for ever; so what runs in children never runs here.
    pub fn isolated(&self) -> Result<&CellImage, Error> {
        if let Some(image) = self.isolated.get() {
            return Ok(image);
        }
        let path = self.compiled.library.trim_end_matches(".so");
        let path = format!("{path}_isolated.so");
        // The linker takes libraries of one file for one, so it is a copy.
        fs::copy(&self.compiled.library, &path).map_err(|error| {
            Error::Usage(format!(
                "%%rust --isolated: {path} cannot be written: {error}"
            ))
        })?;
        let image = CellImage::open(&self.compiled, &path)?;
        Ok(self.isolated.get_or_init(|| image))
    }
}

/// Loads a cell's library, and Rust's own before it: the path that is written in the cell is not always right.
pub fn load(compiled: Compiled, cell: u32) -> Result<Arc<LoadedCell>, Error> {
    open(&compiled.libstd)?;
    let image = CellImage::open(&compiled, &compiled.library)?;
    Ok(Arc::new(LoadedCell {
        compiled,
        cell,
        image,
        isolated: ForkOnce::new(),
    }))
}

impl CellImage {
    fn open(compiled: &Compiled, path: &str) -> Result<Self, Error> {
        let handle = open(path)?;
        let entry = find(handle, ENTRY, path)?;
        let functions = compiled.functions.iter();
        let functions = functions
            .map(|function| find(handle, &function.entry, path))
            .collect::<Result<_, _>>()?;
        let address = entry as usize;
        let code = Maps::at(address).ok();
        let code = code.and_then(|maps| maps.find(address).map(|region| region.span));
        Ok(Self {
            entry,
            last_words: find(handle, LAST_WORDS, path)?,
            recover: find(handle, RECOVER, path)?,
            functions,
            code: code.map_or(0..0, |span| span.start..span.end),
        })
    }
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
