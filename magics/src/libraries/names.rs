//! How libraries and files are called: by the part of the name that people use.

/// The name without the hash that wheels put into it and without what stands behind `.so`.
pub(crate) fn stem(name: &str) -> &str {
    let name = name.split(".so").next().unwrap_or(name);
    let is_hash = |part: &str| {
        let part = part.strip_prefix('r').unwrap_or(part);
        part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let mut stem = name;
    while let Some((head, tail)) = stem.rsplit_once('-') {
        if !is_hash(tail) {
            break;
        }
        stem = head;
    }
    stem
}

/// The name as people say it: without the tag of the Python that an extension module is for, too.
pub(crate) fn short(name: &str) -> &str {
    let stem = stem(name);
    let tag = stem.find(".cpython-").or_else(|| stem.find(".abi3"));
    &stem[..tag.unwrap_or(stem.len())]
}

/// The name as people say it, with the package that it is a module of: several have a `lib`.
pub(crate) fn with_package(name: &str, path: Option<&str>) -> String {
    let said = short(name);
    let is_module = said != stem(name);
    let inside = path.and_then(|path| path.split_once("-packages/"));
    match inside.and_then(|(_, inside)| inside.split_once('/')) {
        Some((package, _)) if is_module => format!("{said} of {package}"),
        _ => said.to_owned(),
    }
}

/// The last part of a path.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stem_has_no_hash_and_no_version() {
        assert_eq!(
            stem("libgfortran-040039e1-0352e75f.so.5.0.0"),
            "libgfortran"
        );
        assert_eq!(
            stem("libscipy_openblas64_-32a4b2a6.so"),
            "libscipy_openblas64_"
        );
        assert_eq!(
            stem("libopenblasp-r0-8f1ca5ab.3.25.so"),
            "libopenblasp-r0-8f1ca5ab.3.25"
        );
        assert_eq!(stem("libfoo-with-dashes.so.1"), "libfoo-with-dashes");
        assert_eq!(short("_heapq.cpython-311-x86_64-linux-gnu.so"), "_heapq");
        assert_eq!(short("libssl.so.3"), "libssl");
        assert_eq!(short("libpython3.11.so.1.0"), "libpython3.11");
        assert_eq!(short("libgomp-e985bcbb.so.1.0.0"), "libgomp");
    }

    #[test]
    fn a_module_is_said_with_its_package() {
        let said = |path: &str| with_package(file_name(path), Some(path));
        let home = "/v/lib/python3.11/site-packages";
        let module = format!("{home}/pandas/_libs/lib.cpython-311-x86_64-linux-gnu.so");
        assert_eq!(said(&module), "lib of pandas");
        let copy = format!("{home}/scikit_learn.libs/libgomp-e985bcbb.so.1.0.0");
        assert_eq!(said(&copy), "libgomp");
        assert_eq!(said("/usr/lib/libc.so.6"), "libc");
    }
}
