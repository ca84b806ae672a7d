//! Names of C++ and Rust functions as their authors wrote them.

use cpp_demangle::{BorrowedSymbol, DemangleOptions};

/// The module that Rust cells are compiled as.
const MODULE: &str = "ctx::cell::";
/// Beyond this, a name is a story about templates.
const LONGEST: usize = 4096;

/// The readable form of a symbol; a name that is neither C++ nor Rust stays as it is.
pub fn demangle(name: &str) -> String {
    if name.len() > LONGEST {
        return name.to_owned();
    }
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return of_cell(format!("{rust:#}"));
    }
    // What the compiler cut out of a function keeps its name with a suffix, such as `.cold` or `.isra.0`; other tools add
    // `@plt`, a version, or ` [clone .cold]`.
    let (own, suffix) = name.split_at(name.find(['.', '@', ' ']).unwrap_or(name.len()));
    if !own.starts_with("_Z") {
        return name.to_owned();
    }
    of_cpp(own)
        .or_else(|| beginning(own))
        .map_or_else(|| name.to_owned(), |readable| readable + suffix)
}

/// The name of a function of C++ without its parameters; what it takes and returns need not be understood, and some
/// conditions that GCC writes there are not.
fn of_cpp(symbol: &str) -> Option<String> {
    let options = DemangleOptions::new().no_params().no_return_type();
    let (symbol, _signature) = BorrowedSymbol::with_tail(symbol.as_bytes()).ok()?;
    symbol.demangle_with_options(&options).ok()
}

/// The beginning of a name that is cut off, or has arguments of templates that nobody understands.
fn beginning(symbol: &str) -> Option<String> {
    let mut rest = symbol
        .trim_start_matches("_Z")
        .trim_start_matches(['Z', 'N', 'L', 'K']);
    let mut parts = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix("St") {
            parts.push("std");
            rest = after;
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let length = rest[..digits].parse::<usize>().ok();
        let Some((part, after)) = length.and_then(|length| rest[digits..].split_at_checked(length))
        else {
            break;
        };
        parts.push(match part.starts_with("_GLOBAL__N") {
            true => "(anonymous namespace)",
            false => part,
        });
        rest = after.trim_start_matches('L');
    }
    let left = if rest.starts_with('I') {
        "<…>…"
    } else {
        "::…"
    };
    (!parts.is_empty()).then(|| parts.join("::") + left)
}

/// The name that a function of a Rust cell has in the cell. Cells are compiled as a module of a crate `ctx`; what the body
/// of an entry is called says for which function it is.
fn of_cell(name: String) -> String {
    let Some(own) = name.strip_prefix(MODULE) else {
        return name.replace(MODULE, "");
    };
    let body = own.strip_suffix("::{{closure}}");
    match body.and_then(|body| body.strip_prefix("diaphane_")) {
        Some(body) => body.strip_prefix("def_").unwrap_or(body).to_owned(),
        None => own.replace(MODULE, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::{demangle, of_cell};

    #[test]
    fn functions_of_cells_have_the_names_of_the_cell() {
        for (whole, own) in [
            ("ctx::cell::helper", "helper"),
            ("ctx::cell::diaphane_def_add::{{closure}}", "add"),
            ("ctx::cell::diaphane_main::{{closure}}", "main"),
            ("ctx::cell::helper::{{closure}}", "helper::{{closure}}"),
            ("<ctx::cell::P as ctx::cell::Q>::f", "<P as Q>::f"),
            ("std::io::stdout", "std::io::stdout"),
        ] {
            assert_eq!(of_cell(whole.to_owned()), own);
        }
    }

    #[test]
    fn a_name_is_read_though_its_signature_is_not() {
        let signature = "NSt9enable_ifIXsrSt10is_base_ofINS_11IntegerTypeET_E5valueENS_6ResultINS8_6c_typeEEEE4typeEPKS8_";
        assert_eq!(
            demangle(&format!(
                "_ZN5arrow2py12_GLOBAL__N_17PyValue7ConvertINS_9Int64TypeEEE{signature}.lto_priv.0"
            )),
            "arrow::py::(anonymous namespace)::PyValue::Convert<arrow::Int64Type>.lto_priv.0"
        );
        let arguments = "IFvNSt9enable_ifIXsrSt10is_base_ofINS_11IntegerTypeET_E5valueEvE4typeEE";
        assert_eq!(
            demangle(&format!("_ZNSt17_Function_handler{arguments}E9_M_invokeEv")),
            "std::_Function_handler<…>…"
        );
        assert_eq!(
            demangle("_ZN5arrow7compute4ExecIN"),
            "arrow::compute::Exec<…>…"
        );
        assert_eq!(demangle("_ZN5arrow7comp"), "arrow::…");
    }

    #[test]
    fn each_language_has_its_own_way() {
        assert_eq!(demangle("_ZNSt6thread4joinEv"), "std::thread::join");
        assert_eq!(demangle("_ZN3npy5isnanEd.cold"), "npy::isnan.cold");
        assert_eq!(
            demangle("_ZN3std2io5Write9write_all17h0123456789abcdefE"),
            "std::io::Write::write_all"
        );
        for (symbol, name) in [
            ("_ZNSt6thread4joinEv@plt", "std::thread::join@plt"),
            ("_ZN3npy5isnanEd@@V_1.0", "npy::isnan@@V_1.0"),
            ("_ZN3npy5isnanEd [clone .cold]", "npy::isnan [clone .cold]"),
        ] {
            assert_eq!(demangle(symbol), name);
        }
        for plain in [
            "blas_thread_server",
            "_Zz",
            "",
            "<b>\n",
            "_ZN",
            "_ZN9",
            "_ZN3é",
        ] {
            assert_eq!(demangle(plain), plain);
        }
    }
}
