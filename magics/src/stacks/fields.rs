//! The fields of a function on a stack, which every magic has that shows stacks.

use diaphane_report::{Field, Show};

pub(crate) const TID: Field = Field::new("tid", Show::Number, "the thread's number (TID)", "/proc/PID/task");
pub(crate) const DEPTH: Field = Field::new("depth", Show::Number, "how far the function is from the innermost one, which has 0", "the stack");
pub(crate) const KIND: Field = Field::new("kind", Show::Text, "python or native", "the interpreter's frames, the stack");
pub(crate) const FUNCTION: Field = Field::new("function", Show::Text, "the function; null where no symbol covers the address", "the code object; the library's symbols");
pub(crate) const FILE: Field = Field::new("file", Show::Path, "the source file", "the code object; DWARF, where the library has debug information (gcc -g)");
pub(crate) const LINE: Field = Field::new("line", Show::Number, "the line that runs or calls", "the code object; DWARF");
pub(crate) const OFFSET: Field = Field::new("offset", Show::Number, "bytes from the beginning of a native function, or of the library where it has no name", "the stack");
pub(crate) const FOUND: Field = Field::new("found", Show::Text, "exact, or guess where code without unwind information was crossed; null for a Python function", "the unwinder");
pub(crate) const GIL: Field = Field::new("gil", Show::Text, "whether the thread is its holder, is waiting for it, or none of both", "the interpreter's structures");
