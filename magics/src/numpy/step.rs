//! One step on the way from a Python object to machine code.

/// One step on the way from an object to machine code.
#[derive(Debug, Clone, Default)]
pub(crate) struct Step {
    /// What the step is.
    pub role: String,
    /// The object, as it was reached.
    pub object: String,
    /// The C function.
    pub code: Option<usize>,
    /// The kinds of items that a loop takes and gives, in NumPy's letters.
    pub types: Option<String>,
    /// The same in NumPy's names.
    pub dtypes: Option<String>,
    /// Where Python code stands.
    pub source: Option<(String, u32)>,
    /// The function that a loop was given to call for each item.
    pub each: Option<usize>,
}
