//! Who wrote a Python function, by its file: the user in a cell, IPython and the kernel around it, or somebody else.

/// The names under which IPython compiles what stands below `%%time` and `%%timeit`.
const TIMED: &[&str] = &["<timed exec>", "<timed eval>", "<magic-timeit>"];

/// Who wrote a Python function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    /// It stands in a cell.
    Cell,
    /// It belongs to IPython or to the kernel.
    Jupyter,
    Others,
}

impl Author {
    /// By the file of the function. Every kernel of Python's names the files of cells alike.
    pub(crate) fn of(file: &str) -> Self {
        let is_jupyter = ["/IPython/", "/traitlets/", "/ipykernel/"];
        match file {
            _ if file.contains("/ipykernel_") || TIMED.contains(&file) => Self::Cell,
            _ if own_module(file).is_some() || file == "<frozen runpy>" => Self::Jupyter,
            _ if is_jupyter.iter().any(|part| file.contains(part)) => Self::Jupyter,
            _ => Self::Others,
        }
    }
}

/// Which module of the kernel's own package a file is: its sources lie in the program, or among a Python's packages.
pub(crate) fn own_module(file: &str) -> Option<&str> {
    let embedded = file
        .strip_prefix("<diaphane/")
        .and_then(|rest| rest.strip_suffix(">.py"));
    let installed = || {
        let (folder, module) = file.strip_suffix(".py")?.rsplit_once("/diaphane/")?;
        let is_for_packages = folder.ends_with("-packages") && !module.contains('/');
        is_for_packages.then_some(module)
    };
    embedded.or_else(installed)
}

/// Whether a file is one of ours by which a program asks: its functions are no part of what the program does.
pub(crate) fn serves_programs(file: &str) -> bool {
    const MODULES: &[&str] = &["library", "program", "pytest_plugin", "recorded_children"];
    own_module(file).is_some_and(|module| MODULES.contains(&module))
}

#[cfg(test)]
mod tests {
    use super::{Author, own_module, serves_programs};

    #[test]
    fn cells_are_known_by_their_folder() {
        assert_eq!(Author::of("/tmp/ipykernel_7/2.py"), Author::Cell);
        assert_eq!(Author::of("<timed exec>"), Author::Cell);
        assert_eq!(Author::of("<diaphane/streams>.py"), Author::Jupyter);
        assert_eq!(Author::of("/x/IPython/core/a.py"), Author::Jupyter);
        assert_eq!(Author::of("/x/mine.py"), Author::Others);
    }

    #[test]
    fn the_kernels_own_modules_are_known_by_their_place() {
        let file = "/v/lib/python3.11/site-packages/diaphane/magics.py";
        assert_eq!(own_module(file), Some("magics"));
        assert_eq!(own_module("<diaphane/magics>.py"), Some("magics"));
        assert_eq!(own_module("/home/me/diaphane/magics.py"), None);
        assert!(serves_programs(
            "/v/lib/python3.11/site-packages/diaphane/library.py"
        ));
        assert!(!serves_programs(file) && !serves_programs("/x/library.py"));
        assert_eq!(Author::of(file), Author::Jupyter);
    }
}
