//! Names that fit on a line: what generators of code made of a name is taken back, and arguments of templates are left out.

use super::demangle::demangle;

/// Names of C++ that are longer lose the arguments of their templates.
const LONG: usize = 60;
/// Names of Cython that are longer lose the packages at their beginning.
const LONG_OF_CYTHON: usize = 40;

/// A symbol for people who did not write it; the symbol itself says more.
#[must_use]
pub fn readable(symbol: &str) -> String {
    // Cython writes C++ too, whose compilers mangle its names once more.
    let name = demangle(without_suffixes(symbol));
    of_cython(&name).unwrap_or_else(|| shortened(&name))
}

/// Without what compilers write behind the name of a function that they have cut or specialised.
fn without_suffixes(symbol: &str) -> &str {
    const SUFFIXES: [&str; 5] = ["isra", "constprop", "part", "cold", "lto_priv"];
    let mut own = symbol.split(['@', ' ']).next().unwrap_or(symbol);
    while let Some((before, last)) = own.rsplit_once('.') {
        let is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number && !SUFFIXES.contains(&last) {
            break;
        }
        own = before;
    }
    if own.is_empty() { symbol } else { own }
}

fn shortened(name: &str) -> String {
    if name.len() <= LONG {
        return name.to_owned();
    }
    last_parts(&without_arguments(name).replace("(anonymous namespace)::", ""))
}

/// `__pyx_f_7sklearn_5utils_8_sorting_sort` is `sklearn.utils._sorting.sort`: Cython writes each part of a module's name
/// behind its length, and what it has copied for several types behind `__pyx_fuse_` and a number.
fn of_cython(symbol: &str) -> Option<String> {
    let at = symbol.rfind("__pyx_")?;
    let before = &symbol[..at];
    (before.is_empty() || before.starts_with("__pyx_fuse_")).then_some(())?;
    let rest = &symbol[at + "__pyx_".len()..];
    // What the function is for Cython: a function, a wrapper, a method, a body; or a slot of a type.
    let mut pairs = rest.as_bytes().windows(2);
    let at = pairs.position(|two| two[0] == b'_' && two[1].is_ascii_digit())?;
    let (role, mut rest) = (&rest[..at], &rest[at + 1..]);
    let mut parts = Vec::new();
    while let Some((part, after)) = counted(rest) {
        parts.push(part);
        rest = after;
    }
    (!parts.is_empty()).then_some(())?;
    // The number of a method stands before its name.
    parts.push(rest.trim_start_matches(|letter: char| letter.is_ascii_digit()));
    parts.extend(role.starts_with("tp_").then_some(role));
    // Of a long name the last parts tell one function from another; the library is told beside it.
    let long = |parts: &[&str]| parts.join(".").len() > LONG_OF_CYTHON;
    let first = (0..parts.len() - 1).find(|&first| !long(&parts[first..]));
    Some(match first.unwrap_or(parts.len() - 2) {
        0 => parts.join("."),
        first => format!("…{}", parts[first..].join(".")),
    })
}

/// A part that stands behind its length, and what comes after it.
fn counted(text: &str) -> Option<(&str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let length: usize = text.get(..digits)?.parse().ok()?;
    let part = text.get(digits..digits.checked_add(length)?)?;
    let after = text[digits + length..].strip_prefix('_')?;
    (length > 0 && !after.is_empty()).then_some((part, after))
}

/// Leaves out what stands in angle brackets, but for those of operators.
fn without_arguments(name: &str) -> String {
    let mut kept = String::new();
    let mut depth = 0_usize;
    let mut before = ' ';
    for letter in name.chars() {
        match letter {
            '<' if kept.ends_with("operator") || kept.ends_with("operator<") => kept.push(letter),
            '<' => {
                if depth == 0 {
                    kept.push_str("<…>");
                }
                depth += 1;
            }
            '>' if before != '-' && depth > 0 => depth -= 1,
            _ if depth == 0 => kept.push(letter),
            _ => {}
        }
        before = letter;
    }
    kept
}

/// As many of the last parts of a path as fit.
fn last_parts(name: &str) -> String {
    let mut short = name;
    while short.len() > LONG
        && let Some((_, rest)) = short.split_once("::")
    {
        short = rest;
    }
    if short.len() == name.len() {
        short.to_owned()
    } else {
        format!("…::{short}")
    }
}

#[cfg(test)]
mod tests {
    use super::{readable, shortened};

    #[test]
    fn names_of_cython_are_pythons_again() {
        for (symbol, name) in [
            (
                "__pyx_fuse_0__pyx_f_7sklearn_5utils_8_sorting_introsort_3way",
                "sklearn.utils._sorting.introsort_3way",
            ),
            (
                "__pyx_tp_dealloc_7pyarrow_3lib_Array.lto_priv.0",
                "pyarrow.lib.Array.tp_dealloc",
            ),
            (
                "__pyx_pw_6pandas_5_libs_3lib_21map_infer",
                "pandas._libs.lib.map_infer",
            ),
            (
                "__pyx_f_7sklearn_8ensemble_23_hist_gradient_boosting_9histogram__build.isra.0",
                "…_hist_gradient_boosting.histogram._build",
            ),
            (
                "_ZL48__pyx_pw_7pyarrow_3lib_12BinaryScalar_1as_bufferP7_objectPKS0_lS0_.lto_priv.0",
                "pyarrow.lib.BinaryScalar.as_buffer",
            ),
        ] {
            assert_eq!(readable(symbol), name);
        }
        assert_eq!(readable("sort_.constprop.0.isra.1"), "sort_");
        assert_eq!(readable("f.cold"), "f");
        assert_eq!(readable("f.part.0 [clone .cold]"), "f");
        assert_eq!(readable("_ZNSt6thread4joinEv@plt"), "std::thread::join");
        for plain in [
            "__pyx_",
            "__pyx_f_",
            "__pyx_tp_dealloc_array",
            "blas_thread_server",
        ] {
            assert_eq!(readable(plain), plain);
        }
    }

    #[test]
    fn arguments_of_templates_are_left_out_of_long_names() {
        for (long, short) in [
            (
                "arrow::compute::internal::(anonymous namespace)::Binary<arrow::DoubleType, arrow::DoubleType, Add>::Exec",
                "arrow::compute::internal::Binary<…>::Exec",
            ),
            (
                "some::very::long::name::of::a::module::and::another::one::with::operator<::inside",
                "…::of::a::module::and::another::one::with::operator<::inside",
            ),
            ("std::vector<int>::push_back", "std::vector<int>::push_back"),
        ] {
            assert_eq!(shortened(long), short);
        }
    }
}
