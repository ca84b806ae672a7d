//! Ranges of addresses: safe reading, unions, and the bytes that a strided buffer really touches.
//!
//! Reading is that of `target` on the own process: an unmapped address is an error.
//! Nothing here knows what lies at an address; that is for `maps` and `libs`.

use std::io;

use serde::Serialize;

use crate::proc::target_process::TargetProcess;

/// A half-open range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// The first address.
    pub start: usize,
    /// The address after the last one.
    pub end: usize,
}

impl Span {
    /// Builds a span from its two ends; an end before the start gives an empty span.
    pub fn new(start: usize, end: usize) -> Self {
        Self {
            start,
            end: end.max(start),
        }
    }

    /// The number of bytes.
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether no byte lies in the span.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether the address lies in the span.
    pub fn contains(self, address: usize) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// The part that two spans share.
    pub fn intersection(self, other: Span) -> Span {
        Span::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// Whether two spans share a byte.
    pub fn overlaps(self, other: Span) -> bool {
        !self.intersection(other).is_empty()
    }
}

/// Merges spans into disjoint, ordered ones.
pub fn union(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|span| !span.is_empty());
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

/// From the lowest to behind the highest byte that an item touches. The first one lies at an address, and each axis has so
/// many at this distance in bytes.
pub fn bounds(address: usize, item: usize, axes: impl IntoIterator<Item = (usize, isize)>) -> Span {
    let nothing = Span::new(address, address);
    if item == 0 {
        return nothing;
    }
    let (mut low, mut high) = (address, address.wrapping_add(item));
    for (count, stride) in axes {
        let Some(last) = count.checked_sub(1) else {
            return nothing;
        };
        let reach = last * stride.unsigned_abs();
        if stride < 0 {
            low = low.wrapping_sub(reach)
        } else {
            high = high.wrapping_add(reach)
        }
    }
    Span::new(low, high)
}

/// How the items of a buffer lie in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// The address of the first item.
    pub address: usize,
    /// The number of items along each axis.
    pub shape: Vec<usize>,
    /// The distance in bytes between neighbours along each axis.
    pub strides: Vec<isize>,
    /// The bytes of one item.
    pub item: usize,
}

impl Layout {
    /// The bytes of all items, each counted as often as it is listed.
    pub fn listed(&self) -> usize {
        self.shape.iter().product::<usize>() * self.item
    }

    /// From the lowest to behind the highest byte that an item touches.
    pub fn bounds(&self) -> Span {
        let axes = self.shape.iter().zip(&self.strides);
        let axes = axes.map(|(&count, &stride)| (count, stride));
        bounds(self.address, self.item, axes)
    }

    /// Whether the items fill their bounds without a gap and none is listed twice.
    pub fn is_dense(&self) -> bool {
        let filled = self
            .axes()
            .into_iter()
            .try_fold(self.item, |run, (count, step)| {
                (step == run).then_some(run * count)
            });
        filled == Some(self.listed())
    }

    /// The disjoint spans that the items touch; `None` if there would be more than `limit` of them to merge.
    pub fn touched(&self, limit: usize) -> Option<Vec<Span>> {
        let start = self.bounds().start;
        if self.listed() == 0 {
            return Some(Vec::new());
        }
        // From the inside out: an axis whose step does not exceed the run so far lengthens it, another repeats it.
        let mut run = self.item;
        let mut repeats = Vec::new();
        for (count, step) in self.axes() {
            if step <= run && repeats.is_empty() {
                run += (count - 1) * step
            } else {
                repeats.push((count, step))
            }
        }
        let runs = repeats
            .iter()
            .try_fold(1usize, |runs, &(count, _)| runs.checked_mul(count))?;
        if runs > limit {
            return None;
        }
        let mut starts = vec![start];
        for (count, step) in repeats {
            starts = starts
                .iter()
                .flat_map(|&at| (0..count).map(move |index| at + index * step))
                .collect();
        }
        Some(union(
            starts
                .into_iter()
                .map(|at| Span::new(at, at + run))
                .collect(),
        ))
    }

    /// The axes that move through memory as (items, bytes between them), the closest first.
    fn axes(&self) -> Vec<(usize, usize)> {
        let mut axes: Vec<_> = self
            .shape
            .iter()
            .zip(&self.strides)
            .map(|(&count, stride)| (count, stride.unsigned_abs()))
            .filter(|&(count, step)| count > 1 && step > 0)
            .collect();
        axes.sort_unstable_by_key(|&(_, step)| step);
        axes
    }
}

/// Copies memory of this process into `into`; returns how many bytes were readable from `address` on.
pub fn read(address: usize, into: &mut [u8]) -> io::Result<usize> {
    TargetProcess::OWN.read(address, into)
}

/// Reads up to `len` bytes; shorter where the mapping ends, empty where nothing is mapped.
pub fn bytes(address: usize, len: usize) -> Vec<u8> {
    TargetProcess::OWN.bytes(address, len)
}

/// Reads a pointer.
pub fn word(address: usize) -> Option<usize> {
    TargetProcess::OWN.word(address)
}

/// Reads a C `int`.
pub fn int(address: usize) -> Option<i32> {
    TargetProcess::OWN.int(address)
}

/// Reads a NUL-terminated string of at most 4 KiB; `None` if the address or the text is not readable as one.
pub fn c_string(address: usize) -> Option<String> {
    TargetProcess::OWN.c_string(address)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn layouts_of_well_known_arrays() {
        let layout = |shape: &[usize], strides: &[isize]| Layout {
            address: 1000,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            item: 8,
        };
        assert!(layout(&[10, 10], &[80, 8]).is_dense());
        assert!(
            layout(&[10, 10], &[8, 80]).is_dense(),
            "Fortran order fills its bounds too"
        );
        assert!(!layout(&[5], &[16]).is_dense());
        assert!(!layout(&[2, 3], &[0, 8]).is_dense());
        let reversed = layout(&[10], &[-8]);
        assert_eq!(reversed.bounds(), Span::new(928, 1008));
        assert!(reversed.is_dense());
        let broadcast = layout(&[1000, 1000], &[0, 0]);
        assert_eq!(broadcast.listed(), 8_000_000);
        assert_eq!(broadcast.touched(1), Some(vec![Span::new(1000, 1008)]));
        assert_eq!(layout(&[0, 5], &[40, 8]).touched(0), Some(vec![]));
        assert_eq!(layout(&[100], &[16]).touched(99), None);
    }

    /// Every byte of every item, the slow and obvious way.
    fn touched_bytes(layout: &Layout) -> Vec<usize> {
        let mut starts = vec![layout.address];
        for (&count, &stride) in layout.shape.iter().zip(&layout.strides) {
            let index = |at: usize| {
                (0..count).map(move |index| at.wrapping_add_signed(index.cast_signed() * stride))
            };
            starts = starts.into_iter().flat_map(index).collect();
        }
        let mut bytes: Vec<usize> = starts
            .into_iter()
            .flat_map(|at| at..at + layout.item)
            .collect();
        bytes.sort_unstable();
        bytes.dedup();
        bytes
    }

    fn any_layout() -> impl Strategy<Value = Layout> {
        let axis = (0usize..5, -40isize..40);
        (prop::collection::vec(axis, 0..4), 1usize..9).prop_map(|(axes, item)| Layout {
            address: 10_000,
            shape: axes.iter().map(|axis| axis.0).collect(),
            strides: axes.iter().map(|axis| axis.1).collect(),
            item,
        })
    }

    proptest! {
        #[test]
        fn touched_spans_are_the_bytes_of_the_items(layout in any_layout()) {
            let expected = touched_bytes(&layout);
            let spans = layout.touched(usize::MAX).unwrap();
            let bytes: Vec<usize> = spans.iter().flat_map(|span| span.start..span.end).collect();
            prop_assert_eq!(&bytes, &expected);
            if let (Some(first), Some(last)) = (expected.first(), expected.last()) {
                prop_assert_eq!(layout.bounds(), Span::new(*first, last + 1));
            }
        }

        #[test]
        fn dense_layouts_touch_each_byte_once(layout in any_layout()) {
            if layout.is_dense() && layout.listed() > 0 {
                prop_assert_eq!(touched_bytes(&layout).len(), layout.listed());
                prop_assert_eq!(layout.touched(usize::MAX).unwrap(), vec![layout.bounds()]);
            }
        }

        #[test]
        fn union_keeps_the_bytes_and_orders_the_spans(ends in prop::collection::vec((0usize..60, 0usize..60), 0..12)) {
            let spans: Vec<Span> = ends.iter().map(|&(start, end)| Span::new(start, end)).collect();
            let merged = union(spans.clone());
            for address in 0..60 {
                let before = spans.iter().any(|span| span.contains(address));
                prop_assert_eq!(merged.iter().any(|span| span.contains(address)), before);
            }
            prop_assert!(merged.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
