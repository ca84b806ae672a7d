//! The exception to explain: the last one, one that a variable holds, or one that an import raises now.
//!
//! Attributes are read by the descriptors of the built-in classes, so that no code of a subclass runs.

use pyo3::PyTypeInfo;
use pyo3::exceptions::{PyBaseException, PyImportError, PyOSError};
use pyo3::prelude::*;

use super::message::Failure;
use crate::error::Error;
use crate::magic::User;

/// An exception that a loader's message is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    pub failure: Failure,
    pub message: String,
    /// The module that was to be imported, and its file.
    pub module: Option<String>,
    pub path: Option<String>,
}

/// Causes and contexts are followed so far.
const DEEPEST: usize = 32;

impl Cause {
    /// The first message of a loader in an exception or in what it came from.
    pub fn of(exception: &Bound<'_, PyBaseException>) -> Option<Self> {
        let mut open = vec![exception.clone()];
        for _ in 0..DEEPEST {
            let exception = open.pop()?;
            if let Some(cause) = Self::here(&exception) {
                return Some(cause);
            }
            // What the author named as the cause is looked at first, and so stands last.
            for link in ["__context__", "__cause__"] {
                let next = attribute::<PyBaseException>(&exception, link);
                open.extend(next.and_then(|next| next.cast_into::<PyBaseException>().ok()));
            }
        }
        None
    }

    fn here(exception: &Bound<'_, PyBaseException>) -> Option<Self> {
        let is_import = exception.is_instance_of::<PyImportError>();
        if !is_import && !exception.is_instance_of::<PyOSError>() {
            return None;
        }
        let text = |name: &str| {
            attribute::<PyImportError>(exception, name)?
                .extract::<String>()
                .ok()
        };
        let arguments = attribute::<PyBaseException>(exception, "args")?;
        let message: String = arguments.get_item(0).ok()?.extract().ok()?;
        Some(Self {
            failure: Failure::parse(&message)?,
            message,
            module: is_import.then(|| text("name")).flatten(),
            path: is_import.then(|| text("path")).flatten(),
        })
    }
}

fn attribute<'py, T: PyTypeInfo>(
    exception: &Bound<'py, PyBaseException>,
    name: &str,
) -> Option<Bound<'py, PyAny>> {
    let class = exception.py().get_type::<T>();
    let found = class.getattr("__dict__").ok()?.get_item(name).ok()?;
    let value = found.call_method1("__get__", (exception, class)).ok()?;
    (!value.is_none()).then_some(value)
}

/// The exception that the line means.
pub(super) fn find<'py>(
    user: User<'_, 'py>,
    name: Option<&str>,
) -> Result<Bound<'py, PyBaseException>, Error> {
    let py = user.py;
    let Some(name) = name else {
        let sys = py.import("sys")?;
        for place in ["last_exc", "last_value"] {
            let last = sys.getattr_opt(place)?;
            if let Some(Ok(last)) = last.map(Bound::cast_into::<PyBaseException>) {
                return Ok(last);
            }
        }
        return Err(Error::Usage(
            "%why_import: nothing has failed yet; name a module to try its import".into(),
        ));
    };
    let held = user.namespace.get_item(name)?;
    if let Some(Ok(exception)) = held.map(Bound::cast_into::<PyBaseException>) {
        return Ok(exception);
    }
    match py
        .import("importlib")?
        .call_method1("import_module", (name,))
    {
        Ok(_) => Err(Error::Usage(format!(
            "%why_import: the import of {name} works: there is nothing to explain"
        ))),
        Err(error) => Ok(error.into_value(py).into_bound(py)),
    }
}
