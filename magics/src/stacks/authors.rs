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
            _ if file.starts_with("<diaphane") => Self::Jupyter,
            _ if is_jupyter.iter().any(|part| file.contains(part)) => Self::Jupyter,
            _ => Self::Others,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Author;

    #[test]
    fn cells_are_known_by_their_folder() {
        assert_eq!(Author::of("/tmp/ipykernel_7/2.py"), Author::Cell);
        assert_eq!(Author::of("<timed exec>"), Author::Cell);
        assert_eq!(Author::of("<diaphane/streams>.py"), Author::Jupyter);
        assert_eq!(Author::of("/x/IPython/core/a.py"), Author::Jupyter);
        assert_eq!(Author::of("/x/mine.py"), Author::Others);
    }
}
