//! Names of C++ and Rust functions as their authors wrote them.

use cpp_demangle::{DemangleOptions, Symbol};

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
    // What the compiler cut out of a function keeps its name with a suffix, such as `.cold` or `.isra.0`.
    let (own, suffix) = name.split_at(name.find('.').unwrap_or(name.len()));
    let is_cpp = own.starts_with("_Z");
    let options = DemangleOptions::new().no_params().no_return_type();
    let readable = Symbol::new(own).ok().filter(|_| is_cpp);
    readable
        .and_then(|symbol| symbol.demangle_with_options(&options).ok())
        .map_or_else(|| name.to_owned(), |readable| readable + suffix)
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
    fn each_language_has_its_own_way() {
        assert_eq!(demangle("_ZNSt6thread4joinEv"), "std::thread::join");
        assert_eq!(demangle("_ZN3npy5isnanEd.cold"), "npy::isnan.cold");
        assert_eq!(
            demangle("_ZN3std2io5Write9write_all17h0123456789abcdefE"),
            "std::io::Write::write_all"
        );
        for plain in ["blas_thread_server", "_Zz", "", "<b>\n"] {
            assert_eq!(demangle(plain), plain);
        }
    }
}
