//! Copies of the arrays that a cell may change, for a process whose changes count only if it finishes.

#![allow(unsafe_code, reason = "the items of arrays are copied")]

use std::ptr;

use diaphane_cell::abi::Arg;

use super::{ExportedValue, Exports};
use crate::error::Error;
use crate::rust_cells::isolated::SharedMemory;

/// What begins here does so at a multiple of a cache line, as the original does or does not.
const LINE: usize = 64;

/// Copies of arrays, in the order of the values; nothing for a value that is only read.
pub struct IsolatedCopies {
    copies: Vec<Option<Copy>>,
}

/// The items of an array in memory of their own, as far from each other as in the array.
struct Copy {
    data: *mut u8,
    _memory: SharedMemory,
}

impl Exports<'_> {
    /// Copies what may be changed.
    pub fn isolated_copies(&self) -> Result<IsolatedCopies, Error> {
        let copies = self.values.iter();
        let copies = copies.map(|value| value.mutable.then(|| copy(value)).transpose());
        Ok(IsolatedCopies {
            copies: copies.collect::<Result<_, _>>()?,
        })
    }

    /// The values as the cell gets them, with the copies in their places.
    pub fn args_with(&self, copies: &IsolatedCopies) -> Vec<Arg> {
        let mut args = self.args();
        for (arg, copy) in args.iter_mut().zip(&copies.copies) {
            if let Some(copy) = copy {
                arg.data = copy.data;
            }
        }
        args
    }

    /// Writes the copies into the arrays.
    pub fn copy_back(&self, copies: &IsolatedCopies) {
        for (value, copy) in self.values.iter().zip(&copies.copies) {
            if let Some(copy) = copy {
                // SAFETY: the array is borrowed to be written to, and the copy has its shape and strides.
                unsafe { Items::of(value).copy(copy.data, value.data) };
            }
        }
    }
}

fn copy(value: &ExportedValue<'_>) -> Result<Copy, Error> {
    let steps = || value.shape.iter().zip(&value.strides);
    if value.shape.contains(&0) {
        let memory = SharedMemory::new(LINE)?;
        return Ok(Copy {
            data: memory.start,
            _memory: memory,
        });
    }
    let reach = |len: usize, stride: isize| stride * (len.cast_signed() - 1);
    let below: isize = steps()
        .map(|(len, stride)| reach(*len, *stride).min(0))
        .sum();
    let above: isize = steps()
        .map(|(len, stride)| reach(*len, *stride).max(0))
        .sum();
    let offset = (value.data.addr() as isize + below) as usize % LINE;
    let memory = SharedMemory::new(offset + (above - below) as usize + value.kind.size())?;
    let data = memory
        .start
        .wrapping_add(offset)
        .wrapping_offset(below.wrapping_neg());
    // SAFETY: the array is borrowed, and the memory is as long as the array reaches.
    unsafe { Items::of(value).copy(value.data, data) };
    Ok(Copy {
        data,
        _memory: memory,
    })
}

/// The items of an array, as stretches without gaps.
struct Items {
    /// From the array's address to the lowest item.
    lowest: isize,
    /// How long a stretch is.
    run: usize,
    /// How often and how far apart stretches follow each other, the widest steps first.
    axes: Vec<(usize, usize)>,
}

impl Items {
    fn of(value: &ExportedValue<'_>) -> Self {
        let mut items = Self {
            lowest: 0,
            run: value.kind.size(),
            axes: Vec::new(),
        };
        for (len, stride) in value.shape.iter().zip(&value.strides) {
            if *stride < 0 && *len > 0 {
                items.lowest += stride * (len.cast_signed() - 1);
            }
            if *len != 1 {
                items.axes.push((*len, stride.unsigned_abs()));
            }
        }
        items.axes.sort_unstable_by_key(|(_, step)| *step);
        items.axes.reverse();
        while let Some((len, step)) = items.axes.pop() {
            if step != items.run {
                items.axes.push((len, step));
                break;
            }
            items.run *= len;
        }
        items
    }

    /// Copies the items of one array to one that lies like it.
    ///
    /// # Safety
    ///
    /// Both must have the shape and the strides that this was made of.
    unsafe fn copy(&self, from: *const u8, to: *mut u8) {
        let (from, to) = (
            from.wrapping_offset(self.lowest),
            to.wrapping_offset(self.lowest),
        );
        self.copy_axes(&self.axes, from, to);
    }

    fn copy_axes(&self, axes: &[(usize, usize)], from: *const u8, to: *mut u8) {
        let Some(((len, step), inner)) = axes.split_first() else {
            // SAFETY: a stretch lies in both arrays, which do not overlap.
            unsafe { ptr::copy_nonoverlapping(from, to, self.run) };
            return;
        };
        for number in 0..*len {
            self.copy_axes(
                inner,
                from.wrapping_add(number * step),
                to.wrapping_add(number * step),
            );
        }
    }
}
