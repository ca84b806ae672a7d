//! Lazy imports (PEP 810, since 3.15): an import statement binds a placeholder, and the line that first uses the name
//! loads the module.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::modules::imported;
use crate::reader::Reader;

/// Where the lazy import stands whose module a frame loads now, by using its name: file and line.
///
/// Nothing is imported for the question, and no code of the user's runs.
pub fn statement_behind(frame: &Bound<'_, PyAny>) -> Option<(String, u32)> {
    let py = frame.py();
    let code = frame.getattr("f_code").ok()?;
    let at: usize = frame.getattr("f_lasti").ok()?.extract().ok()?;
    let name = global_used(py, &code, at)?;
    let globals = frame.getattr("f_globals").ok()?;
    let globals = globals.cast_into_exact::<PyDict>().ok()?;
    let value = globals.get_item(name).ok()??;
    let is_lazy = value
        .get_type()
        .name()
        .is_ok_and(|name| name == "lazy_import");
    is_lazy.then(|| statement(&value)).flatten()
}

/// The global name that the instruction at an offset loads.
fn global_used<'py>(
    py: Python<'py>,
    code: &Bound<'py, PyAny>,
    at: usize,
) -> Option<Bound<'py, PyAny>> {
    let numbers = imported(py, "opcode").ok()??.getattr("opmap").ok()?;
    let is = |operation: u8, name: &str| {
        let number = numbers
            .get_item(name)
            .and_then(|number| number.extract::<u8>());
        number.is_ok_and(|number| number == operation)
    };
    let bytes = code.getattr("co_code").ok()?.cast_into::<PyBytes>().ok()?;
    let (units, _) = bytes.as_bytes().as_chunks::<2>();
    let unit = at / 2;
    let &[operation, argument] = units.get(unit)?;
    let mut index = usize::from(argument);
    // The bytes of a long argument come before.
    for (count, &[operation, argument]) in units.get(..unit)?.iter().rev().take(3).enumerate() {
        if !is(operation, "EXTENDED_ARG") {
            break;
        }
        index |= usize::from(argument) << (8 * (count + 1));
    }
    let index = match operation {
        // The lowest bit says something else.
        _ if is(operation, "LOAD_GLOBAL") => index >> 1,
        _ if is(operation, "LOAD_NAME") => index,
        _ => return None,
    };
    let names = code.getattr("co_names").ok()?;
    names.cast_into::<PyTuple>().ok()?.get_item(index).ok()
}

/// Where a placeholder was made: it refers to the code of the statement, and behind that to its instruction.
#[allow(unsafe_code, reason = "a code object that a C struct refers to")]
fn statement(placeholder: &Bound<'_, PyAny>) -> Option<(String, u32)> {
    let reader = Reader::own()?;
    let size: usize = placeholder
        .get_type()
        .getattr("__basicsize__")
        .ok()?
        .extract()
        .ok()?;
    let start = placeholder.as_ptr().addr();
    let mut offsets = (0..size).step_by(size_of::<usize>());
    let (offset, code) = offsets.find_map(|offset| {
        let code = reader.word(start, offset)?;
        (reader.class(code)? == reader.code_type).then_some((offset, code))
    })?;
    let unit = reader.int(start, offset + size_of::<usize>())?;
    // SAFETY: the placeholder holds its code object, whose type was compared.
    let code = unsafe { Bound::from_borrowed_ptr(placeholder.py(), code as *mut ffi::PyObject) };
    // SAFETY: it is a code object and alive; an offset that is none of its gives no line.
    let line = unsafe { ffi::PyCode_Addr2Line(code.as_ptr().cast(), unit.checked_mul(2)?) };
    let file = code.getattr("co_filename").ok()?.extract().ok()?;
    Some((file, u32::try_from(line).ok().filter(|line| *line > 0)?))
}
