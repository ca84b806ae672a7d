//! Which array's memory an address belonged to at one moment of a recording.
//!
//! Addresses are used again, so what was allocated and freed meanwhile is followed in the order of time.

use std::collections::{BTreeMap, HashMap};

use diaphane_sight::proc::spans::Span;

use super::snapshot::{ArraySnapshot, View};
use crate::recording::signatures::MemoryArgument;

/// Memory from its allocation to its end.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub span: Span,
    /// Whether it was there before the cell.
    pub is_old: bool,
    /// Whether it was there after the cell.
    pub is_kept: bool,
    /// The names by which the user reaches it, before or after the cell.
    pub views: Vec<View>,
    /// Whether a function that is known has written into it.
    pub is_written: bool,
}

/// What an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemoryOwner {
    /// The memory of an array, by its number.
    Life(usize),
    /// Other memory, into which that of an array was copied.
    Copy(usize),
    /// Something else.
    Nobody,
}

/// All memory of arrays that is known, and what of it is alive.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    all: Vec<Life>,
    /// The numbers of the living ones by their addresses.
    alive: BTreeMap<usize, usize>,
    /// Where copies of them begin in other memory.
    copies: HashMap<usize, usize>,
}

impl Lives {
    /// What was there before the cell.
    pub fn before(snapshot: &ArraySnapshot) -> Self {
        let mut lives = Self::default();
        let mut views: Vec<&View> = snapshot.views.iter().collect();
        views.retain(|view| !view.owner.is_empty());
        // The whole comes before its parts.
        views.sort_by_key(|view| (view.owner.start, usize::MAX - view.owner.end));
        for view in views {
            let number = match lives.at(view.owner.start) {
                Some(number) => number,
                None => lives.begin(view.owner, true),
            };
            lives.all[number].views.push(view.clone());
        }
        lives
    }

    /// Memory was allocated.
    pub fn allocated(&mut self, address: usize, bytes: usize) {
        if address != 0 {
            self.begin(Span::new(address, address.saturating_add(bytes)), false);
        }
    }

    /// Memory is free.
    pub fn freed(&mut self, address: usize) {
        // How much ends there is not known, if it was no array's.
        if self.alive.remove(&address).is_none() {
            self.copies.clear();
        }
    }

    /// Memory was copied to an address.
    pub fn copied(&mut self, from: MemoryOwner, to: usize) {
        match from {
            MemoryOwner::Life(number) if self.at(to).is_none() => self.copies.insert(to, number),
            _ => self.copies.remove(&to),
        };
    }

    /// What memory belongs to now.
    pub fn owner(&self, memory: &MemoryArgument) -> MemoryOwner {
        match (self.at(memory.address), self.copies.get(&memory.address)) {
            (Some(number), _) => MemoryOwner::Life(number),
            (None, Some(&number)) => MemoryOwner::Copy(number),
            (None, None) => MemoryOwner::Nobody,
        }
    }

    /// Which memory an address lies in now.
    pub fn at(&self, address: usize) -> Option<usize> {
        let (_, &number) = self.alive.range(..=address).next_back()?;
        self.all[number].span.contains(address).then_some(number)
    }

    /// Something writes there.
    pub fn written(&mut self, number: usize) {
        self.all[number].is_written = true;
    }

    /// What was there after the cell, which gives names to what was allocated in it.
    pub fn after(mut self, snapshot: &ArraySnapshot) -> Vec<Life> {
        for &number in self.alive.values() {
            self.all[number].is_kept = true;
        }
        for view in &snapshot.views {
            if let Some(number) = self.at(view.owner.start) {
                let life = &mut self.all[number];
                let is_known = life.views.iter().any(|known| known.name == view.name);
                if !is_known {
                    life.views.push(view.clone());
                }
            }
        }
        self.all
    }

    fn begin(&mut self, span: Span, is_old: bool) -> usize {
        let number = self.all.len();
        self.all.push(Life {
            span,
            is_old,
            is_kept: false,
            views: Vec::new(),
            is_written: false,
        });
        // What lay there must have ended, even if that was not seen.
        let gone: Vec<usize> = self
            .alive
            .range(..span.end.max(span.start + 1))
            .rev()
            .take_while(|(_, number)| self.all[**number].span.end > span.start)
            .map(|(&start, _)| start)
            .collect();
        for start in gone {
            self.alive.remove(&start);
        }
        self.alive.insert(span.start, number);
        number
    }
}

impl MemoryOwner {
    /// The memory of an array that it is.
    pub fn life(self, lives: &[Life]) -> Option<&Life> {
        match self {
            Self::Life(number) => lives.get(number),
            _ => None,
        }
    }

    /// The memory of an array that it is a copy of.
    pub fn copied(self, lives: &[Life]) -> Option<&Life> {
        match self {
            Self::Copy(number) => lives.get(number),
            _ => None,
        }
    }
}

impl Life {
    /// What to call the whole.
    pub fn title(&self) -> String {
        let whole = self.name(self.span.start, self.span.len());
        match whole {
            Some((view, _)) => view.name.clone(),
            None => "a temporary".into(),
        }
    }

    /// The name for a part of it that begins at an address and reaches so far.
    pub fn name(&self, address: usize, span: usize) -> Option<(&View, bool)> {
        let starts = |view: &&View| view.layout.address == address || view.span.start == address;
        let is_whole = |view: &&View| starts(view) && view.span.len() == span;
        let find = |is_right: &dyn Fn(&&View) -> bool| {
            let mut named = self.views.iter().filter(|view| view.is_named);
            let first = named.find(|view| is_right(view));
            first.or_else(|| self.views.iter().find(|view| is_right(view)))
        };
        let whole = find(&is_whole).map(|view| (view, true));
        let covers = |view: &&View| view.span.contains(address);
        whole
            .or_else(|| find(&starts).map(|view| (view, false)))
            .or_else(|| find(&covers).map(|view| (view, false)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_whoever_lives_there() {
        let mut lives = Lives::default();
        lives.allocated(1000, 100);
        lives.allocated(2000, 0);
        assert_eq!(lives.at(1099), Some(0));
        assert_eq!(lives.at(1100), None);
        assert_eq!(lives.at(2000), None);
        lives.freed(1000);
        assert_eq!(lives.at(1000), None);
        lives.allocated(1000, 10);
        lives.written(2);
        assert_eq!(lives.at(1005), Some(2));
        // What lay there has ended without being seen.
        lives.allocated(900, 300);
        assert_eq!(lives.at(1005), Some(3));
        let all = lives.after(&ArraySnapshot::default());
        let kept: Vec<bool> = all.iter().map(|life| life.is_kept).collect();
        assert_eq!(kept, [false, true, false, true]);
        assert!(all[2].is_written && !all[3].is_written);
    }
}
