//! What a function on a stack says about the code that called it: the evidence for the diagnoses.

use diaphane_cpython::symbols::steps;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::unwind::function_start;

use crate::stacks::waits::{self, WaitsFor};

/// Properties of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct StackMarks(u32);

impl StackMarks {
    /// NumPy makes a Python object of one value, or computes with such objects.
    pub const BOXED: Self = Self(1);
    /// NumPy or pandas calls Python for each value.
    pub const OBJECTS: Self = Self(1 << 1);
    /// pandas looks up or sets something by a label or a position.
    pub const LOOKUP: Self = Self(1 << 2);
    /// pandas calls a function for each row or column.
    pub const APPLY: Self = Self(1 << 3);
    /// pandas makes a Series of a row.
    pub const ROWS: Self = Self(1 << 4);
    /// `DataFrame.iterrows`.
    pub const ITERROWS: Self = Self(1 << 5);
    /// Arrays or tables are put together.
    pub const CONCATENATES: Self = Self(1 << 6);
    /// A product of matrices, or another operation on each of them.
    pub const PRODUCT: Self = Self(1 << 7);
    /// The value of the cell is displayed.
    pub const DISPLAY: Self = Self(1 << 8);
    /// It waits for a child process.
    pub const CHILD: Self = Self(1 << 9);
    /// It waits for a connection.
    pub const NETWORK: Self = Self(1 << 10);
    /// It waits for a file.
    pub const FILE: Self = Self(1 << 11);
    /// It waits for a time to pass.
    pub const TIME: Self = Self(1 << 12);
    /// It waits for another thread.
    pub const LOCK: Self = Self(1 << 13);
    /// It waits for one of several descriptors.
    pub const DESCRIPTOR: Self = Self(1 << 14);

    /// The innermost Python function stands in a cell.
    pub const DIRECT: Self = Self(1 << 15);
    /// The interpreter takes the next value of something by calling a function for it.
    pub const STEP: Self = Self(1 << 16);
    /// pandas calls a function for each group.
    pub const GROUPS: Self = Self(1 << 17);
    /// What holds for a function of native code also while that calls Python.
    pub const LASTING: Self = Self(Self::OBJECTS.0 | Self::CONCATENATES.0 | Self::PRODUCT.0);

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn only(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// What ends a wait.
    fn of_wait(on: WaitsFor) -> Self {
        match on {
            WaitsFor::Time => Self::TIME,
            WaitsFor::Lock => Self::LOCK,
            WaitsFor::Child => Self::CHILD,
            WaitsFor::Network => Self::NETWORK,
            WaitsFor::File => Self::FILE,
            WaitsFor::Descriptor => Self::DESCRIPTOR,
        }
    }
}

/// Functions of NumPy that make an object of one value of an array.
const BOXES: &[&str] = &[
    "PyArray_Scalar",
    "PyArray_ToScalar",
    "array_item",
    "array_toscalar",
    "arrayiter_next",
    "array_assign_item",
];

/// How operations of NumPy's scalars end and begin: `double_add`, `long_multiply`.
const SCALARS: &[&str] = &[
    "double_",
    "float_",
    "half_",
    "long_",
    "longlong_",
    "int_",
    "short_",
    "byte_",
    "ubyte_",
    "ushort_",
    "uint_",
    "ulong_",
    "ulonglong_",
    "longdouble_",
    "cdouble_",
    "cfloat_",
];
const OPERATIONS: &[&str] = &[
    "add",
    "subtract",
    "multiply",
    "divide",
    "true_divide",
    "floor_divide",
    "remainder",
    "power",
    "negative",
    "absolute",
    "bool",
    "richcompare",
    "arrtype_hash",
    "arrtype_new",
    "int",
    "float",
];

/// Methods of pandas' groups that call a function of the user's for each of them.
const CALLS_FOR_GROUPS: &[&str] = &[
    ".apply_groupwise",
    "._aggregate_series_pure_python",
    "._aggregate_named",
    "._transform_general",
];

/// What the native function at an address says; `python` is whether it belongs to the interpreter.
pub(crate) fn of_function(
    address: usize,
    name: Option<&str>,
    library: &Library,
    python: bool,
) -> StackMarks {
    let begins_at = |known: [usize; 2]| {
        function_start(&library.image, address).is_some_and(|start| known.contains(&start))
    };
    if python && begins_at(steps()) {
        return StackMarks::STEP;
    }
    let numpy = library.name.starts_with("_multiarray_umath");
    name.map_or_else(StackMarks::default, |name| of_native(name, numpy, python))
}

/// The interpreter's functions behind `+` of what is put together, and behind what makes room for it.
const JOINS: &[&str] = &[
    "PyUnicode_Append",
    "PyUnicode_Concat",
    "unicode_concatenate",
    "bytes_concat",
    "bytearray_iconcat",
    "tupleconcat",
    "list_concat",
];

/// What its name says; `numpy` is whether it belongs to NumPy's core, `python` whether to the interpreter.
fn of_native(name: &str, numpy: bool, python: bool) -> StackMarks {
    let name = name.split('.').next().unwrap_or_default();
    if python && JOINS.contains(&name) {
        return StackMarks::CONCATENATES;
    }
    if python {
        let wait = waits::builtin(name).or_else(|| waits::exported(name));
        return wait.map_or(StackMarks::default(), |wait| StackMarks::of_wait(wait.on));
    }
    if !numpy {
        let wait = waits::system(name, false).map(|wait| StackMarks::of_wait(wait.on));
        return wait.unwrap_or_else(|| of_pandas(name));
    }
    let products = ["cblas_matrixproduct", "PyArray_MatrixProduct2"];
    match name {
        _ if BOXES.contains(&name) || is_scalars(name) => StackMarks::BOXED,
        _ if is_loop_of_objects(name) => StackMarks::OBJECTS,
        "PyArray_ConcatenateArrays" | "PyArray_ConcatenateFlattenedArrays" => {
            StackMarks::CONCATENATES
        }
        _ if products.contains(&name) || name.starts_with("PyUFunc_GeneralizedFunction") => {
            StackMarks::PRODUCT
        }
        _ => StackMarks::default(),
    }
}

/// What pandas does for each value: its functions that go over objects.
fn of_pandas(name: &str) -> StackMarks {
    let over_objects = ["vec_compare", "scalar_compare", "vec_binop", "scalar_binop"];
    let is_one =
        name.contains("6pandas_5_libs_") && over_objects.iter().any(|end| name.contains(end));
    if is_one {
        StackMarks::OBJECTS
    } else {
        StackMarks::default()
    }
}

fn is_scalars(name: &str) -> bool {
    let operation = SCALARS.iter().find_map(|begin| name.strip_prefix(begin));
    operation.is_some_and(|operation| OPERATIONS.contains(&operation))
}

/// The loops of ufuncs for Python objects; what only copies references is none.
fn is_loop_of_objects(name: &str) -> bool {
    let moves = [
        "copyswap", "getitem", "setitem", "nonzero", "fill", "take", "to_",
    ];
    let own = name.strip_prefix("OBJECT_");
    name.starts_with("PyUFunc_O")
        || own.is_some_and(|own| !moves.iter().any(|begin| own.starts_with(begin)))
}

/// What a Python function says, by its qualified name and its file.
pub(crate) fn of_python(name: &str, file: &str) -> StackMarks {
    if name.ends_with("DisplayHook.__call__") {
        return StackMarks::DISPLAY;
    }
    if file.ends_with("/subprocess.py") && name.starts_with("Popen.") {
        let waits = ["wait", "_wait", "communicate", "_communicate"];
        return match waits.contains(&&name["Popen.".len()..]) {
            true => StackMarks::CHILD,
            false => StackMarks::default(),
        };
    }
    if file.contains("/numpy/") {
        return match name {
            "append" | "insert" => StackMarks::CONCATENATES,
            _ => StackMarks::default(),
        };
    }
    if !file.contains("/pandas/core/") {
        return StackMarks::default();
    }
    if file.contains("/pandas/core/groupby/")
        && CALLS_FOR_GROUPS.iter().any(|one| name.ends_with(one))
    {
        return StackMarks::GROUPS;
    }
    let indexes = file.ends_with("/indexing.py")
        && (name.ends_with("__getitem__") || name.ends_with("__setitem__"));
    match name {
        _ if indexes => StackMarks::LOOKUP,
        "Series.__getitem__" | "Series.__setitem__" | "DataFrame._get_value" => StackMarks::LOOKUP,
        // A column that is taken out of its frame for each value anew.
        "DataFrame.__getitem__" => StackMarks::LOOKUP,
        "FrameApply.apply_series_generator" => StackMarks::APPLY,
        "FrameColumnApply.series_generator" => StackMarks::APPLY.and(StackMarks::ROWS),
        "DataFrame.iterrows" => StackMarks::ITERROWS,
        "concat" if file.ends_with("/reshape/concat.py") => StackMarks::CONCATENATES,
        _ => StackMarks::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_say_what_was_done_with_each_value() {
        assert!(of_native("PyArray_Scalar", true, false).has(StackMarks::BOXED));
        assert!(of_native("double_multiply", true, false).has(StackMarks::BOXED));
        assert!(!of_native("DOUBLE_multiply_X86_V3", true, false).has(StackMarks::BOXED));
        assert!(of_native("PyUFunc_OO_O", true, false).has(StackMarks::OBJECTS));
        assert!(!of_native("OBJECT_copyswapn", true, false).has(StackMarks::OBJECTS));
        assert!(of_native("time_sleep", false, true).has(StackMarks::TIME));
        assert!(of_native("__wait4", false, false).has(StackMarks::CHILD));
        let concat = of_python("concat", "/x/pandas/core/reshape/concat.py");
        assert!(concat.has(StackMarks::CONCATENATES) && !concat.has(StackMarks::APPLY));
        assert_eq!(of_python("concat", "/x/mine.py"), StackMarks::default());
        let groups = of_python(
            "BaseGrouper.apply_groupwise",
            "/x/pandas/core/groupby/ops.py",
        );
        assert!(groups.has(StackMarks::GROUPS));
    }
}
