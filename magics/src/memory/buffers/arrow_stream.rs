//! Arrow's C interface: how libraries hand arrays to each other, as a stream of chunks in C structs.
//!
//! The structs say where buffers are, and not how large: that follows from the type, the number of items, and for texts
//! and the like from what the buffers hold. Whoever takes a chunk calls its `release` when done.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::rc::Rc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods};

/// One buffer of an array.
pub(super) struct ArrowBuffer {
    /// What to write behind the name of the array, such as `.data`.
    pub name: String,
    /// The type of its items, or `bytes`.
    pub dtype: String,
    pub address: usize,
    pub size: usize,
    /// Keeps it in memory.
    pub chunk: Rc<Chunk>,
}

/// `ArrowSchema`.
#[repr(C)]
struct Schema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    children: i64,
    child: *const *const Schema,
    dictionary: *const Schema,
    release: Option<unsafe extern "C" fn(*mut Schema)>,
    private: *mut c_void,
}

/// `ArrowArray`.
#[repr(C)]
struct Array {
    length: i64,
    nulls: i64,
    offset: i64,
    buffers: i64,
    children: i64,
    buffer: *const *const c_void,
    child: *const *const Array,
    dictionary: *const Array,
    release: Option<unsafe extern "C" fn(*mut Array)>,
    private: *mut c_void,
}

/// `ArrowArrayStream`.
#[repr(C)]
struct Stream {
    schema: Option<unsafe extern "C" fn(*mut Stream, *mut Schema) -> c_int>,
    next: Option<unsafe extern "C" fn(*mut Stream, *mut Array) -> c_int>,
    error: Option<unsafe extern "C" fn(*mut Stream) -> *const c_char>,
    release: Option<unsafe extern "C" fn(*mut Stream)>,
    private: *mut c_void,
}

/// A chunk that was given to us.
pub(super) struct Chunk(Array);

/// The type of the chunks, which is given to us too.
struct Kind(Schema);

/// The buffers of all chunks of a stream in a capsule.
pub(super) fn parts(capsule: &Bound<'_, PyAny>) -> PyResult<Vec<ArrowBuffer>> {
    let capsule = capsule.cast::<PyCapsule>()?;
    let stream = capsule
        .pointer_checked(Some(c"arrow_array_stream"))
        .map_err(|_| {
            PyTypeError::new_err("__arrow_c_stream__ gave no capsule \"arrow_array_stream\"")
        })?;
    let stream = stream.cast::<Stream>().as_ptr();
    let kind = Kind::of(stream)?;
    let mut chunks = Vec::new();
    while let Some(chunk) = Chunk::next(stream)? {
        chunks.push(Rc::new(chunk));
    }
    let mut found = Vec::new();
    for (number, chunk) in chunks.iter().enumerate() {
        let name = match chunks.len() {
            1 => String::new(),
            _ => format!(".chunk[{number}]"),
        };
        let sink = &mut Sink {
            found: &mut found,
            chunk,
        };
        walk(&kind.0, &chunk.0, &name, sink);
    }
    Ok(found)
}

#[allow(unsafe_code, reason = "Arrow's C structs")]
impl Kind {
    fn of(stream: *mut Stream) -> PyResult<Self> {
        // SAFETY: a struct of pointers and numbers, for which zero is a value; the stream fills it.
        let mut kind = Self(unsafe { std::mem::zeroed() });
        // SAFETY: the capsule keeps the stream, and its functions take these structs.
        let status = unsafe {
            (*stream)
                .schema
                .map_or(-1, |schema| schema(stream, &raw mut kind.0))
        };
        match status {
            0 => Ok(kind),
            _ => Err(refused(status)),
        }
    }
}

#[allow(unsafe_code, reason = "Arrow's C structs")]
impl Chunk {
    /// The next chunk; `None` at the end.
    fn next(stream: *mut Stream) -> PyResult<Option<Self>> {
        // SAFETY: as for `Kind`.
        let mut chunk = Self(unsafe { std::mem::zeroed() });
        // SAFETY: as for `Kind`.
        let status = unsafe {
            (*stream)
                .next
                .map_or(-1, |next| next(stream, &raw mut chunk.0))
        };
        match status {
            0 => Ok(chunk.0.release.is_some().then_some(chunk)),
            _ => Err(refused(status)),
        }
    }
}

fn refused(status: c_int) -> PyErr {
    PyValueError::new_err(format!(
        "it could not be exported to Arrow (status {status})"
    ))
}

#[allow(unsafe_code, reason = "Arrow's C structs")]
impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(release) = self.0.release {
            // SAFETY: whoever made the struct wants this call, once; the function marks it as released.
            unsafe { release(&raw mut self.0) };
        }
    }
}

#[allow(unsafe_code, reason = "Arrow's C structs")]
impl Drop for Kind {
    fn drop(&mut self) {
        if let Some(release) = self.0.release {
            // SAFETY: as for `Chunk`.
            unsafe { release(&raw mut self.0) };
        }
    }
}

/// Where the buffers of a chunk are collected.
struct Sink<'a> {
    found: &'a mut Vec<ArrowBuffer>,
    chunk: &'a Rc<Chunk>,
}

impl Sink<'_> {
    fn push(&mut self, name: String, dtype: &str, address: usize, size: usize) {
        if address != 0 && size != 0 {
            self.found.push(ArrowBuffer {
                name,
                dtype: dtype.to_owned(),
                address,
                size,
                chunk: Rc::clone(self.chunk),
            });
        }
    }
}

/// An array's buffers, then those of its children and of its dictionary.
fn walk(kind: &Schema, array: &Array, name: &str, sink: &mut Sink<'_>) {
    let format = text(kind.format);
    for (part, dtype, address, size) in buffers(&format, array) {
        sink.push(format!("{name}.{part}"), dtype, address, size);
    }
    for number in 0..usize::try_from(array.children.min(kind.children)).unwrap_or(0) {
        let (Some(kind), Some(array)) = (at(kind.child, number), at(array.child, number)) else {
            return;
        };
        let child = match format.as_str() {
            "+s" => format!("{name}[{}]", text(kind.name)),
            _ => format!("{name}.items"),
        };
        walk(kind, array, &child, sink);
    }
    if let (Some(kind), Some(array)) = (behind(kind.dictionary), behind(array.dictionary)) {
        walk(kind, array, &format!("{name}.dictionary"), sink);
    }
}

type Found = (&'static str, &'static str, usize, usize);

/// The buffers of an array itself, by the letters that stand for its type.
fn buffers(format: &str, array: &Array) -> Vec<Found> {
    let items = usize::try_from(array.length.saturating_add(array.offset)).unwrap_or(0);
    let given = usize::try_from(array.buffers).unwrap_or(0);
    let address = |index: usize| match index < given {
        true => pointer(array.buffer, index),
        false => 0,
    };
    let bits = items.div_ceil(8);
    let mut found: Vec<Found> = Vec::new();
    // Unions have no bits for what is missing.
    if !format.starts_with("+u") {
        found.push(("validity", "bytes", address(0), bits));
    }
    let offset = |size: usize| last_offset(address(1), items, size);
    match format {
        "b" => found.push(("data", "bool", address(1), bits)),
        "u" | "z" | "U" | "Z" => {
            let size = if format.starts_with(['U', 'Z']) { 8 } else { 4 };
            found.push(("offsets", "bytes", address(1), (items + 1) * size));
            found.push(("data", "bytes", address(2), offset(size)));
        }
        "vu" | "vz" => {
            found.push(("views", "bytes", address(1), items * 16));
            // The last buffer has the sizes of those before it.
            for index in 2..given.saturating_sub(1) {
                let size = long(address(given - 1), index - 2);
                found.push(("data", "bytes", address(index), size));
            }
        }
        "+l" | "+m" => found.push(("offsets", "bytes", address(1), (items + 1) * 4)),
        "+L" => found.push(("offsets", "bytes", address(1), (items + 1) * 8)),
        "+vl" | "+vL" => {
            let size = if format == "+vL" { 8 } else { 4 };
            found.push(("offsets", "bytes", address(1), items * size));
            found.push(("sizes", "bytes", address(2), items * size));
        }
        _ if format.starts_with("+ud") => {
            found.push(("types", "bytes", address(0), items));
            found.push(("offsets", "bytes", address(1), items * 4));
        }
        _ if format.starts_with("+us") => found.push(("types", "bytes", address(0), items)),
        _ => {
            if let Some((dtype, size)) = width(format) {
                found.push(("data", dtype, address(1), items * size));
            }
        }
    }
    found
}

/// The type and size of an item of a type whose items are alike in size.
fn width(format: &str) -> Option<(&'static str, usize)> {
    let known = match format {
        "c" => ("int8", 1),
        "C" => ("uint8", 1),
        "s" => ("int16", 2),
        "S" => ("uint16", 2),
        "i" => ("int32", 4),
        "I" => ("uint32", 4),
        "l" => ("int64", 8),
        "L" => ("uint64", 8),
        "e" => ("float16", 2),
        "f" => ("float32", 4),
        "g" => ("float64", 8),
        "tdD" => ("date32", 4),
        "tdm" => ("date64", 8),
        "tts" | "ttm" => ("time32", 4),
        "ttu" | "ttn" => ("time64", 8),
        "tiM" => ("interval", 4),
        "tiD" => ("interval", 8),
        "tin" => ("interval", 16),
        _ if format.starts_with("ts") => ("timestamp", 8),
        _ if format.starts_with("tD") => ("duration", 8),
        _ => {
            let (letter, numbers) = format.split_once(':')?;
            let mut numbers = numbers.split(',').map(str::parse);
            return match letter {
                "w" => Some(("bytes", numbers.next()?.ok()?)),
                // The digits, those behind the point, and the bits, which are 128 where nobody says.
                "d" => Some(("decimal", numbers.nth(2).map_or(Some(128), Result::ok)? / 8)),
                _ => None,
            };
        }
    };
    Some(known)
}

/// Where the last item of a list of texts ends.
fn last_offset(offsets: usize, items: usize, size: usize) -> usize {
    match (offsets, size) {
        (0, _) => 0,
        (_, 8) => long(offsets, items),
        _ => usize::try_from(read::<i32>(offsets, items)).unwrap_or(0),
    }
}

fn long(numbers: usize, index: usize) -> usize {
    usize::try_from(read::<i64>(numbers, index)).unwrap_or(0)
}

/// A number out of a buffer that has so many.
#[allow(unsafe_code, reason = "Arrow's C structs")]
fn read<T: Copy + Default>(numbers: usize, index: usize) -> T {
    if numbers == 0 {
        return T::default();
    }
    let numbers = ptr::with_exposed_provenance::<T>(numbers);
    // SAFETY: the type of the array says that so many numbers lie there, and the chunk is alive.
    unsafe { numbers.add(index).read_unaligned() }
}

#[allow(unsafe_code, reason = "Arrow's C structs")]
fn text(letters: *const c_char) -> String {
    if letters.is_null() {
        return String::new();
    }
    // SAFETY: the interface says that it ends with NUL and lives as long as the struct.
    unsafe { CStr::from_ptr(letters) }
        .to_string_lossy()
        .into_owned()
}

#[allow(unsafe_code, reason = "Arrow's C structs")]
fn pointer(buffers: *const *const c_void, index: usize) -> usize {
    // SAFETY: callers ask for one of as many as the struct says.
    unsafe { buffers.add(index).read() }.addr()
}

#[allow(unsafe_code, reason = "Arrow's C structs")]
fn at<'a, T>(structs: *const *const T, index: usize) -> Option<&'a T> {
    if structs.is_null() {
        return None;
    }
    // SAFETY: callers ask for one of as many as the struct says.
    behind(unsafe { structs.add(index).read() })
}

#[allow(unsafe_code, reason = "Arrow's C structs")]
fn behind<'a, T>(one: *const T) -> Option<&'a T> {
    // SAFETY: a struct below one that is alive, or NULL.
    unsafe { one.as_ref() }
}
