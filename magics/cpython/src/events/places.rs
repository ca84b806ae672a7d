//! What an address of an instruction stands for: the operator or call in the user's text that the interpreter was at.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::Known;
use crate::interpreter::instructions;
use crate::opcodes::{first_unit, operator};

/// A place in Python code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The number of the code object.
    pub code: usize,
    /// The line, counted from 1.
    pub line: Option<u32>,
    /// Where the expression begins and ends in its line, in bytes of UTF-8; it may end on a later line.
    pub columns: Option<(usize, usize)>,
    /// The last line.
    pub end_line: Option<u32>,
    /// The instruction as `dis` names it: `BINARY_OP`, `CALL`, `LOAD_ATTR`.
    pub operation: String,
    /// The operator as it is written, for operations that have one: `@`, `+=`, `[]`, `<`.
    pub operator: Option<String>,
    /// The text of the expression, shortened to one line, if the file can be read.
    pub text: Option<String>,
}

/// The code objects that were reported, by the addresses of their instructions.
pub struct Places<'a, 'py> {
    known: &'a Known,
    /// First and last address, and the number of the code object, ordered.
    spans: Vec<(usize, usize, usize)>,
    dis: Bound<'py, PyModule>,
    lines: Bound<'py, PyModule>,
}

impl<'a, 'py> Places<'a, 'py> {
    /// Of the code objects that were reported.
    pub fn of(py: Python<'py>, known: &'a Known) -> PyResult<Self> {
        let distance = instructions();
        let span = |(number, object): (usize, &Py<PyAny>)| {
            let start = known.codes[number].address + distance?;
            let code = object.bind(py).getattr("co_code").ok()?;
            let length = code.cast::<PyBytes>().ok()?.as_bytes().len();
            Some((start, start + length, number))
        };
        let mut spans: Vec<_> = known.objects.iter().enumerate().filter_map(span).collect();
        spans.sort_unstable();
        Ok(Self {
            known,
            spans,
            dis: py.import("dis")?,
            lines: py.import("linecache")?,
        })
    }

    /// The place of an instruction; `None` where its code was not reported.
    pub fn at(&self, instruction: usize) -> Option<Site> {
        let after = self
            .spans
            .partition_point(|(start, ..)| *start <= instruction);
        let &(start, end, number) = self.spans[..after].last()?;
        let unit = (instruction < end).then_some((instruction - start) / 2)?;
        self.read(number, unit).ok()
    }

    fn read(&self, number: usize, unit: usize) -> PyResult<Site> {
        let py = self.dis.py();
        let object = self.known.objects[number].bind(py);
        let code = object.getattr("co_code")?;
        let code = code.cast::<PyBytes>()?.as_bytes();
        let unit = first_unit(code, unit);
        let names = self.dis.getattr("opname")?;
        let operation: String = names.get_item(code[2 * unit])?.extract()?;
        let operator = operator(py, &operation, code[2 * unit + 1])?;
        type Position = (Option<u32>, Option<u32>, Option<usize>, Option<usize>);
        let mut positions = object.call_method0("co_positions")?.try_iter()?;
        let position = positions.nth(unit).transpose()?;
        let position: Position = match position {
            Some(position) => position.extract()?,
            None => (None, None, None, None),
        };
        let (line, end_line, column, end_column) = position;
        let columns = column.zip(end_column);
        let text = line.and_then(|line| {
            self.text(&self.known.codes[number].file, line, end_line, columns?)
                .ok()
                .flatten()
        });
        Ok(Site {
            code: number,
            line,
            columns,
            end_line,
            operation,
            operator,
            text,
        })
    }

    /// The text between two places of a file; of several lines the first.
    fn text(
        &self,
        file: &str,
        line: u32,
        end_line: Option<u32>,
        (from, to): (usize, usize),
    ) -> PyResult<Option<String>> {
        let all = self
            .lines
            .call_method("getline", (file, line), None::<&Bound<'_, PyDict>>)?;
        let all: String = all.extract()?;
        let whole = all.trim_end();
        Ok(match end_line {
            Some(end) if end != line => whole.get(from..).map(|text| format!("{text} …")),
            _ => whole.get(from..to).map(str::to_owned),
        })
    }
}
