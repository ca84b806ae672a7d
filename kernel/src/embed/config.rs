//! Starting CPython with `PyConfig`, so that it is the chosen Python in all but the executable's file.
//!
//! `executable` decides `sys.executable`, and through `pyvenv.cfg` the prefix and the packages. Were it left out,
//! `sys.executable` would be the kernel, and every `subprocess.run([sys.executable, ...])` would start another kernel.
#![allow(unsafe_code, reason = "PyConfig has no safe interface")]

use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use pyo3::ffi;

use super::_diaphane;

/// The version of the linked libpython.
pub(crate) fn version() -> String {
    // SAFETY: `Py_GetVersion` may be called before initialisation and returns a static string.
    unsafe { CStr::from_ptr(ffi::Py_GetVersion()) }
        .to_string_lossy()
        .into_owned()
}

/// Initialises CPython on the calling thread, and lets the GIL go.
pub(crate) fn initialize(python: &Path, connection_file: &Path) -> anyhow::Result<()> {
    let python = CString::new(python.as_os_str().as_bytes())?;
    let connection_file = CString::new(connection_file.as_os_str().as_bytes())?;
    let mut argv = [
        c"diaphane".as_ptr(),
        c"-f".as_ptr(),
        connection_file.as_ptr(),
    ];
    pyo3::append_to_inittab!(_diaphane);
    preinitialize()?;

    let mut config = MaybeUninit::<ffi::PyConfig>::uninit();
    // SAFETY: the call fills the whole struct.
    unsafe { ffi::PyConfig_InitPythonConfig(config.as_mut_ptr()) };
    // SAFETY: it was just filled.
    let mut config = unsafe { config.assume_init() };
    config.parse_argv = 0;
    let configured = configure(&mut config, &python, &mut argv);
    // SAFETY: the configuration is initialised, and the runtime is not.
    let initialized =
        configured.and_then(|()| check(unsafe { ffi::Py_InitializeFromConfig(&raw const config) }));
    // SAFETY: the configuration is initialised, and this is its last use.
    unsafe { ffi::PyConfig_Clear(&raw mut config) };
    initialized?;
    // SAFETY: this thread holds the GIL since the initialisation; pyo3 takes it again when it is needed.
    unsafe { ffi::PyEval_SaveThread() };
    Ok(())
}

/// UTF-8 everywhere, whatever the locale says.
fn preinitialize() -> anyhow::Result<()> {
    let mut config = MaybeUninit::<ffi::PyPreConfig>::uninit();
    // SAFETY: the call fills the whole struct.
    unsafe { ffi::PyPreConfig_InitPythonConfig(config.as_mut_ptr()) };
    // SAFETY: it was just filled.
    let mut config = unsafe { config.assume_init() };
    config.utf8_mode = 1;
    config.parse_argv = 0;
    // SAFETY: the configuration is initialised, and the runtime is not.
    check(unsafe { ffi::Py_PreInitialize(&raw const config) })
}

fn configure(
    config: &mut ffi::PyConfig,
    python: &CStr,
    argv: &mut [*const c_char],
) -> anyhow::Result<()> {
    let length = ffi::Py_ssize_t::try_from(argv.len())?;
    // SAFETY: `argv` holds `length` pointers to strings that end with a zero and live until the call returns.
    check(unsafe { ffi::PyConfig_SetBytesArgv(config, length, argv.as_mut_ptr().cast()) })?;
    set_string(config, |config| &raw mut config.executable, python)?;
    set_string(config, |config| &raw mut config.program_name, python)
}

fn set_string(
    config: &mut ffi::PyConfig,
    field: impl Fn(&mut ffi::PyConfig) -> *mut *mut libc::wchar_t,
    value: &CStr,
) -> anyhow::Result<()> {
    let field = field(config);
    // SAFETY: the field belongs to this configuration, and the string ends with a zero.
    check(unsafe { ffi::PyConfig_SetBytesString(config, field, value.as_ptr()) })
}

fn check(status: ffi::PyStatus) -> anyhow::Result<()> {
    // SAFETY: the status came from CPython.
    if unsafe { ffi::PyStatus_Exception(status) } == 0 {
        return Ok(());
    }
    let sentence = if status.err_msg.is_null() {
        "no reason was given".into()
    } else {
        // SAFETY: a message of a status is a static string.
        unsafe { CStr::from_ptr(status.err_msg) }.to_string_lossy()
    };
    anyhow::bail!("CPython refused its configuration: {sentence}")
}
