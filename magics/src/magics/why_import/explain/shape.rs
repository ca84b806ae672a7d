//! Files that the linker or Python refuses by their form.

use std::path::Path;

use diaphane_sight::code::file;
use diaphane_sight::code::file::Class;
use diaphane_sight::files;

use super::Explanation;
use crate::libraries::names::file_name;
use crate::magics::why_import::exception::Cause;
use crate::magics::why_import::message::Failure;

pub(super) fn class(failure: &Failure, told: &mut Explanation) {
    told.required_by = Some(failure.file.clone());
    let own = file::class(Path::new(&failure.file))
        .map_or_else(|| failure.missing.clone(), |class| class.to_string());
    let process =
        Class::of_this_process().map_or_else(|| "another one".into(), |class| class.to_string());
    told.reason = format!(
        "{} is for {own}, and this process is for {process}.",
        failure.file
    );
    told.fix = "install a build for this machine.".into();
}

pub(super) fn no_library(failure: &Failure, told: &mut Explanation) {
    let head: Vec<u8> = files::head(&failure.file, 40).unwrap_or_default();
    let text: String = String::from_utf8_lossy(&head)
        .chars()
        .take_while(|letter| !letter.is_control())
        .collect();
    told.required_by = Some(failure.file.clone());
    told.reason = match head.len() {
        0 => format!("{} is empty.", failure.file),
        _ if text.len() < 8 => format!(
            "{} is no shared library, or only a part of one.",
            failure.file
        ),
        _ => format!(
            "{} is no shared library: it begins with {text:?}.",
            failure.file
        ),
    };
    told.fix = match text.starts_with("version https://git-lfs") {
        true => "the file is a placeholder of Git LFS: fetch its content with git lfs pull.".into(),
        false => "the download or the build was not complete: install the package again.".into(),
    };
}

pub(super) fn executable_stack(failure: &Failure, told: &mut Explanation) {
    told.required_by = Some(failure.file.clone());
    told.reason = format!(
        "{} wants an executable stack, which this system refuses.",
        failure.file
    );
    told.fix = "link it with -z noexecstack; where that cannot be, patchelf --clear-execstack changes the file.".into();
}

pub(super) fn no_module(cause: &Cause, told: &mut Explanation) {
    let path = cause.path.clone().unwrap_or_default();
    let name = file_name(&path);
    told.required_by = cause.path.clone();
    told.reason = format!(
        "{path} is a library, but has no function {}, by which Python would begin the module.",
        told.missing
    );
    told.fix = match file::exported_with(Path::new(&path), "PyInit_").first() {
        Some(other) => format!(
            "it is the module {}: give the file back that name.",
            other.trim_start_matches("PyInit_")
        ),
        None => {
            format!("{name} is no extension module; load it with ctypes, or build it as a module.")
        }
    };
}
