//! Names of C++ and Rust functions as their authors wrote them.

use cpp_demangle::{DemangleOptions, Symbol};

/// Beyond this, a name is a story about templates.
const LONGEST: usize = 4096;

/// The readable form of a symbol; a name that is neither C++ nor Rust stays as it is.
pub fn demangle(name: &str) -> String {
    if name.len() > LONGEST {
        return name.to_owned();
    }
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return format!("{rust:#}");
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

#[cfg(test)]
mod tests {
    use super::demangle;

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
