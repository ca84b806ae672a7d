//! What Python's extension modules declare about themselves: whether they can do without the GIL, and whether they can
//! live in several interpreters (PEP 489, PEP 684, PEP 703).
//!
//! The declarations are slots of the C struct `PyModuleDef`, which a module that was imported refers to.

use std::collections::HashMap;
use std::ffi::c_int;
use std::sync::Arc;

use diaphane_forks::ProcessLock;
use diaphane_sight::linker::link_map;
use diaphane_sight::linker::link_map::Counters;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule, PyString};

use crate::dicts::entries;

/// `Py_mod_multiple_interpreters`, since CPython 3.12; the other number is that of modules compiled for 3.15 and later.
const INTERPRETERS: [c_int; 2] = [3, 86];
/// `Py_mod_gil`, since CPython 3.13; as above.
const GIL: [c_int; 2] = [4, 87];
/// No module has so many slots; a list without an end is no list.
const MOST_SLOTS: usize = 64;

/// What one extension module declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The module's name.
    pub module: String,
    /// `not used` (it runs without the GIL), `used`, or `undeclared`, which counts as used; `None` before CPython 3.13.
    pub gil: Option<&'static str>,
    /// `own gil`, `shared gil`, `none`, or `undeclared`, which counts as shared; `None` before CPython 3.12.
    pub interpreters: Option<&'static str>,
}

/// Declarations by file.
pub type ByFile = HashMap<String, Declared>;

/// They change only when a library is loaded or a module comes or goes.
static KNOWN: ProcessLock<Option<(Counters, usize, Arc<ByFile>)>> = ProcessLock::new(|| None);

/// The declarations of all imported modules that are in files, by the file.
pub fn declared(py: Python<'_>) -> PyResult<Arc<ByFile>> {
    let modules = py
        .import("sys")?
        .getattr("modules")?
        .cast_into::<PyDict>()?;
    let (counters, count) = (link_map::counters(), modules.len());
    let known = || KNOWN.lock();
    let fresh = known()
        .clone()
        .filter(|(then, modules, _)| *then == counters && *modules == count);
    if let Some((_, _, declared)) = fresh {
        return Ok(declared);
    }
    let declared = Arc::new(read(py, modules)?);
    *known() = Some((counters, count, Arc::clone(&declared)));
    Ok(declared)
}

fn read(py: Python<'_>, modules: Bound<'_, PyDict>) -> PyResult<ByFile> {
    let version = (py.version_info().major, py.version_info().minor);
    let mut declared = HashMap::new();
    for (name, module) in entries(&modules) {
        let (Ok(name), Ok(module)) = (name.extract::<String>(), module.cast_into::<PyModule>())
        else {
            continue;
        };
        let Some(slots) = slots(&module) else {
            continue;
        };
        // The dictionary is asked and not the module, which may have a `__getattr__`.
        let file = module.dict().get_item("__file__")?;
        let file = file.and_then(|file| file.cast_into_exact::<PyString>().ok());
        if let Some(file) = file {
            let entry = declare(name, &slots, version);
            declared
                .entry(file.to_string_lossy().into_owned())
                .or_insert(entry);
        }
    }
    Ok(declared)
}

/// The slots of a module's definition as (number, value); `None` where a module has no definition in C.
///
/// A module of the old form, which is one object for the whole process, has an empty list.
#[allow(unsafe_code, reason = "a C struct of CPython is read")]
fn slots(module: &Bound<'_, PyModule>) -> Option<Vec<(c_int, usize)>> {
    // SAFETY: the object is a module and the GIL is held; the definition is static, or NULL.
    let definition = unsafe { ffi::PyModule_GetDef(module.as_ptr()).as_ref() }?;
    let mut slots = Vec::new();
    let mut next = definition.m_slots;
    while !next.is_null() && slots.len() < MOST_SLOTS {
        // SAFETY: CPython itself has walked this array up to the entry whose number is 0.
        let slot = unsafe { &*next };
        if slot.slot == 0 {
            break;
        }
        slots.push((slot.slot, slot.value as usize));
        // SAFETY: the entry was not the last one.
        next = unsafe { next.add(1) };
    }
    Some(slots)
}

fn declare(module: String, slots: &[(c_int, usize)], version: (u8, u8)) -> Declared {
    let value = |numbers: [c_int; 2]| {
        let slot = slots.iter().find(|(slot, _)| numbers.contains(slot));
        slot.map(|&(_, value)| value)
    };
    let gil = match value(GIL) {
        Some(0) => "used",
        Some(1) => "not used",
        _ => "undeclared",
    };
    let interpreters = match value(INTERPRETERS) {
        // A module without any slot is of the old form, which knows one interpreter only.
        None if slots.is_empty() => "none",
        Some(0) => "none",
        Some(1) => "shared gil",
        Some(2) => "own gil",
        _ => "undeclared",
    };
    Declared {
        module,
        gil: (version >= (3, 13)).then_some(gil),
        interpreters: (version >= (3, 12)).then_some(interpreters),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(slots: &[(c_int, usize)], version: (u8, u8)) -> (Option<&str>, Option<&str>) {
        let declared = declare("m".into(), slots, version);
        (declared.gil, declared.interpreters)
    }

    #[test]
    fn slots_are_read_as_the_headers_number_them() {
        let all = &[(2, 0x1000), (3, 2), (4, 1)];
        let newer = &[(85, 0x1000), (86, 2), (87, 1)];
        assert_eq!(
            declared(newer, (3, 15)),
            (Some("not used"), Some("own gil"))
        );
        assert_eq!(declared(all, (3, 13)), (Some("not used"), Some("own gil")));
        assert_eq!(declared(all, (3, 12)), (None, Some("own gil")));
        assert_eq!(declared(all, (3, 11)), (None, None));
        assert_eq!(
            declared(&[(2, 1)], (3, 14)),
            (Some("undeclared"), Some("undeclared"))
        );
        assert_eq!(declared(&[], (3, 14)), (Some("undeclared"), Some("none")));
        let none = &[(3, 0), (4, 0)];
        assert_eq!(declared(none, (3, 13)), (Some("used"), Some("none")));
    }
}
