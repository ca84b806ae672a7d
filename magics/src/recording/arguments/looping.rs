//! The arguments of one run of a ufunc's inner loop.

use crate::recording::hook_plan::About;
use crate::recording::signatures::{Access, MemoryArgument};

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Looping {
    /// How many items.
    pub count: usize,
    /// Where each array begins, and how far its items are apart.
    pub arrays: Vec<(usize, isize)>,
}

impl Looping {
    /// From the words that the recorder kept: the count, the addresses, the steps.
    pub fn read(about: &About, words: &[usize]) -> Option<Self> {
        let (count, rest) = words.split_first()?;
        let addresses = rest.get(..about.arrays)?;
        let steps = rest.get(about.arrays..2 * about.arrays)?;
        let steps = steps.iter().map(|step| step.cast_signed());
        Some(Self {
            count: *count,
            arrays: addresses.iter().copied().zip(steps).collect(),
        })
    }

    /// The memory that it works on. Of arrays that are items themselves, only the address is known.
    pub fn memory(&self, about: &About) -> Vec<(&'static str, MemoryArgument)> {
        let sizes = about.types.chars().map(size);
        let arrays = self.arrays.iter().zip(sizes.chain(std::iter::repeat(0)));
        let memory = arrays
            .enumerate()
            .map(|(number, (&(address, step), size))| {
                let size = if about.is_general { 0 } else { size };
                let reach = step.unsigned_abs() * self.count.saturating_sub(1);
                let is_single = step == 0 || self.count < 2;
                let (name, access) = match number < about.inputs {
                    true => ("in", Access::Read),
                    false => ("out", Access::Write),
                };
                let memory = MemoryArgument {
                    address: if step < 0 {
                        address.wrapping_sub(reach)
                    } else {
                        address
                    },
                    span: if size == 0 || self.count == 0 {
                        0
                    } else {
                        reach + size
                    },
                    bytes: if is_single { size } else { self.count * size },
                    access,
                    is_dense: is_single || step.unsigned_abs() == size,
                };
                (name, memory)
            });
        memory.collect()
    }
}

/// The bytes of an item by NumPy's letter; 0 where it depends.
pub(super) fn size(letter: char) -> usize {
    match letter {
        '?' | 'b' | 'B' => 1,
        'h' | 'H' | 'e' => 2,
        'i' | 'I' | 'f' => 4,
        'l' | 'L' | 'q' | 'Q' | 'd' | 'F' | 'O' | 'M' | 'm' => 8,
        'g' | 'D' => 16,
        'G' => 32,
        _ => 0,
    }
}
