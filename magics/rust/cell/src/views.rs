//! Arrays of any rank and strides as views of `ndarray`.

use ndarray::{ArrayView, ArrayViewMut, Axis, Dimension, ShapeBuilder};

use crate::abi::Arg;
use crate::{Cell, Element};

impl Cell<'_> {
    /// An array to read.
    ///
    /// # Safety
    ///
    /// The value must be an aligned array of this type and rank, which nobody writes to.
    #[must_use]
    pub unsafe fn view<T: Element, D: Dimension>(&self, number: u32) -> ArrayView<'_, T, D> {
        let layout: Layout<T, D> = Layout::of(self.arg(number));
        // SAFETY: the caller says so; the layout spans the array's own items.
        let mut view = unsafe {
            ArrayView::from_shape_ptr(layout.shape.strides(layout.strides), layout.first)
        };
        for axis in layout.turned {
            view.invert_axis(Axis(axis));
        }
        view
    }

    /// An array to write to.
    ///
    /// # Safety
    ///
    /// The value must be an aligned array of this type and rank, whose items lie apart and which nobody else uses; it may
    /// be asked for once.
    #[must_use]
    pub unsafe fn view_mut<T: Element, D: Dimension>(&self, number: u32) -> ArrayViewMut<'_, T, D> {
        let layout: Layout<T, D> = Layout::of(self.arg(number));
        // SAFETY: the caller says so; the layout spans the array's own items.
        let mut view = unsafe {
            ArrayViewMut::from_shape_ptr(layout.shape.strides(layout.strides), layout.first)
        };
        for axis in layout.turned {
            view.invert_axis(Axis(axis));
        }
        view
    }
}

/// An array as `ndarray` wants it: strides count items and are not negative, so axes that run backwards begin at their
/// other end and are turned around afterwards.
struct Layout<T, D> {
    first: *mut T,
    shape: D,
    strides: D,
    turned: Vec<usize>,
}

impl<T, D: Dimension> Layout<T, D> {
    fn of(arg: &Arg) -> Self {
        let rank = arg.ndim as usize;
        let mut shape = D::zeros(rank);
        let mut strides = D::zeros(rank);
        let mut turned = Vec::new();
        let mut first = arg.data.cast::<T>();
        for axis in 0..rank {
            // SAFETY: there are so many numbers as dimensions.
            let (len, bytes) = unsafe { (*arg.shape.add(axis), *arg.strides.add(axis)) };
            let items = bytes / size_of::<T>().cast_signed();
            shape[axis] = len;
            strides[axis] = items.unsigned_abs();
            if items < 0 {
                turned.push(axis);
                first = first.wrapping_offset(items * len.saturating_sub(1).cast_signed());
            }
        }
        Self {
            first,
            shape,
            strides,
            turned,
        }
    }
}
