//! For build scripts: the libpython that programs and tests embed.
//!
//! pyo3 names it for nobody (`PYO3_BUILD_EXTENSION_MODULE` in `.cargo/config.toml`), since an extension module uses the one of
//! the process that loads it; so one build serves the program and the extension module.

/// Links the programs and tests of this package with libpython, where ld.so finds it again.
pub fn link() {
    let python = pyo3_build_config::get();
    let Some(name) = python.lib_name() else {
        return;
    };
    println!("cargo:rustc-link-arg=-l{name}");
    if let Some(folder) = python.lib_dir() {
        println!("cargo:rustc-link-arg=-L{folder}");
        // Otherwise ld.so would silently take another libpython of the same minor version (a distribution's).
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
