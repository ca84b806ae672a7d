//! Which library is the interpreter, and which of its functions do what.

use diaphane_sight::linker::libraries::Library;
use diaphane_sight::proc::spans::Span;
/// Whether a library, or the program, is the interpreter.
pub use diaphane_sight::runtimes::families::is_cpython as is_interpreter;

pub use crate::own_layout::steps;

/// The C function that runs Python functions.
const EVALUATE: &str = "_PyEval_EvalFrameDefault";
/// So begin the functions of single instructions, in a build whose interpreter jumps from one to the next.
const OPCODE: &str = "_TAIL_CALL_";
/// How the interpreter reports to profilers, in 3.11 and later.
const REPORTS: &[&str] = &[
    "call_trace",
    "call_trace_protected",
    "trace_function_entry",
    "PyThreadState_EnterTracing",
    "PyThreadState_LeaveTracing",
    "call_instrumentation_vector",
    "call_instrumentation_vector_protected",
    "_Py_call_instrumentation",
    "_Py_call_instrumentation_arg",
    "_Py_call_instrumentation_2args",
    "_Py_call_instrumentation_exc2",
    "_Py_call_instrumentation_jump",
    "_Py_Instrumentation_GetLine",
    "_Py_Instrument",
    "force_instrument_lock_held",
    "monitor_unwind",
    "monitor_raise",
    "monitor_throw",
];

/// Where an interpreter among these libraries has what its interpreters share.
pub fn runtime(libraries: &[Library]) -> Option<Span> {
    let mut images = libraries.iter().map(|library| &library.image);
    images.find_map(|image| image.data("_PyRuntime"))
}

/// A function that runs bytecode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evaluates {
    /// The function that is called for it.
    Function,
    /// One instruction's, which that function or another instruction's has jumped to. It may stand for the former.
    Opcode,
}

/// Whether the function of a name runs bytecode.
pub fn evaluates(name: &str) -> Option<Evaluates> {
    let name = stem(name);
    match name {
        EVALUATE => Some(Evaluates::Function),
        _ if name.starts_with(OPCODE) => Some(Evaluates::Opcode),
        _ => None,
    }
}

/// Whether the function of a name tells profilers what Python does.
pub fn reports(name: &str) -> bool {
    REPORTS.contains(&stem(name))
}

/// A function's own name: the compiler may have moved a part of it elsewhere, under a longer one.
fn stem(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_bytecode_is_known_by_its_name() {
        let function = Some(Evaluates::Function);
        assert_eq!(evaluates("_PyEval_EvalFrameDefault"), function);
        assert_eq!(evaluates("_PyEval_EvalFrameDefault.cold"), function);
        let opcode = Some(Evaluates::Opcode);
        assert_eq!(evaluates("_TAIL_CALL_CALL_BUILTIN_FAST"), opcode);
        assert_eq!(evaluates("_TAIL_CALL_LOAD_FAST.llvm.123"), opcode);
        assert_eq!(evaluates("_PyEval_Vector"), None);
        assert!(reports("call_instrumentation_vector.isra.0") && !reports("PyObject_Call"));
    }
}
