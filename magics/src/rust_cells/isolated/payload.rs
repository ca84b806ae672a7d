//! Results on their way from a child to the kernel: a file in memory, with the items of arrays and a description.

use std::ffi::c_void;
use std::fs::File;
use std::io::{BufWriter, Read, Result, Seek, SeekFrom, Write};
use std::mem::size_of;
use std::slice;

use diaphane_cell::abi::Kind;
use serde::{Deserialize, Serialize};

use crate::rust_cells::redirect::DisplayBundle;
use crate::rust_cells::results::{CellResult, CellResults, ResultMemory, ResultOwner};

/// All kinds, by the number that they are sent as.
const KINDS: [Kind; 16] = [
    Kind::Bool,
    Kind::I8,
    Kind::I16,
    Kind::I32,
    Kind::I64,
    Kind::U8,
    Kind::U16,
    Kind::U32,
    Kind::U64,
    Kind::F32,
    Kind::F64,
    Kind::Complex32,
    Kind::Complex64,
    Kind::Text,
    Kind::Bytes,
    Kind::Nothing,
];

/// What stands behind the items, in JSON; its length is the file's last eight bytes.
#[derive(Serialize, Deserialize)]
struct Description {
    results: Vec<Packed>,
    shown: Vec<DisplayBundle>,
}

/// A result, whose bytes follow those of the result before.
#[derive(Serialize, Deserialize)]
struct Packed {
    number: u32,
    kind: usize,
    shape: Vec<usize>,
    strides: Vec<isize>,
    /// How many bytes there are.
    len: usize,
    /// From the first of them to the first item of an array; nothing for a value that is none.
    first: Option<usize>,
}

/// Writes what a run has handed over.
pub fn pack(taken: &CellResults, file: &File) -> Result<()> {
    let mut out = BufWriter::new(file);
    let mut results = Vec::new();
    for (number, result) in &taken.results {
        let (bytes, first) = match &result.memory {
            ResultMemory::Copy(bytes) => (bytes.as_slice(), None),
            ResultMemory::OfCell { data, .. } => {
                let (below, len) = reach(result).unwrap_or_default();
                let lowest = std::ptr::with_exposed_provenance::<u8>(data - below);
                // SAFETY: an array's memory holds all its items, and the cell no longer runs.
                (unsafe { slice::from_raw_parts(lowest, len) }, Some(below))
            }
        };
        out.write_all(bytes)?;
        results.push(Packed {
            number: *number,
            kind: result.kind as usize,
            shape: result.shape.clone(),
            strides: result.strides.clone(),
            len: bytes.len(),
            first,
        });
    }
    let description = serde_json::to_vec(&Description {
        results,
        shown: taken.shown.clone(),
    })?;
    out.write_all(&description)?;
    out.write_all(&description.len().to_ne_bytes())?;
    out.flush()
}

/// How far an array reaches below its first item, and how long it is in all; nothing if no memory is as long.
fn reach(array: &CellResult) -> Option<(usize, usize)> {
    if array.shape.contains(&0) {
        return Some((0, 0));
    }
    let (mut below, mut above) = (0_usize, array.kind.size());
    for (len, stride) in array.shape.iter().zip(&array.strides) {
        let far = stride.unsigned_abs().checked_mul(len - 1)?;
        let side = if *stride < 0 { &mut below } else { &mut above };
        *side = side.checked_add(far)?;
    }
    Some((below, below.checked_add(above)?))
}

/// Reads it again, in another process. What was damaged on the way is refused.
pub fn unpack(mut file: File) -> Option<CellResults> {
    const TAIL: usize = size_of::<usize>();
    let whole = usize::try_from(file.seek(SeekFrom::End(0)).ok()?).ok()?;
    let mut tail = [0; TAIL];
    file.seek(SeekFrom::End(-(TAIL as i64))).ok()?;
    file.read_exact(&mut tail).ok()?;
    let description = usize::from_ne_bytes(tail);
    let items = whole.checked_sub(TAIL)?.checked_sub(description)?;
    file.seek(SeekFrom::Start(items as u64)).ok()?;
    let described = (&mut file).take(description as u64);
    let described: Description = serde_json::from_reader(described).ok()?;
    let mut sizes = described.results.iter();
    let sum = sizes.try_fold(0_usize, |sum, one| sum.checked_add(one.len))?;
    if sum != items {
        return None;
    }
    file.seek(SeekFrom::Start(0)).ok()?;
    let results = described.results.into_iter();
    let results = results.map(|one| Some((one.number, one.read(&mut file)?)));
    Some(CellResults {
        results: results.collect::<Option<_>>()?,
        shown: described.shown,
        ..CellResults::default()
    })
}

impl Packed {
    fn read(self, file: &mut File) -> Option<CellResult> {
        let mut gifted = CellResult {
            kind: *KINDS.get(self.kind)?,
            shape: self.shape,
            strides: self.strides,
            memory: ResultMemory::Copy(Vec::new()),
        };
        let Some(first) = self.first else {
            let mut bytes = vec![0; self.len];
            file.read_exact(&mut bytes).ok()?;
            gifted.memory = ResultMemory::Copy(bytes);
            return Some(gifted);
        };
        if reach(&gifted)? != (first, self.len) {
            return None;
        }
        // Items of any kind are aligned in it.
        let mut memory = vec![0_u128; self.len.div_ceil(size_of::<u128>()).max(1)];
        // SAFETY: the memory is at least as long, and any bytes are numbers.
        let bytes =
            unsafe { slice::from_raw_parts_mut(memory.as_mut_ptr().cast::<u8>(), self.len) };
        file.read_exact(bytes).ok()?;
        let memory = Box::new(memory);
        let data = memory.as_ptr().expose_provenance() + first;
        let owner = ResultOwner::new(Box::into_raw(memory).cast(), free);
        gifted.memory = ResultMemory::OfCell { data, owner };
        Some(gifted)
    }
}

unsafe extern "C" fn free(owner: *mut c_void) {
    // SAFETY: the owner is a box of this type, and is freed once.
    drop(unsafe { Box::from_raw(owner.cast::<Vec<u128>>()) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_number_that_they_are_sent_as() {
        for (number, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
    }
}
