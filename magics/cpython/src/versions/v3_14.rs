//! CPython 3.14: its table for debuggers, as `pycore_debug_offsets.h` has it.

use super::Layout;
use super::debug_offsets::{DebugTable, debug_offsets};
use crate::versions::Unknown;

/// `FRAME_OWNED_BY_CSTACK` is 4, and no function's either.
const FRAME_OWNED_BY_INTERPRETER: u8 = 3;

debug_offsets! {
    runtime_state { size, finalizing, interpreters_head }
    interpreter_state {
        size,
        id,
        next,
        threads_head,
        threads_main,
        gc,
        imports_modules,
        sysdict,
        builtins,
        ceval_gil,
        gil_runtime_state,
        gil_runtime_state_enabled,
        gil_runtime_state_locked,
        gil_runtime_state_holder,
        code_object_generation,
        tlbc_generation,
    }
    thread_state {
        size,
        prev,
        next,
        interp,
        current_frame,
        thread_id,
        native_thread_id,
        datastack_chunk,
        status,
    }
    interpreter_frame { size, previous, executable, instr_ptr, localsplus, owner, stackpointer, tlbc_index }
    code_object {
        size,
        filename,
        name,
        qualname,
        linetable,
        firstlineno,
        argcount,
        localsplusnames,
        localspluskinds,
        co_code_adaptive,
        co_tlbc,
    }
    pyobject { size, ob_type }
    type_object { size, tp_name, tp_repr, tp_flags }
    tuple_object { size, ob_item, ob_size }
    list_object { size, ob_item, ob_size }
    set_object { size, used, table, mask }
    dict_object { size, ma_keys, ma_values }
    float_object { size, ob_fval }
    long_object { size, lv_tag, ob_digit }
    bytes_object { size, ob_size, ob_sval }
    unicode_object { size, state, length, asciiobject_size }
    gc { size, collecting }
    gen_object { size, gi_name, gi_iframe, gi_frame_state }
    llist_node { next, prev }
    debugger_support {
        eval_breaker,
        remote_debugger_support,
        remote_debugging_enabled,
        debugger_pending_call,
        debugger_script_path,
        debugger_script_path_size,
    }
}

pub(super) fn layout(table: &DebugTable) -> Result<Layout, Unknown> {
    let offsets = DebugOffsets::of(table)?;
    let mut layout = offsets.layout(FRAME_OWNED_BY_INTERPRETER, table.free_threaded);
    if table.free_threaded {
        layout.frame.copy = Some(offsets.interpreter_frame.tlbc_index);
        layout.code.copies = Some(offsets.code_object.co_tlbc);
    }
    Ok(layout)
}
