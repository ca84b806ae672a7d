//! What was found about addresses, remembered for as long as their library is loaded: who looks at stacks again and again
//! meets the same addresses, and a name or a line takes a walk through tables of megabytes.
//!
//! An image is made anew after anything was unloaded, so what is remembered of one is never told of another that was
//! loaded at its place.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::elf::image::Image;

/// Of no more addresses something is remembered. With names of some 100 bytes that is less than 4 MB.
const MOST: usize = 1 << 14;

/// Facts by address, of each image.
pub(super) struct Remembered<T> {
    images: HashMap<usize, (Weak<Image>, HashMap<usize, T>)>,
    count: usize,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self {
            images: HashMap::new(),
            count: 0,
        }
    }
}

impl<T: Clone> Remembered<T> {
    /// What is known of an address.
    pub(super) fn get(&self, image: &Arc<Image>, address: usize) -> Option<T> {
        let (owner, facts) = self.images.get(&image.bias())?;
        let is_its = std::ptr::eq(owner.as_ptr(), Arc::as_ptr(image));
        is_its.then(|| facts.get(&address).cloned()).flatten()
    }

    /// Remembers what was found.
    pub(super) fn keep(&mut self, image: &Arc<Image>, address: usize, fact: T) {
        if self.count >= MOST {
            self.images.clear();
            self.count = 0;
        }
        let is_its =
            |(owner, _): &(Weak<Image>, _)| std::ptr::eq(owner.as_ptr(), Arc::as_ptr(image));
        if !self.images.get(&image.bias()).is_some_and(is_its) {
            self.images.retain(|_, (owner, _)| owner.strong_count() > 0);
            let facts = (Arc::downgrade(image), HashMap::new());
            self.images.insert(image.bias(), facts);
        }
        if let Some((_, facts)) = self.images.get_mut(&image.bias()) {
            facts.insert(address, fact);
        }
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linker::libraries;

    #[test]
    fn another_image_at_the_same_place_is_another_one() {
        let image = Arc::clone(&libraries::now().unwrap()[0].image);
        let other = Arc::new(Image::clone(&image));
        let mut facts = Remembered::default();
        facts.keep(&image, 7, "one");
        assert_eq!(
            (facts.get(&image, 7), facts.get(&image, 8)),
            (Some("one"), None)
        );
        assert_eq!(facts.get(&other, 7), None);
        facts.keep(&other, 7, "two");
        assert_eq!(
            (facts.get(&image, 7), facts.get(&other, 7)),
            (None, Some("two"))
        );
        for address in 0..=MOST {
            facts.keep(&other, address, "many");
        }
        let known = (0..=MOST).filter(|address| facts.get(&other, *address).is_some());
        assert!(known.count() <= MOST);
    }
}
