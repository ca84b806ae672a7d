//! The inner loops of NumPy's ufuncs: for which dtypes there is one, and where its C function lies.
//!
//! A ufunc keeps its loops in the order in which it tries them, each with the numbers of the types it takes. Kinds of
//! data that came later (`StringDType`) have loops of a newer form, in a list of their own.

mod modern;

use std::mem::offset_of;

use diaphane_sight::proc::spans::{bytes, c_string, int, word};
use numpy::npyffi::{PyUFuncObject, PyUFuncObject_fields};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::numpy::step::Step;
use diaphane_cpython::modules::imported;

/// The dtype of a loop where none is asked for and only one can be shown.
pub(crate) const DEFAULT: &str = "float64";

/// NumPy's letters for the types that have a number, in the order of the numbers.
const LETTERS: &str = "?bBhHiIlLqQfdgFDGOSUVMme";

/// How a ufunc is used: reductions choose their types by other rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// `np.add(a, b)`.
    Call,
    /// `np.add.reduce(a)`.
    Reduction,
}

/// One inner loop.
#[derive(Debug, Clone)]
pub(crate) struct Loop {
    /// What it takes and gives, in NumPy's letters: `dd->d`.
    pub types: String,
    /// The same in NumPy's names.
    pub dtypes: String,
    /// Its C function.
    pub code: usize,
    /// The function that it calls for each item, where it was given one.
    pub each: Option<usize>,
}

impl Loop {
    /// As a step from an object to machine code.
    pub(crate) fn step(self, object: &str) -> Step {
        Step {
            role: "loop".into(),
            object: object.into(),
            code: Some(self.code),
            types: Some(self.types),
            dtypes: Some(self.dtypes),
            each: self.each,
            ..Step::default()
        }
    }
}

/// The loops of an object if it is a ufunc: all, or the one for a dtype.
pub(crate) fn loops(object: &Bound<'_, PyAny>, dtype: Option<&str>) -> PyResult<Option<Vec<Loop>>> {
    loops_for(object, dtype, Use::Call)
}

/// The loops that a ufunc has for a use of it.
pub(crate) fn loops_for(
    object: &Bound<'_, PyAny>,
    dtype: Option<&str>,
    purpose: Use,
) -> PyResult<Option<Vec<Loop>>> {
    let Some(numpy) = imported(object.py(), "numpy")? else {
        return Ok(None);
    };
    if !object.is_instance(&numpy.getattr("ufunc")?)? {
        return Ok(None);
    }
    let Some(raw) = RawUfunc::read(object) else {
        return Ok(Some(Vec::new()));
    };
    let Some(wanted) = dtype else {
        return Ok(Some(raw.all(&numpy)?));
    };
    let types = resolve(object, &numpy, wanted, &raw, purpose)?;
    let numbers: Vec<i32> = types
        .iter()
        .map(|dtype| dtype.getattr("num")?.extract())
        .collect::<PyResult<_>>()?;
    let one = |(code, each)| raw.named(code, each, &types);
    let row = raw.first(&numbers).map(|row| raw.row(row));
    let found = row.or_else(|| Some((modern::find(object, &types, raw.inputs)?, None)));
    Ok(Some(found.map(one).transpose()?.into_iter().collect()))
}

/// Where a ufunc keeps the addresses of its loops.
pub(crate) struct LoopTable {
    /// The address of the first one's address.
    pub start: usize,
    /// The C function of each row.
    pub loops: Vec<usize>,
    /// How many arrays a loop takes and gives.
    pub arguments: usize,
    /// How many of them it takes.
    pub inputs: usize,
    /// The letters of each row's types.
    pub types: Vec<String>,
    /// The ufunc's name.
    pub name: String,
    /// Whether its items are arrays themselves, as those of `matmul` are.
    pub is_general: bool,
}

impl LoopTable {
    /// Where the address of each loop lies.
    pub fn addresses(&self) -> impl Iterator<Item = usize> {
        (self.start..)
            .step_by(size_of::<usize>())
            .take(self.loops.len())
    }
}

/// The table of loops of a ufunc, which the caller has seen to be one.
pub(crate) fn loop_table(ufunc: &Bound<'_, PyAny>) -> Option<LoopTable> {
    let raw = RawUfunc::read(ufunc)?;
    let loops = (0..raw.rows().count()).map(|row| raw.row(row).0).collect();
    let letter = |number: &u8| LETTERS.chars().nth(usize::from(*number)).unwrap_or('V');
    let types = raw.rows().map(|row| row.iter().map(letter).collect());
    let own = ufunc.as_ptr().addr() + offset_of!(PyUFuncObject, fields);
    let name = word(own + offset_of!(PyUFuncObject_fields, name)).and_then(c_string);
    let general = int(own + offset_of!(PyUFuncObject_fields, core_enabled));
    Some(LoopTable {
        inputs: raw.inputs,
        types: types.collect(),
        name: name.unwrap_or_default(),
        is_general: general != Some(0),
        start: raw.functions,
        loops,
        arguments: raw.arguments,
    })
}

/// The fields of the structure that tell about loops.
struct RawUfunc {
    inputs: usize,
    arguments: usize,
    functions: usize,
    data: usize,
    /// The numbers of the types, row by row.
    types: Vec<u8>,
}

impl RawUfunc {
    fn read(ufunc: &Bound<'_, PyAny>) -> Option<Self> {
        let own = ufunc.as_ptr().addr() + offset_of!(PyUFuncObject, fields);
        let count = |offset: usize| usize::try_from(int(own + offset)?).ok();
        let arguments = count(offset_of!(PyUFuncObject_fields, nargs))?;
        let rows = count(offset_of!(PyUFuncObject_fields, ntypes))?;
        Some(Self {
            inputs: count(offset_of!(PyUFuncObject_fields, nin))?,
            arguments,
            functions: word(own + offset_of!(PyUFuncObject_fields, functions))?,
            data: word(own + offset_of!(PyUFuncObject_fields, data))?,
            types: match rows {
                0 => Vec::new(),
                _ => bytes(
                    word(own + offset_of!(PyUFuncObject_fields, types))?,
                    rows.checked_mul(arguments)?,
                ),
            },
        })
    }

    fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.types.chunks_exact(self.arguments.max(1))
    }

    /// NumPy takes the first row that fits.
    fn first(&self, numbers: &[i32]) -> Option<usize> {
        let fits = |row: &[u8]| {
            row.iter()
                .map(|&number| i32::from(number))
                .eq(numbers.iter().copied())
        };
        self.rows().position(fits)
    }

    /// The C function of a row, and the one that it calls for each item.
    fn row(&self, row: usize) -> (usize, Option<usize>) {
        let entry =
            |table: usize| word(table + row * size_of::<usize>()).filter(|&entry| entry != 0);
        (
            entry(self.functions).unwrap_or(0),
            (self.data != 0).then(|| entry(self.data)).flatten(),
        )
    }

    fn all(&self, numpy: &Bound<'_, PyAny>) -> PyResult<Vec<Loop>> {
        let known = |number: &u8| {
            let place = usize::from(*number);
            dtype(numpy, LETTERS.get(place..=place).unwrap_or("V"))
        };
        let rows = self.rows().enumerate().map(|(index, row)| {
            let types = row.iter().map(known).collect::<PyResult<Vec<_>>>()?;
            let (code, each) = self.row(index);
            self.named(code, each, &types)
        });
        rows.collect()
    }

    fn named(
        &self,
        code: usize,
        each: Option<usize>,
        types: &[Bound<'_, PyAny>],
    ) -> PyResult<Loop> {
        let letter = |dtype: &Bound<'_, PyAny>| dtype.getattr("char")?.extract::<String>();
        let letters = types.iter().map(letter).collect::<PyResult<Vec<_>>>()?;
        let names = types.iter().map(dtype_name).collect::<PyResult<Vec<_>>>()?;
        let (from, to) = letters.split_at(self.inputs.min(letters.len()));
        let types = format!("{}->{}", from.concat(), to.concat());
        let (from, to) = names.split_at(self.inputs.min(names.len()));
        let dtypes = format!("{} -> {}", from.join(", "), to.join(", "));
        Ok(Loop {
            types,
            dtypes,
            code,
            each,
        })
    }
}

/// The dtypes that NumPy chooses for operands of a dtype, or of several.
fn resolve<'py>(
    ufunc: &Bound<'py, PyAny>,
    numpy: &Bound<'py, PyAny>,
    wanted: &str,
    raw: &RawUfunc,
    purpose: Use,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let py = ufunc.py();
    let given: Vec<Bound<'py, PyAny>> = wanted
        .split(',')
        .map(|name| dtype(numpy, name.trim()))
        .collect::<PyResult<_>>()?;
    let none = || py.None().into_bound(py);
    let operands: Vec<Bound<'py, PyAny>> = match (purpose, given.as_slice()) {
        (Use::Reduction, [one]) => vec![none(), one.clone(), none()],
        (Use::Call, [one]) => (0..raw.arguments)
            .map(|index| {
                if index < raw.inputs {
                    one.clone()
                } else {
                    none()
                }
            })
            .collect(),
        (Use::Call, several) if several.len() == raw.inputs => several
            .iter()
            .cloned()
            .chain((raw.inputs..raw.arguments).map(|_| none()))
            .collect(),
        (Use::Call, several) if several.len() == raw.arguments => several.to_vec(),
        _ => {
            return Err(PyValueError::new_err(format!(
                "--dtype takes one dtype, or one for each of {} inputs",
                raw.inputs
            )));
        }
    };
    let options = pyo3::types::PyDict::new(py);
    if purpose == Use::Reduction {
        options.set_item("reduction", true)?;
    }
    let resolved = ufunc.call_method(
        "resolve_dtypes",
        (PyTuple::new(py, operands)?,),
        Some(&options),
    )?;
    resolved.try_iter()?.collect()
}

/// A dtype by the name that a user gives it.
pub(crate) fn dtype<'py>(numpy: &Bound<'py, PyAny>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let plain = name
        .strip_prefix("np.")
        .or(name.strip_prefix("numpy."))
        .unwrap_or(name);
    let unknown = |_| PyTypeError::new_err(format!("NumPy knows no dtype {name:?}"));
    numpy.call_method1("dtype", (plain,)).map_err(unknown)
}

/// NumPy's name of a dtype.
pub(crate) fn dtype_name(dtype: &Bound<'_, PyAny>) -> PyResult<String> {
    dtype.getattr("name")?.extract()
}
