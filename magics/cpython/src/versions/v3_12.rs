//! CPython 3.12, which has no table for debuggers: its headers.

use super::{
    CodeObjectLayout, Entry, Gil, GilPlace, INTERNED_BITS, InterpreterFrame, InterpretersLayout,
    Layout, Owner, PLAIN_OBJECT, Text, ThreadState,
};

const FRAME_OWNED_BY_CSTACK: u8 = 3;

pub(super) const LAYOUT: Layout = Layout {
    interpreters: InterpretersLayout {
        head: 40,
        next: 0,
        threads: 72,
    },
    thread: ThreadState {
        next: 8,
        native_id: 144,
        top: 56,
        through: Some(0),
    },
    gil: Gil {
        place: GilPlace::Interpreter(384),
        enabled: None,
        holder: 8,
        locked: 16,
    },
    frame: InterpreterFrame {
        code: 0,
        previous: 8,
        instruction: 56,
        entry: Entry::Owner(Owner {
            at: 70,
            first_of_c: FRAME_OWNED_BY_CSTACK,
        }),
        copy: None,
        locals: 72,
    },
    code: CodeObjectLayout {
        first_line: 68,
        file: 112,
        name: 128,
        lines: 136,
        instructions: 192,
        copies: None,
        variables: 96,
    },
    object: PLAIN_OBJECT,
    text: Text {
        state: 32,
        interned_bits: INTERNED_BITS,
        ascii: 40,
        other: 56,
    },
};
