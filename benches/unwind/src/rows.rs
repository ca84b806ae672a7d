//! What the call frame information of the loaded libraries asks of an unwinder: how many rows have a form that framehop
//! cannot follow with the registers that it restores.

use diaphane_sight::linker::libraries::Library;
use gimli::{
    BaseAddresses, CfaRule, CieOrFde, EhFrame, EndianSlice, NativeEndian, Operation, UnwindContext,
    UnwindSection, X86_64,
};
use serde_json::{Value, json};

use crate::peer::Sections;

/// How many rows there are, and of which forms.
pub fn count(libraries: &[Library]) -> Value {
    let (mut all, mut register, mut memory, mut signal) = (0, 0, 0, 0);
    for library in libraries {
        let Some(sections) = Sections::of(&library.image) else {
            continue;
        };
        let bases = BaseAddresses::default().set_eh_frame(sections.frames.0);
        let frames = EhFrame::new(&sections.frames.1, NativeEndian);
        let mut context = UnwindContext::new();
        let mut entries = frames.entries(&bases);
        while let Ok(Some(entry)) = entries.next() {
            let CieOrFde::Fde(partial) = entry else {
                continue;
            };
            let Ok(entry) = partial.parse(EhFrame::cie_from_offset) else {
                continue;
            };
            let Ok(mut rows) = entry.rows(&frames, &bases, &mut context) else {
                continue;
            };
            while let Ok(Some(row)) = rows.next_row() {
                all += 1;
                signal += usize::from(entry.is_signal_trampoline());
                match row.cfa() {
                    CfaRule::RegisterAndOffset { register: base, .. } => {
                        register +=
                            usize::from(![X86_64::RSP, X86_64::RBP, X86_64::RA].contains(base));
                    }
                    CfaRule::Expression(expression) => {
                        let Ok(expression) = expression.get(&frames) else {
                            continue;
                        };
                        let mut operations = expression.operations(entry.cie().encoding());
                        let mut reads = false;
                        while let Ok(Some(operation)) = operations.next() {
                            reads |= is_reading(&operation);
                        }
                        memory += usize::from(reads);
                    }
                }
            }
        }
    }
    json!({"all": all, "by_other_register": register, "by_memory": memory, "of_signals": signal})
}

fn is_reading(operation: &Operation<EndianSlice<'_, NativeEndian>>) -> bool {
    matches!(operation, Operation::Deref { .. })
}
