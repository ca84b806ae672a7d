//! The file names of cells with the numbers of the cells, for questions that are asked without Python.

use diaphane_forks::ProcessLock;

/// So many cells are remembered.
const MOST: usize = 4096;

static FILES: ProcessLock<Vec<(Box<str>, u32)>> = ProcessLock::new(Vec::new);

/// Says under which name the code of a cell is compiled.
pub(crate) fn note(file: &str, number: u32) {
    let mut files = FILES.lock();
    files.retain(|(known, _)| **known != *file);
    if files.len() >= MOST {
        files.remove(0);
    }
    files.push((file.into(), number));
}

/// The number of the cell whose code has this file name.
pub(crate) fn cell_of_file(file: &str) -> Option<u32> {
    let files = FILES.lock();
    let found = files.iter().rfind(|(known, _)| **known == *file);
    found.map(|(_, number)| *number)
}

/// The file name of the code of a cell.
pub(crate) fn file_of_cell(number: u32) -> Option<Box<str>> {
    let files = FILES.lock();
    let found = files.iter().rfind(|(_, known)| *known == number);
    found.map(|(file, _)| file.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_cell_with_the_same_code_counts() {
        note("/tmp/ipykernel_1/a.py", 3);
        note("/tmp/ipykernel_1/b.py", 4);
        note("/tmp/ipykernel_1/a.py", 5);
        assert_eq!(cell_of_file("/tmp/ipykernel_1/a.py"), Some(5));
        assert_eq!(cell_of_file("/tmp/ipykernel_1/c.py"), None);
        assert_eq!(file_of_cell(4).as_deref(), Some("/tmp/ipykernel_1/b.py"));
        assert_eq!(file_of_cell(3), None);
    }
}
