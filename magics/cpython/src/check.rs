//! Compares what is read of this process's interpreter with what CPython's C interface says, field by field. Before,
//! nothing is read; where a field differs, nothing is read ever.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::interpreter::Interpreter;
use crate::own_layout::{
    self, CALLER, CODE, FILE, FUNCTION, HOLDER, INSTRUCTION, LINES, STATE, VARIABLES,
    layout_that_holds,
};
use crate::reader::{Reader, WORDS, unpack};

/// So many frames are compared; a function without a caller is too little.
const FRAMES: std::ops::RangeInclusive<usize> = 2..=16;

/// One frame more, to see where they end.
const MOST_WORDS: usize = (*FRAMES.end() + 1) * WORDS;

/// Compares, on the thread that asks, until it was found that the layout holds.
pub fn check(py: Python<'_>) {
    own_layout::find();
    if layout_that_holds().is_some() {
        return;
    }
    let Some(reader) = Reader::own() else { return };
    let frames = frames(py);
    if frames.len() < *FRAMES.start() {
        return;
    }
    own_layout::conclude(compare(&reader, &frames));
}

/// A frame as the C interface has it.
struct Frame<'py> {
    code: Bound<'py, PyAny>,
    /// How far its instruction is from the first one; negative before it has begun.
    offset: i32,
    line: Option<u32>,
}

/// The frames of this thread, the innermost first.
#[allow(unsafe_code, reason = "CPython's C interface")]
fn frames(py: Python<'_>) -> Vec<Frame<'_>> {
    // SAFETY: the GIL is held, as `py` proves; the result is a new reference, or null without a frame.
    let mut next = unsafe {
        let frame = ffi::PyThreadState_GetFrame(ffi::PyThreadState_Get());
        Bound::from_owned_ptr_or_opt(py, frame.cast())
    };
    let mut frames = Vec::new();
    while let Some(frame) = next.filter(|_| frames.len() < *FRAMES.end()) {
        let raw: *mut ffi::PyFrameObject = frame.as_ptr().cast();
        // SAFETY: `frame` is a frame and alive; code objects and frames are new references, and a frame has a code.
        let (code, offset, back) = unsafe {
            (
                Bound::from_owned_ptr(py, ffi::PyFrame_GetCode(raw).cast()),
                ffi::PyFrame_GetLasti(raw),
                Bound::from_owned_ptr_or_opt(py, ffi::PyFrame_GetBack(raw).cast()),
            )
        };
        // SAFETY: `code` is a code object and alive.
        let line = unsafe { ffi::PyCode_Addr2Line(code.as_ptr().cast(), offset) };
        frames.push(Frame {
            code,
            offset,
            line: u32::try_from(line).ok(),
        });
        next = back;
    }
    frames
}

/// Compares all fields; the error is the one that differs.
fn compare(reader: &Reader, frames: &[Frame<'_>]) -> Result<(), usize> {
    let same = |is_same: bool, field: usize| if is_same { Ok(()) } else { Err(field) };
    let found = Interpreter::read(reader);
    let own = nix::unistd::gettid().as_raw();
    same(found.states.get(&own) == Some(&state()), STATE)?;
    same(!found.has_gil || found.holder == Some(own), HOLDER)?;
    let mut words = [0; MOST_WORDS];
    let count = reader.note(state(), &mut words, 0);
    let raw = unpack(&words[..count]);
    let code = |index: usize| raw.get(index).map(|raw| raw.code);
    for (index, frame) in frames.iter().enumerate() {
        let is_same = code(index) == Some(frame.code.as_ptr().addr());
        same(is_same, if index == 0 { CODE } else { CALLER })?;
    }
    // The outermost frame has no caller.
    let is_whole = frames.len() == *FRAMES.end() || raw.len() == frames.len();
    same(is_whole, CALLER)?;
    for (frame, raw) in frames.iter().zip(&raw) {
        let start = reader.instructions(raw).ok_or(INSTRUCTION)?;
        let offset = raw.instruction.wrapping_sub(start);
        let known = usize::try_from(frame.offset);
        same(known.is_err() || known == Ok(offset), INSTRUCTION)?;
        let code = reader.code(raw.code).ok_or(LINES)?;
        let is_text = |field: &str, text: &str| is_text(&frame.code, field, text);
        same(is_text("co_qualname", &code.function), FUNCTION)?;
        same(is_text("co_filename", &code.file), FILE)?;
        same(known.is_err() || code.line(offset) == frame.line, LINES)?;
        let names = reader.variables(raw.code).ok_or(VARIABLES)?;
        same(begin(&names, &frame.code), VARIABLES)?;
    }
    Ok(())
}

/// The calling thread's state.
#[allow(unsafe_code, reason = "CPython's C interface")]
fn state() -> usize {
    // SAFETY: callers hold the GIL.
    unsafe { ffi::PyThreadState_Get() }.addr()
}

/// Whether a field of a code object is this text. What is no text in UTF-8 is not compared.
fn is_text(code: &Bound<'_, PyAny>, field: &str, text: &str) -> bool {
    let value = code.getattr(field).ok();
    let value = value.and_then(|value| value.cast_into::<PyString>().ok());
    value.is_some_and(|value| value.to_str().map_or(true, |value| value == text))
}

/// Whether the names begin with those of the function's own variables.
fn begin(names: &[Option<String>], code: &Bound<'_, PyAny>) -> bool {
    let known = code.getattr("co_varnames").ok();
    let known = known.and_then(|known| known.extract::<Vec<String>>().ok());
    let known = known.unwrap_or_default();
    let pairs = known.iter().zip(names);
    let is_same = |(known, name): (&String, &Option<String>)| name.as_ref() == Some(known);
    known.is_empty() || !names.is_empty() && pairs.into_iter().all(is_same)
}

#[cfg(test)]
mod tests {
    use pyo3::types::{PyCFunction, PyDict};

    use super::*;
    use crate::frames::Functions;
    use crate::locals::locals;
    use crate::own_layout::FIELDS;
    use crate::support;
    use crate::versions::Layout;

    /// What a function sees that Python has called.
    fn seen() -> (Option<String>, Vec<String>, Vec<String>) {
        let own = nix::unistd::gettid().as_raw();
        let frames = Interpreter::look().frames(own);
        let functions = Functions::default().of(&frames).unwrap();
        let functions = functions
            .into_iter()
            .map(|one| format!("{} {}:{}", one.function, one.file, one.line.unwrap()));
        let locals = frames.iter().flat_map(|frame| locals(frame).unwrap());
        let locals = locals.map(|local| local.line()).collect();
        (support(), functions.collect(), locals)
    }

    #[test]
    fn what_is_read_is_what_the_c_interface_says() {
        Python::initialize();
        Python::attach(|py| {
            let look = PyCFunction::new_closure(py, None, None, |args, _| {
                check(args.py());
                seen()
            });
            let globals = PyDict::new(py);
            globals.set_item("look", look.unwrap()).unwrap();
            let code = c"
def inner(numbers, word='aé'):
    return look()
class C:
    def outer(self):
        yield inner(
            [1, 2, 3])
found = next(C().outer())
";
            py.run(code, Some(&globals), None).unwrap();
            let found = globals.get_item("found").unwrap().unwrap();
            let found: (Option<String>, Vec<String>, Vec<String>) = found.extract().unwrap();
            let (support, functions, locals) = found;
            assert_eq!(support, None);
            assert_eq!(
                functions,
                [
                    "inner <string>:3",
                    "C.outer <string>:6",
                    "<module> <string>:8"
                ]
            );
            assert_eq!(locals, ["numbers: list of 3", "word: str of 2", "self: C"]);
        });
    }

    /// What is found to differ where a field lies elsewhere.
    fn differing(py: Python<'_>) -> Vec<&'static str> {
        check(py);
        let right = Reader::own().unwrap();
        let frames = frames(py);
        let changes: [fn(&mut Layout); FIELDS.len()] = [
            |layout| layout.thread.native_id += 8,
            |layout| layout.gil.holder += 8,
            |layout| layout.frame.code += 16,
            |layout| layout.frame.previous += 16,
            |layout| layout.code.instructions += 2,
            |layout| layout.code.name = layout.code.file,
            |layout| layout.code.file = layout.code.name,
            |layout| layout.code.first_line += 4,
            |layout| layout.object.tuple_items += 8,
        ];
        let differs = |change: fn(&mut Layout)| {
            let mut wrong = right;
            change(&mut wrong.layout);
            compare(&wrong, &frames).map_or_else(|field| FIELDS[field], |()| "nothing")
        };
        changes.into_iter().map(differs).collect()
    }

    #[test]
    fn each_field_that_lies_elsewhere_is_named() {
        Python::initialize();
        Python::attach(|py| {
            let look = PyCFunction::new_closure(py, None, None, |args, _| differing(args.py()));
            let globals = PyDict::new(py);
            globals.set_item("look", look.unwrap()).unwrap();
            let code = c"
class C:
    def inner(self, one, two):
        return look()
found = C().inner(1, 2)
";
            py.run(code, Some(&globals), None).unwrap();
            let found = globals.get_item("found").unwrap().unwrap();
            assert_eq!(found.extract::<Vec<String>>().unwrap(), FIELDS);
        });
    }
}
