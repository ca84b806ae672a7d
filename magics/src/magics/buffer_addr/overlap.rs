//! Which listed buffers share a byte, exactly as `np.shares_memory` says.
//!
//! Most pairs need no solver: buffers without gaps share a byte if their bounds do. For the others NumPy is asked, with
//! stand-ins that have the same addresses and strides, so that neither objects nor their items are touched.

use diaphane_sight::proc::spans::Layout;
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict, PyTuple};

use super::Listed;
use diaphane_cpython::modules::imported;

/// How many solutions NumPy may try for one pair before the answer counts as unknown.
const WORK: u64 = 1_000_000;

/// Fills in `shares_with` of the first `asked`, and of the others as far as these are concerned; returns why some answers
/// are not exact.
pub(super) fn find(
    py: Python<'_>,
    listed: &mut [Listed<'_>],
    asked: usize,
) -> PyResult<Option<String>> {
    let mut order: Vec<usize> = (0..listed.len())
        .filter(|&index| listed[index].layout().is_some())
        .collect();
    let bounds: Vec<_> = listed
        .iter()
        .map(|one| one.layout().map(Layout::bounds))
        .collect();
    order.sort_by_key(|&index| bounds[index].map(|span| span.start));
    let mut solver = Solver {
        py,
        numpy: None,
        unsolved: 0,
    };
    let mut pairs = Vec::new();
    let of_asked = order
        .iter()
        .enumerate()
        .filter(|(_, index)| **index < asked);
    let of_asked: Vec<usize> = of_asked.map(|(place, _)| place).collect();
    for (place, &first) in order.iter().enumerate() {
        // Two others are of no interest.
        let later = of_asked.partition_point(|&other| other <= place);
        let later: Box<dyn Iterator<Item = usize>> = match first < asked {
            true => Box::new(place + 1..order.len()),
            false => Box::new(of_asked[later..].iter().copied()),
        };
        for second in later.map(|place| order[place]) {
            let (Some(one), Some(other)) = (bounds[first], bounds[second]) else {
                continue;
            };
            if other.start >= one.end {
                break;
            }
            let layouts = listed[first].layout().zip(listed[second].layout());
            if one.overlaps(other) && layouts.is_some_and(|(one, other)| solver.share(one, other)) {
                pairs.push((first, second));
            }
        }
    }
    for (first, second) in pairs {
        listed[first].shares_with.push(second);
        listed[second].shares_with.push(first);
    }
    for one in listed {
        one.shares_with.sort_unstable();
    }
    let unsolved = solver.unsolved;
    Ok((unsolved > 0).then(|| {
        format!("{unsolved} pairs of strided buffers overlap by their bounds; whether they share a byte is not known")
    }))
}

struct Solver<'py> {
    py: Python<'py>,
    numpy: Option<Bound<'py, PyAny>>,
    unsolved: usize,
}

impl<'py> Solver<'py> {
    /// Whether two layouts whose bounds overlap share a byte; if that is unknown, the bounds decide.
    fn share(&mut self, one: &Layout, other: &Layout) -> bool {
        if one.is_dense() && other.is_dense() {
            return true;
        }
        self.solve(one, other).unwrap_or_else(|_| {
            self.unsolved += 1;
            true
        })
    }

    fn solve(&mut self, one: &Layout, other: &Layout) -> PyResult<bool> {
        let numpy = self.numpy()?;
        let stand_ins = (self.stand_in(&numpy, one)?, self.stand_in(&numpy, other)?);
        let options = [("max_work", WORK)].into_py_dict(self.py)?;
        numpy
            .call_method("shares_memory", stand_ins, Some(&options))?
            .extract()
    }

    /// NumPy if the user has imported it; importing it here would change what is looked at.
    fn numpy(&mut self) -> PyResult<Bound<'py, PyAny>> {
        if let Some(numpy) = &self.numpy {
            return Ok(numpy.clone());
        }
        let numpy = imported(self.py, "numpy")?
            .ok_or_else(|| PyImportError::new_err("NumPy is not loaded"))?;
        Ok(self.numpy.insert(numpy).clone())
    }

    fn stand_in(&self, numpy: &Bound<'py, PyAny>, layout: &Layout) -> PyResult<Bound<'py, PyAny>> {
        let interface = PyDict::new(self.py);
        interface.set_item("version", 3)?;
        interface.set_item("data", (layout.address, true))?;
        interface.set_item("shape", PyTuple::new(self.py, &layout.shape)?)?;
        interface.set_item("strides", PyTuple::new(self.py, &layout.strides)?)?;
        interface.set_item("typestr", format!("|V{}", layout.item))?;
        let fields = [("__array_interface__", interface)].into_py_dict(self.py)?;
        let holder = self
            .py
            .import("types")?
            .getattr("SimpleNamespace")?
            .call((), Some(&fields))?;
        numpy.call_method1("asarray", (holder,))
    }
}
