//! Python's functions in place of the native calls of the interpreter.

use diaphane_cpython::symbols::Evaluates;

/// One function of a stack.
pub(crate) enum Woven<N, P> {
    Native(N),
    Python(P),
}

/// Puts Python's functions in place of the calls of the interpreter's C function: each stands for those up to the next
/// one for which it was entered. What is left of them is left in the iterator.
///
/// Where instructions are functions of their own, one of them stands in front of the function that was called, or for it.
pub(crate) fn woven<N, P>(
    natives: impl Iterator<Item = N>,
    evaluates: impl Fn(&N) -> Option<Evaluates>,
    python: &mut impl Iterator<Item = P>,
    is_entry: impl Fn(&P) -> bool,
) -> Vec<Woven<N, P>> {
    let mut woven = Vec::new();
    let mut natives = natives.peekable();
    while let Some(native) = natives.next() {
        match evaluates(&native) {
            None => {
                woven.push(Woven::Native(native));
                continue;
            }
            Some(Evaluates::Opcode) if natives.peek().and_then(&evaluates).is_some() => continue,
            Some(_) => {}
        }
        let before = woven.len();
        for function in python.by_ref() {
            let entry = is_entry(&function);
            woven.push(Woven::Python(function));
            if entry {
                break;
            }
        }
        if woven.len() == before {
            // It begins or ends just now, and has no function yet.
            woven.push(Woven::Native(native));
        }
    }
    woven
}

#[cfg(test)]
mod tests {
    use diaphane_cpython::symbols::evaluates;

    use super::*;

    #[test]
    fn an_evaluation_stands_for_its_functions_also_where_instructions_are_functions() {
        let natives = [
            "len",
            "_TAIL_CALL_CALL_BUILTIN_O",
            "_PyEval_EvalFrameDefault",
            "_PyEval_Vector",
            "_TAIL_CALL_CALL",
            "main",
        ];
        // The second function was called by the third without entering the interpreter.
        let mut python = [("f", true), ("g", false), ("h", true), ("rest", true)].into_iter();
        let woven = woven(
            natives.into_iter(),
            |native| evaluates(native),
            &mut python,
            |(_, entry)| *entry,
        );
        let names: Vec<&str> = woven
            .into_iter()
            .map(|one| match one {
                Woven::Native(name) => name,
                Woven::Python((name, _)) => name,
            })
            .collect();
        assert_eq!(names, ["len", "f", "_PyEval_Vector", "g", "h", "main"]);
        assert_eq!(python.next(), Some(("rest", true)));
    }
}
