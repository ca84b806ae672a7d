//! Dictionaries that other threads may change while they are walked.

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The keys and values of a dictionary as they are at one moment. Looking at one of them may run Python, and so another
/// thread, which may change the dictionary; walking that itself would then end in a panic.
pub fn entries<'py>(dict: &Bound<'py, PyDict>) -> Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    // Nobody else knows the copy.
    dict.copy()
        .map(|copy| copy.iter().collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_may_change_meanwhile() {
        Python::initialize();
        Python::attach(|py| {
            let dict = PyDict::new(py);
            dict.set_item("a", 1).unwrap();
            for (key, value) in entries(&dict) {
                dict.set_item("b", &value).unwrap();
                dict.del_item(key).unwrap();
            }
            assert_eq!(dict.to_string(), "{'b': 1}");
        });
    }
}
