//! What CPython's instructions stand for in the user's text, in all versions.

use pyo3::prelude::*;

/// The operator as it is written, of an instruction by its name and its argument, for those that have one.
pub(crate) fn operator(py: Python<'_>, operation: &str, argument: u8) -> PyResult<Option<String>> {
    Ok(match operation {
        // Since 3.14 also what was BINARY_SUBSCR.
        "BINARY_OP" => {
            let signs = py.import("opcode")?.getattr("_nb_ops")?;
            let (_, sign): (String, String) = signs.get_item(argument)?.extract()?;
            Some(sign)
        }
        "COMPARE_OP" => {
            let signs: Vec<String> = py.import("opcode")?.getattr("cmp_op")?.extract()?;
            // The lowest bits came to hold other things from version to version.
            let shift = match py.version_info().minor {
                ..=11 => 0,
                12 => 4,
                _ => 5,
            };
            signs.get(usize::from(argument >> shift)).cloned()
        }
        _ => plain(operation).map(str::to_owned),
    })
}

/// The operator of instructions that have but one.
fn plain(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "BINARY_SUBSCR" | "STORE_SUBSCR" | "DELETE_SUBSCR" | "BINARY_SLICE" | "STORE_SLICE" => "[]",
        "CONTAINS_OP" => "in",
        "UNARY_NEGATIVE" => "-",
        "UNARY_INVERT" => "~",
        "UNARY_NOT" | "TO_BOOL" => "not",
        "GET_ITER" | "FOR_ITER" => "for",
        "LOAD_ATTR" | "STORE_ATTR" | "LOAD_METHOD" => ".",
        _ => return None,
    })
}

/// The instruction that a place in a code belongs to: one with caches is followed by empty ones, which the interpreter
/// may point to.
pub(crate) fn first_unit(code: &[u8], unit: usize) -> usize {
    let mut unit = unit.min((code.len() / 2).saturating_sub(1));
    while unit > 0 && code[2 * unit] == 0 {
        unit -= 1;
    }
    unit
}

#[cfg(test)]
mod tests {
    use pyo3::types::PyBytes;

    use super::*;

    #[test]
    fn operators_are_those_of_the_text() {
        Python::initialize();
        Python::attach(|py| {
            let body = c"(a[0], a @ b, a < b, a >= b, a in b, -a, a.b)";
            let compiled = py
                .import("builtins")
                .unwrap()
                .call_method1("compile", (body.to_str().unwrap(), "text", "eval"));
            let code = compiled.unwrap().getattr("co_code").unwrap();
            let code = code.cast_into::<PyBytes>().unwrap();
            let names = py.import("dis").unwrap().getattr("opname").unwrap();
            let (units, _) = code.as_bytes().as_chunks::<2>();
            let found = units.iter().filter_map(|&[operation, argument]| {
                let name: String = names.get_item(operation).unwrap().extract().unwrap();
                operator(py, &name, argument).unwrap()
            });
            let found: Vec<String> = found.collect();
            assert_eq!(found, ["[]", "@", "<", ">=", "in", "-", "."]);
        });
    }
}
