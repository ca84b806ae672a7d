//! What the operating system says about the memory of a buffer: the mapping, and with `--pages` how it is backed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use diaphane_sight::linker::link_map;
use diaphane_sight::proc::maps::{MappingKind, Maps, Region};
use diaphane_sight::proc::pages;
use diaphane_sight::proc::pages::{Backing, Pages};
use diaphane_sight::proc::spans::Span;

/// The memory of this process, read once for all rows.
pub(super) struct MemoryMap {
    maps: Maps,
    images: Vec<(Span, String)>,
    /// What was found out about a region, by its start.
    known: HashMap<usize, Arc<str>>,
    pages: Option<Pages>,
    only_node: Option<usize>,
    limits: Vec<String>,
}

/// How a buffer is backed, as far as it is known.
#[derive(Default, Clone)]
pub(super) struct Backed {
    pub backing: Option<Backing>,
    pub nodes: Option<Vec<usize>>,
}

impl MemoryMap {
    /// Reads the mappings of some addresses, and opens the table of pages if it is wanted.
    pub fn read(addresses: Vec<usize>, with_pages: bool) -> Result<Self, diaphane_sight::Error> {
        let mut limits = Vec::new();
        let pages = match with_pages.then(Pages::open) {
            Some(Ok(pages)) => Some(pages),
            Some(Err(error)) => {
                limits.push(format!(
                    "/proc/self/pagemap cannot be opened ({error}): what is present or huge is not known"
                ));
                None
            }
            None => None,
        };
        if pages.as_ref().is_some_and(|pages| !pages.knows_huge()) {
            limits.push("no PAGEMAP_SCAN on this kernel (before Linux 6.7): which pages are huge is not known".into());
        }
        let images = link_map::entries()
            .into_iter()
            .map(|entry| (entry.image.span(), entry.name))
            .collect();
        Ok(Self {
            maps: Maps::around(addresses)?,
            images,
            known: HashMap::new(),
            pages,
            only_node: with_pages.then(pages::only_node).flatten(),
            limits,
        })
    }

    /// What could not be asked.
    pub fn limits(self) -> Vec<String> {
        self.limits
    }

    /// What an address belongs to.
    pub fn mapping(&mut self, address: usize) -> Option<Arc<str>> {
        let span = self.maps.find(address)?.span;
        if let Some(known) = self.known.get(&span.start) {
            return Some(Arc::clone(known));
        }
        let text: Arc<str> = self.describe(address)?.into();
        // The zeroed data of a library may have grown together with anonymous memory beside it.
        if !self.images.iter().any(|(image, _)| image.overlaps(span)) {
            self.known.insert(span.start, Arc::clone(&text));
        }
        Some(text)
    }

    fn describe(&self, address: usize) -> Option<String> {
        let region = self.maps.find(address)?;
        if let Some(library) = self.library(address) {
            return Some(format!("data of {library}"));
        }
        let name = match region.kind() {
            MappingKind::Heap => "heap",
            MappingKind::Stack => "stack",
            MappingKind::Anonymous => "anonymous",
            MappingKind::File | MappingKind::Special => region.name.as_deref().unwrap_or_default(),
        };
        Some(match (region.perms.ends_with('s'), is_shm(region)) {
            (true, true) => format!("{name} (shared memory)"),
            (true, false) => format!("{name} (shared)"),
            (false, _) => name.to_owned(),
        })
    }

    /// The loaded library whose code or data lies at an address.
    fn library(&self, address: usize) -> Option<String> {
        let image = self
            .images
            .iter()
            .find(|(span, _)| span.contains(address))?;
        let path = match image.1.as_str() {
            "" => std::env::current_exe().ok()?,
            name => Path::new(name).to_owned(),
        };
        Some(path.file_name()?.to_string_lossy().into_owned())
    }

    /// How a range is backed; nothing without `--pages`.
    pub fn backed(&mut self, span: Span) -> Backed {
        let Some(pages) = &self.pages else {
            return Backed::default();
        };
        let backing = match pages.of(span) {
            Ok(backing) => Some(backing),
            Err(error) => {
                self.limit(format!("the table of pages could not be read: {error}"));
                None
            }
        };
        let is_absent = backing.is_some_and(|backing| backing.present == 0);
        let nodes = match self.only_node {
            _ if is_absent => Some(Vec::new()),
            Some(only) => backing.map(|_| vec![only]),
            None => self.nodes(span),
        };
        Backed { backing, nodes }
    }

    fn nodes(&mut self, span: Span) -> Option<Vec<usize>> {
        match pages::nodes(span) {
            Ok((nodes, true)) => Some(nodes),
            Ok((nodes, false)) => {
                self.limit("NUMA nodes of large buffers are those of 4096 of their pages".into());
                Some(nodes)
            }
            Err(error) => {
                self.limit(format!(
                    "move_pages, which tells NUMA nodes, is refused here: {error}"
                ));
                None
            }
        }
    }

    fn limit(&mut self, limit: String) {
        if !self.limits.contains(&limit) {
            self.limits.push(limit);
        }
    }
}

/// Memory that processes share by a name: POSIX, System V and memfd.
fn is_shm(region: &Region) -> bool {
    let name = region.name.as_deref().unwrap_or_default();
    ["/dev/shm/", "/memfd:", "/SYSV"]
        .iter()
        .any(|start| name.starts_with(start))
}
