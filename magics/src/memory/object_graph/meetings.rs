//! Which objects a walk meets again from other roots: what several hold is not given back when one of them lets go of it.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use super::{Root, roots};

/// Objects that are no node and smaller than this are not told apart from what holds them.
const LARGE: usize = 4096;

/// What a root and another one hold.
#[derive(Debug, Default)]
pub(crate) struct HeldTogether {
    /// The sizes of its objects.
    pub bytes: usize,
    /// Those of them that export memory, as places in the census's list.
    pub exporters: Vec<usize>,
}

/// A node of the walk, or a large object that is none.
struct MetObject {
    root: usize,
    node: Option<usize>,
    parent: Option<usize>,
    bytes: usize,
    others: BTreeSet<usize>,
}

/// The objects that variables hold, in the order in which they were seen, and who met them again.
pub(super) struct Meetings {
    /// Whether a root is a variable, or what Python and IPython keep; and whether it has a name at all.
    is_kept: Vec<bool>,
    is_named: Vec<bool>,
    placed: Vec<MetObject>,
    by_address: FxHashMap<usize, usize>,
    by_node: FxHashMap<usize, usize>,
}

impl Meetings {
    pub fn of(roots: &[Root<'_>]) -> Self {
        let is_kept = |(name, _): &Root<'_>| roots::stage(name) == 0;
        Self {
            is_kept: roots.iter().map(is_kept).collect(),
            is_named: roots.iter().map(|(name, _)| !name.is_empty()).collect(),
            placed: Vec::new(),
            by_address: FxHashMap::default(),
            by_node: FxHashMap::default(),
        }
    }

    pub fn place(
        &mut self,
        address: usize,
        (root, node, parent): (usize, Option<usize>, Option<usize>),
        bytes: usize,
    ) {
        if !self.is_kept[root] {
            return;
        }
        let parent = parent.and_then(|parent| self.by_node.get(&parent).copied());
        if let (None, Some(parent), 0..LARGE) = (node, parent, bytes) {
            self.placed[parent].bytes += bytes;
            return;
        }
        let place = self.placed.len();
        self.by_address.insert(address, place);
        self.by_node.extend(node.map(|node| (node, place)));
        self.placed.push(MetObject {
            root,
            node,
            parent,
            bytes,
            others: BTreeSet::new(),
        });
    }

    pub fn meet(&mut self, address: usize, root: usize) {
        let Some(&place) = self.by_address.get(&address) else {
            return;
        };
        let placed = &mut self.placed[place];
        if self.is_named[root] && placed.root != root {
            placed.others.insert(root);
        }
    }

    /// What is shared, by the root that it counts for and the other one; `found` are the nodes that export memory.
    pub fn shared(mut self, found: &[usize]) -> BTreeMap<(usize, usize), HeldTogether> {
        let exporters = found.iter().enumerate();
        let exporters: FxHashMap<usize, usize> =
            exporters.map(|(place, node)| (*node, place)).collect();
        let mut shared: BTreeMap<(usize, usize), HeldTogether> = BTreeMap::new();
        for place in 0..self.placed.len() {
            // What a shared object holds is shared too, and was seen after it.
            let inherited = self.placed[place].parent;
            let inherited = inherited.map(|parent| self.placed[parent].others.clone());
            let placed = &mut self.placed[place];
            placed.others.extend(inherited.unwrap_or_default());
            placed.others.remove(&placed.root);
            let exporter = placed.node.and_then(|node| exporters.get(&node));
            for &other in &placed.others {
                let sum = shared.entry((placed.root, other)).or_default();
                sum.bytes += placed.bytes;
                sum.exporters.extend(exporter);
            }
        }
        shared
    }
}
