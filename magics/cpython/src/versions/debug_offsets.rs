//! `_Py_DebugOffsets`: the table for debuggers with which `_PyRuntime` begins from 3.13 on.

use diaphane_sight::proc::target_process::TargetProcess;

use super::Version;
use crate::versions::Unknown;

/// The table's words are the same in no two versions; no version has more.
const MOST_WORDS: usize = 160;
/// No structure is larger. The table of another process may hold anything.
const LARGEST: usize = 1 << 24;
/// What the table begins with.
const COOKIE: [u8; 8] = *b"xdebugpy";

/// The table as it is in memory.
pub(super) struct DebugTable {
    /// Whether the interpreter can run without the GIL.
    pub free_threaded: bool,
    /// The words behind `free_threaded`.
    words: Vec<usize>,
}

impl DebugTable {
    /// Reads it, of an interpreter of this version.
    pub fn read(target: TargetProcess, runtime: usize, version: Version) -> Result<Self, Unknown> {
        let raw = target.bytes(runtime, MOST_WORDS * size_of::<u64>());
        let (words, _) = raw.as_chunks::<{ size_of::<u64>() }>();
        let [cookie, own_version, free_threaded, rest @ ..] = words else {
            return Err(Unknown::Table);
        };
        // The table says itself for which version it is.
        if *cookie != COOKIE || u64::from_ne_bytes(*own_version) != u64::from(version.0) {
            return Err(Unknown::Table);
        }
        Ok(Self {
            free_threaded: u64::from_ne_bytes(*free_threaded) != 0,
            words: rest
                .iter()
                .map(|word| usize::from_ne_bytes(*word))
                .collect(),
        })
    }

    /// The words of the version's structure, in its order.
    pub fn words<const COUNT: usize>(&self) -> Result<[usize; COUNT], Unknown> {
        let words = self.words.first_chunk::<COUNT>().ok_or(Unknown::Table)?;
        let fits = words.iter().all(|word| *word < LARGEST);
        fits.then_some(*words).ok_or(Unknown::Table)
    }
}

/// The structure of one version, part by part as the header has it, and the layout that it means.
macro_rules! debug_offsets {
    ($($part:ident { $($field:ident),* $(,)? })*) => {
        /// The table, behind its cookie, its version, and whether the build is free-threaded.
        #[allow(dead_code, reason = "all fields of the header, in its order")]
        #[derive(Debug, Clone, Copy)]
        struct DebugOffsets {
            $($part: $part,)*
        }

        $(
            #[allow(dead_code, non_camel_case_types, reason = "named as in the header")]
            #[derive(Debug, Clone, Copy)]
            struct $part {
                $($field: usize,)*
            }
        )*

        impl DebugOffsets {
            const COUNT: usize = [$($(stringify!($field),)*)*].len();

            fn of(table: &$crate::versions::debug_offsets::DebugTable) -> Result<Self, $crate::versions::Unknown> {
                let mut words = table.words::<{ Self::COUNT }>()?.into_iter();
                let mut next = || words.next().ok_or($crate::versions::Unknown::Table);
                Ok(Self {
                    $($part: $part { $($field: next()?,)* },)*
                })
            }

            /// The layout, but for what only some versions have.
            fn layout(&self, first_of_c: u8, free_threaded: bool) -> $crate::versions::Layout {
                use $crate::versions::*;
                let (interpreter, thread) = (&self.interpreter_state, &self.thread_state);
                let (frame, code) = (&self.interpreter_frame, &self.code_object);
                let in_gil = |offset: usize| offset.wrapping_sub(interpreter.gil_runtime_state);
                Layout {
                    interpreters: InterpretersLayout {
                        head: self.runtime_state.interpreters_head,
                        next: interpreter.next,
                        threads: interpreter.threads_head,
                    },
                    thread: ThreadState {
                        next: thread.next,
                        native_id: thread.native_thread_id,
                        top: thread.current_frame,
                        through: None,
                    },
                    gil: Gil {
                        place: GilPlace::Interpreter(interpreter.ceval_gil),
                        // The table has the offset in the lock, and those of the other fields in the interpreter.
                        enabled: free_threaded.then_some(interpreter.gil_runtime_state_enabled),
                        holder: in_gil(interpreter.gil_runtime_state_holder),
                        locked: in_gil(interpreter.gil_runtime_state_locked),
                    },
                    frame: InterpreterFrame {
                        code: frame.executable,
                        previous: frame.previous,
                        instruction: frame.instr_ptr,
                        entry: Entry::Owner(Owner {
                            at: frame.owner,
                            first_of_c,
                        }),
                        copy: None,
                        locals: frame.localsplus,
                    },
                    code: CodeObjectLayout {
                        first_line: code.firstlineno,
                        file: code.filename,
                        name: code.qualname,
                        lines: code.linetable,
                        instructions: code.co_code_adaptive,
                        copies: None,
                        variables: code.localsplusnames,
                    },
                    object: Object {
                        class: self.pyobject.ob_type,
                        length: self.tuple_object.ob_size,
                        tuple_items: self.tuple_object.ob_item,
                        bytes: self.bytes_object.ob_sval,
                        class_name: self.type_object.tp_name,
                    },
                    text: Text {
                        state: self.unicode_object.state,
                        // Free-threaded builds have a byte for it, which is written atomically.
                        interned_bits: if free_threaded { 8 } else { INTERNED_BITS },
                        ascii: self.unicode_object.asciiobject_size,
                        // The length and the pointer of the text in UTF-8 come between.
                        other: self.unicode_object.asciiobject_size + 16,
                    },
                }
            }
        }
    };
}
pub(super) use debug_offsets;
