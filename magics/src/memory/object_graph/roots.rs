//! Where to look from besides the user's variables: the last error, other threads, and whatever else there is.

use std::collections::HashSet;

use pyo3::prelude::*;
use pyo3::types::{PyList, PyModule, PyString};

use super::Root;
use crate::magic::User;
use crate::python::threads::threads_by_identity;
use diaphane_cpython::dicts::entries;

/// How many stages there are.
pub(super) const STAGES: usize = 3;

/// When a root is looked at: first what the user named, then what IPython keeps of cells and Python of the last error, and
/// at the end what has no name.
pub(super) fn stage(name: &str) -> usize {
    let is_history = name.starts_with('_') || name == "Out";
    match name {
        "" => 2,
        _ if is_history || name.starts_with("sys.") || name.contains(' ') => 1,
        _ => 0,
    }
}

/// The user's variables but those whose names begin with an underscore.
pub(crate) fn visible<'py>(user: User<'_, 'py>) -> Vec<Root<'py>> {
    let variables = variables(user).into_iter();
    variables
        .filter(|(name, _)| !name.starts_with('_'))
        .collect()
}

/// What Python and IPython keep for the user under names of their own: the last error, the variables of functions that
/// other threads run, and the values of cells.
pub(crate) fn kept_by_python<'py>(user: User<'_, 'py>) -> PyResult<Vec<Root<'py>>> {
    let mut kept = last_error(user.py)?;
    kept.extend(threads(user.py)?);
    let values = user.namespace.get_item("Out")?;
    kept.extend(values.map(|values| ("Out".to_owned(), values)));
    Ok(kept)
}

/// All variables of the user, and the last error.
pub(crate) fn all<'py>(user: User<'_, 'py>) -> PyResult<Vec<Root<'py>>> {
    let mut all = variables(user);
    all.extend(last_error(user.py)?);
    Ok(all)
}

/// Copied, since asking an object may change the variables.
fn variables<'py>(user: User<'_, 'py>) -> Vec<Root<'py>> {
    let text = |key: Bound<'py, PyAny>| {
        let key = key.cast_into::<PyString>().ok()?;
        Some(key.to_string_lossy().into_owned())
    };
    let locals: Vec<Root<'py>> = user
        .locals
        .into_iter()
        .flat_map(entries)
        .filter_map(|(key, value)| Some((text(key)?, value)))
        .collect();
    let hidden: HashSet<String> = locals.iter().map(|(name, _)| name.clone()).collect();
    let globals = entries(user.namespace).into_iter();
    let globals = globals.filter_map(|(key, value)| Some((text(key)?, value)));
    let globals = globals.filter(|(name, _)| !hidden.contains(name));
    locals.iter().cloned().chain(globals).collect()
}

/// The last error that nobody caught: its traceback keeps the variables of all functions that it ended.
fn last_error(py: Python<'_>) -> PyResult<Vec<Root<'_>>> {
    let sys = py.import("sys")?;
    let mut found = Vec::new();
    // Since 3.12 both are the same object.
    for name in ["last_exc", "last_value"] {
        let error = sys.getattr_opt(name)?.filter(|error| !error.is_none());
        found.extend(error.map(|error| (format!("sys.{name}"), error)));
    }
    Ok(found)
}

/// The functions that other threads run, and every object that the garbage collector knows: there is somebody who keeps
/// what no variable leads to.
pub(crate) fn elsewhere<'py>(user: User<'_, 'py>) -> PyResult<Vec<Root<'py>>> {
    let mut roots = threads(user.py)?;
    let modules = user.py.import("sys")?.getattr("modules")?;
    for (name, module) in entries(modules.cast().map_err(PyErr::from)?) {
        let (Ok(name), Ok(module)) = (name.extract::<String>(), module.cast::<PyModule>()) else {
            continue;
        };
        roots.push((format!("module {name}"), module.dict().into_any()));
    }
    let all = user.py.import("gc")?.call_method0("get_objects")?;
    let all = all.cast_into::<PyList>().map_err(PyErr::from)?;
    roots.extend(all.iter().map(|object| (String::new(), object)));
    Ok(roots)
}

/// The frames of each other thread, as a list.
fn threads(py: Python<'_>) -> PyResult<Vec<Root<'_>>> {
    // Where threads run at once, their variables change while they are read.
    if cfg!(Py_GIL_DISABLED) {
        return Ok(Vec::new());
    }
    let own: u64 = py.import("_thread")?.call_method0("get_ident")?.extract()?;
    let mut found = Vec::new();
    let names = threads_by_identity(py)?;
    let running = py.import("sys")?.call_method0("_current_frames")?;
    for item in running.call_method0("items")?.try_iter()? {
        let (thread, innermost): (u64, Bound<'_, PyAny>) = item?.extract()?;
        if thread == own {
            continue;
        }
        let frames = PyList::empty(py);
        let mut next = innermost;
        while !next.is_none() {
            frames.append(&next)?;
            next = next.getattr("f_back")?;
        }
        let name = names.get(&thread).cloned();
        let name = name.unwrap_or_else(|| thread.to_string());
        found.push((format!("thread {name}"), frames.into_any()));
    }
    Ok(found)
}
