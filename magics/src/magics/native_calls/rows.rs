//! Turns trees into a report: rows, tables by function and by library, the division of time, and what was not seen.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use diaphane_sight::linker::libraries;
use diaphane_sight::proc::tasks;
use diaphane_trace::event::Log;
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde_json::json;

use super::NativeCallsArgs;
use super::arguments::Told;
use super::builder::build;
use super::code::{Codes, Part};
use super::costs::Costs;
use super::labels::Label;
use super::record::Recorded;
use super::sums::{Sum, summary};
use super::tree::{CallNode, FunctionRole, NodeKind, Tree};
use crate::error::Error;
use crate::magic::{RecordedCode, User, Way};
use crate::stacks::authors::serves_programs;
use diaphane_cpython::events::{Known, Places};
use diaphane_report::{Report, fields, rows};

/// Calls below so many others have no row of their own, unless `--depth` asks for them: what recurses has no end.
pub(super) const DEEPEST: usize = 1000;
/// No more places of a thread's tree have a row.
pub(super) const MOST_ROWS: usize = 5000;
/// Callers that took less than this part of their parent's time stand together on one row.
const SMALL: u64 = 20;

/// One row of the tree.
#[derive(Debug, Serialize)]
pub(super) struct CallRow {
    id: usize,
    parent: Option<usize>,
    depth: usize,
    func: String,
    lib: Option<String>,
    via: &'static str,
    place: Option<String>,
    calls: Option<u64>,
    total_ns: Option<u64>,
    self_ns: Option<u64>,
    thread: i32,
    helpers: Option<String>,
    #[serde(flatten)]
    told: Told,
}

/// The whole report.
pub(super) fn report(
    user: User<'_, '_>,
    code: &RecordedCode,
    recorded: &Recorded,
    args: &NativeCallsArgs,
) -> Result<Report, Error> {
    let known = &recorded.known;
    let roles = roles(known, &code.file.bind(user.py).to_string());
    let libraries = libraries::now()?;
    let mut codes = Codes::new(libraries, recorded, roles);
    let own = nix::unistd::gettid().as_raw();
    let is_module = matches!(code.way, Way::Module { .. });
    let mut trees: Vec<(&Log, Tree)> = Vec::new();
    for log in &recorded.recording.logs {
        let tree = build(log, log.tid == own && is_module, &mut codes);
        if !tree.nodes.is_empty() {
            trees.push((log, tree));
        }
    }
    // The cell's own thread comes first.
    trees.sort_by_key(|(log, tree)| (log.tid != own, tree.nodes[0].first));
    let mut writer = Writer {
        user,
        recorded,
        places: Places::of(user.py, known)?,
        codes,
        all: args.all,
        depth: args.depth.unwrap_or(DEEPEST),
        limit: args.limit,
        is_cut: false,
        left_out: 0,
        rows: Vec::new(),
        labels: FxHashMap::default(),
        kinds: FxHashMap::default(),
    };
    for (log, tree) in &trees {
        writer.thread(log, tree, log.tid == own)?;
    }
    writer.report(&trees)
}

/// What each Python function is to the cell.
fn roles(known: &Known, cell: &str) -> Vec<FunctionRole> {
    let role = |code: &diaphane_cpython::events::CodeObject| {
        let is_display =
            code.file.ends_with("displayhook.py") && code.function.ends_with(".__call__");
        match code.function.as_str() {
            "<module>" if code.file == cell => FunctionRole::Cell,
            _ if is_display => FunctionRole::Display,
            _ if serves_programs(&code.file) => FunctionRole::Ours,
            _ => FunctionRole::Function,
        }
    };
    known.codes.iter().map(role).collect()
}

/// What gets a row.
enum RowSource {
    /// A node.
    One(usize),
    /// Callers in a library that did little.
    Together(Option<usize>, Vec<usize>),
}

pub(super) struct Writer<'a, 'py> {
    pub user: User<'a, 'py>,
    pub recorded: &'a Recorded,
    pub places: Places<'a, 'py>,
    pub codes: Codes,
    pub all: bool,
    pub depth: usize,
    /// How many events each thread may write, if the user says so.
    pub limit: Option<usize>,
    /// Whether there is something below those.
    pub is_cut: bool,
    /// How many nodes have no rows, since they took less than others.
    pub left_out: usize,
    pub rows: Vec<CallRow>,
    /// What nodes are called; many are of one kind.
    pub labels: FxHashMap<NodeKind, Rc<Label>>,
    pub kinds: FxHashMap<NodeKind, Sum>,
}

impl Writer<'_, '_> {
    fn thread(&mut self, log: &Log, tree: &Tree, is_own: bool) -> Result<(), Error> {
        let mut parent = None;
        if !is_own {
            let name = tasks::name(log.tid).unwrap_or_else(|| "ended".into());
            parent = Some(self.rows.len());
            let roots = tree.nodes.iter().filter(|node| node.parent.is_none());
            let total = roots.map(|node| node.total).sum();
            self.rows.push(CallRow {
                id: self.rows.len(),
                parent: None,
                depth: 0,
                func: format!("thread {} ({name})", log.tid),
                lib: None,
                via: "thread",
                place: None,
                calls: None,
                total_ns: Some(self.nanoseconds(total)),
                self_ns: None,
                thread: log.tid,
                helpers: None,
                told: Told::default(),
            });
        }
        // Who says how deep the rows shall go wants them all.
        let most = if self.depth == DEEPEST {
            MOST_ROWS
        } else {
            usize::MAX
        };
        let have_rows = tree.heaviest(most);
        self.left_out += have_rows.iter().filter(|has_row| !**has_row).count();
        for (index, node) in tree.nodes.iter().enumerate() {
            self.count(node);
            if node.parent.is_none() && have_rows[index] {
                let thread = ThreadTree {
                    log,
                    tree,
                    have_rows: &have_rows,
                };
                self.tree(&thread, index, parent, usize::from(!is_own))?;
            }
        }
        Ok(())
    }

    /// The rows of a call and of all below it. The way down is as long as the data makes it, so it takes no room on
    /// the stack.
    fn tree(
        &mut self,
        thread: &ThreadTree<'_>,
        root: usize,
        parent: Option<usize>,
        depth: usize,
    ) -> Result<(), Error> {
        let mut open = vec![(parent, depth, RowSource::One(root))];
        while let Some((parent, depth, step)) = open.pop() {
            if depth >= self.depth {
                self.is_cut = true;
                continue;
            }
            let id = self.rows.len();
            let below = match step {
                RowSource::One(index) => self.node(thread, index, parent, depth)?,
                RowSource::Together(library, members) => {
                    self.together(thread, parent, depth, library, &members)?;
                    Vec::new()
                }
            };
            let below = below.into_iter().rev();
            open.extend(below.map(|step| (Some(id), depth + 1, step)));
        }
        Ok(())
    }

    /// The row of one call; gives what stands below it, in order.
    fn node(
        &mut self,
        thread: &ThreadTree<'_>,
        index: usize,
        parent: Option<usize>,
        depth: usize,
    ) -> Result<Vec<RowSource>, Error> {
        let tree = thread.tree;
        let node = &tree.nodes[index];
        let label = self.label(node.kind)?;
        let (helpers, mut children) = self.divide(tree, node)?;
        children.retain(|&child| thread.have_rows[child]);
        let is_counted = matches!(
            node.kind,
            NodeKind::Python(_) | NodeKind::Callable(_) | NodeKind::Native(_)
        );
        self.rows.push(CallRow {
            id: self.rows.len(),
            parent,
            depth,
            func: label.func.clone(),
            lib: label.lib.clone(),
            via: label.via,
            place: label.place.clone(),
            calls: is_counted.then_some(node.calls),
            total_ns: Some(self.nanoseconds(node.total)),
            self_ns: Some(self.nanoseconds(node.own)),
            thread: thread.log.tid,
            helpers,
            told: self.told(thread.log, node),
        });
        let (single, together) = self.gather(tree, node, children);
        let single = single.into_iter().map(RowSource::One);
        let together = together.into_iter();
        let together = together.map(|(library, members)| RowSource::Together(library, members));
        Ok(single.chain(together).collect())
    }

    /// Callers that did little, by library; and the children that stand alone.
    fn gather(
        &self,
        tree: &Tree,
        node: &CallNode,
        children: Vec<usize>,
    ) -> (Vec<usize>, BTreeMap<Option<usize>, Vec<usize>>) {
        let mut together: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
        for &child in &children {
            let one = &tree.nodes[child];
            let NodeKind::Caller(start) = one.kind else {
                continue;
            };
            let is_leaf = one
                .children
                .iter()
                .all(|&below| self.serves(&tree.nodes[below]));
            if !self.all && is_leaf && one.total.saturating_mul(SMALL) < node.total {
                let library = self.codes.known.get(&start);
                let library = library.and_then(|function| function.library);
                together.entry(library).or_default().push(child);
            }
        }
        together.retain(|_, members| members.len() > 1);
        let gathered: HashSet<usize> = together.values().flatten().copied().collect();
        let is_single = |child: &usize| !gathered.contains(child);
        (children.into_iter().filter(is_single).collect(), together)
    }

    fn together(
        &mut self,
        thread: &ThreadTree<'_>,
        parent: Option<usize>,
        depth: usize,
        library: Option<usize>,
        members: &[usize],
    ) -> Result<(), Error> {
        let tree = thread.tree;
        let mut names = Vec::new();
        for &member in members {
            names.push(self.label(tree.nodes[member].kind)?.func.clone());
        }
        let total = members.iter().map(|&member| tree.nodes[member].total).sum();
        let lib = library.map(|library| self.codes.short(library));
        self.rows.push(CallRow {
            id: self.rows.len(),
            parent,
            depth,
            func: format!("{} other functions", members.len()),
            lib,
            via: "caller",
            place: None,
            calls: None,
            total_ns: Some(self.nanoseconds(total)),
            self_ns: None,
            thread: thread.log.tid,
            helpers: Some(names.join(", ")),
            told: Told::default(),
        });
        Ok(())
    }

    /// Whether a node is a call into the C library or Python's C interface that leads nowhere else.
    fn serves(&self, node: &CallNode) -> bool {
        let NodeKind::Native(address) = node.kind else {
            return false;
        };
        let library = self.codes.known.get(&address).and_then(|one| one.library);
        node.children.is_empty() && matches!(self.codes.part(library), Part::Python | Part::Runtime)
    }

    /// The calls that only serve, in words, and the children that are shown.
    fn divide(
        &mut self,
        tree: &Tree,
        node: &CallNode,
    ) -> Result<(Option<String>, Vec<usize>), Error> {
        if self.all {
            return Ok((None, node.children.clone()));
        }
        let mut shown = Vec::new();
        let mut helpers: Vec<(String, u64)> = Vec::new();
        for &child in &node.children {
            let one = &tree.nodes[child];
            if !self.serves(one) {
                shown.push(child);
                continue;
            }
            let label = self.label(one.kind)?;
            match helpers.iter_mut().find(|(name, _)| *name == label.func) {
                Some((_, calls)) => *calls += one.calls,
                None => helpers.push((label.func.clone(), one.calls)),
            }
        }
        helpers.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
        let words: Vec<String> = helpers
            .iter()
            .map(|(name, calls)| match calls {
                1 => name.clone(),
                calls => format!("{name} x{calls}"),
            })
            .collect();
        Ok(((!words.is_empty()).then(|| words.join(", ")), shown))
    }

    pub(super) fn nanoseconds(&self, ticks: u64) -> u64 {
        self.recorded.recording.scale.nanoseconds(ticks)
    }

    fn report(mut self, trees: &[(&Log, Tree)]) -> Result<Report, Error> {
        let recorded = self.recorded;
        let recording = &recorded.recording;
        let costs = Costs::of(recorded);
        let mut limits = recorded.limits.clone();
        let full = recording.logs.iter().filter(|log| log.lost > 0);
        limits.extend(full.map(|log| self.full(log)));
        limits.extend(self.too_deep());
        limits.extend(self.too_many());
        if recording.left_out > 0 {
            limits.push(format!(
                "{} threads could not take part",
                recording.left_out
            ));
        }
        let sums = self.sums()?;
        Ok(Report {
            name: "native_calls",
            columns: super::columns::COLUMNS,
            plain: Some(costs.plain(recorded)),
            lead: self.lead(&costs, trees),
            tables: sums.tables()?,
            bars: sums.bar().into_iter().collect(),
            diagnoses: self.findings(trees)?,
            summary: summary(recorded, trees.len(), &costs),
            facts: fields(json!({ "overhead": costs.fact(recorded) }))?,
            rows: rows(self.rows)?,
            tree: true,
            limits,
            ..Report::default()
        })
    }
}

/// The tree of a thread, and which of its nodes have rows.
struct ThreadTree<'a> {
    log: &'a Log,
    tree: &'a Tree,
    have_rows: &'a [bool],
}
