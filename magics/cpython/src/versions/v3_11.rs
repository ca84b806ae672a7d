//! CPython 3.11, which has no table for debuggers: its headers.

use super::{
    CodeObjectLayout, Entry, Gil, GilPlace, INTERNED_BITS, InterpreterFrame, InterpretersLayout,
    Layout, PLAIN_OBJECT, Text, ThreadState,
};

pub(super) const LAYOUT: Layout = Layout {
    interpreters: InterpretersLayout {
        head: 40,
        next: 0,
        threads: 16,
    },
    thread: ThreadState {
        next: 8,
        native_id: 160,
        top: 56,
        through: Some(8),
    },
    gil: Gil {
        place: GilPlace::Runtime(360),
        enabled: None,
        holder: 8,
        locked: 16,
    },
    frame: InterpreterFrame {
        code: 32,
        previous: 48,
        instruction: 56,
        entry: Entry::Flag(68),
        copy: None,
        locals: 72,
    },
    code: CodeObjectLayout {
        first_line: 72,
        file: 112,
        name: 128,
        lines: 136,
        instructions: 184,
        copies: None,
        variables: 96,
    },
    object: PLAIN_OBJECT,
    text: Text {
        state: 32,
        interned_bits: INTERNED_BITS,
        ascii: 48,
        other: 72,
    },
};
