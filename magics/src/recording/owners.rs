//! Objects whose memory is being watched: whoever gets it next, when one of them is freed, has nothing to do with it.

use pyo3::prelude::*;
use pyo3::types::PyCFunction;

/// Tells when objects are freed; nobody is kept alive, and it ends with its value.
pub(crate) struct WatchedOwners {
    _references: Vec<Py<PyAny>>,
}

impl WatchedOwners {
    /// Calls with the place of an object in the list when that is freed. Of what cannot be referred to weakly, such as a
    /// `bytearray`, nobody can tell.
    pub fn watch<'py>(
        py: Python<'py>,
        owners: impl IntoIterator<Item = Bound<'py, PyAny>>,
        freed: impl Fn(usize) + Clone + Send + Sync + 'static,
    ) -> PyResult<Self> {
        let reference = py.import("weakref")?.getattr("ref")?;
        let mut references = Vec::new();
        for (place, owner) in owners.into_iter().enumerate() {
            let freed = freed.clone();
            let call = PyCFunction::new_closure(py, None, None, move |_, _| {
                freed(place);
            })?;
            if let Ok(weak) = reference.call1((owner, call)) {
                references.push(weak.unbind());
            }
        }
        Ok(Self {
            _references: references,
        })
    }
}
