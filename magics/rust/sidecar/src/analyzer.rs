//! What rust-analyzer knows about a source: the same library that evcxr has, with the sources of dependencies, and with
//! those of the standard library where the user has them. Nothing is downloaded for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use diaphane_rust_protocol::Completion;
use ra_ap_base_db::SourceRoot;
use ra_ap_hir::{ChangeWithProcMacros, PrefixKind};
use ra_ap_ide::{
    AnalysisHost, CompletionConfig, CompletionFieldsToResolve, CompletionItem, CompletionItemKind,
    FilePosition, FileRange, HoverConfig, HoverDocFormat, RaFixtureConfig, SubstTyLen,
};
use ra_ap_ide_db::imports::insert_use::{ImportGranularity, InsertUseConfig};
use ra_ap_ide_db::{FxHashMap, SymbolKind};
use ra_ap_paths::{AbsPathBuf, Utf8PathBuf};
use ra_ap_project_model::{CargoConfig, ProjectManifest, ProjectWorkspace, RustLibSource};
use ra_ap_syntax::{TextRange, TextSize};
use ra_ap_vfs::file_set::FileSetConfig;
use ra_ap_vfs::{Change, FileId, Vfs, VfsPath};

/// So many completions are told.
const MOST: usize = 500;

/// A crate that is analysed, of one source file.
pub struct Analyzer {
    host: AnalysisHost,
    source: FileId,
    text: String,
}

impl Analyzer {
    /// Reads all that the crate in a folder depends on.
    pub fn load(folder: &Path, sysroot: &Path, library: &Path) -> Result<Self> {
        let manifest = ProjectManifest::from_manifest_file(absolute(&folder.join("Cargo.toml"))?)?;
        let config = CargoConfig {
            // With both paths it looks for neither, and asks rustup for nothing.
            sysroot: Some(RustLibSource::Path(absolute(sysroot)?)),
            sysroot_src: Some(absolute(library)?),
            ..CargoConfig::default()
        };
        let workspace = ProjectWorkspace::load(manifest, &config, &|_| {})?;
        let mut files = Vfs::default();
        for root in workspace.to_roots() {
            for folder in &root.include {
                read(&mut files, folder.as_ref(), &root.exclude);
            }
        }
        let source: VfsPath = absolute(&folder.join("src/lib.rs"))?.into();
        let (source, _) = files
            .file_id(&source)
            .ok_or_else(|| anyhow!("the crate has no source"))?;
        let mut change = ChangeWithProcMacros::default();
        for (id, file) in files.take_changes() {
            if let Change::Create(text, _) | Change::Modify(text, _) = file.change {
                change.change_file(id, String::from_utf8(text).ok());
            }
        }
        let sets = FileSetConfig::default().partition(&files);
        change.set_roots(sets.into_iter().map(SourceRoot::new_local).collect());
        let mut find = |path: &ra_ap_paths::AbsPath| {
            let path: VfsPath = path.to_path_buf().into();
            files.file_id(&path).map(|(id, _)| id)
        };
        let (crates, _) = workspace.to_crate_graph(&mut find, &FxHashMap::default());
        change.set_crate_graph(crates);
        let mut host = AnalysisHost::default();
        host.apply_change(change);
        Ok(Self {
            host,
            source,
            text: String::new(),
        })
    }

    /// Takes another source.
    pub fn set(&mut self, text: &str) {
        let mut change = ChangeWithProcMacros::default();
        change.change_file(self.source, Some(text.to_owned()));
        self.host.apply_change(change);
        text.clone_into(&mut self.text);
    }

    /// What could stand at a byte, and the bytes that it replaces.
    pub fn complete(&self, at: usize) -> (std::ops::Range<usize>, Vec<Completion>) {
        let position = FilePosition {
            file_id: self.source,
            offset: TextSize::new(at as u32),
        };
        let found = self
            .host
            .analysis()
            .completions(&completion_config(), position, None);
        let mut items = found.ok().flatten().unwrap_or_default();
        let start = items
            .iter()
            .map(|item| usize::from(item.source_range.start()))
            .min()
            .unwrap_or(at);
        let typed = self.text.get(start..at).unwrap_or_default();
        items.retain(|item| usize::from(item.source_range.start()) == start);
        items.retain(|item| item.lookup().starts_with(typed) && !is_ours(item.lookup()));
        items.sort_by_key(|item| std::cmp::Reverse(item.relevance.score()));
        let items = items.iter().filter_map(completion).take(MOST);
        (start..at, items.collect())
    }

    /// What stands at a byte, as plain text and as Markdown.
    pub fn explain(&self, at: usize) -> Option<(String, String)> {
        let at = TextSize::new(at as u32);
        let range = FileRange {
            file_id: self.source,
            range: TextRange::new(at, at),
        };
        let tell = |format| {
            let config = hover_config(format);
            let found = self.host.analysis().hover(&config, range).ok().flatten()?;
            Some(String::from(found.info.markup))
        };
        Some((
            tell(HoverDocFormat::PlainText)?,
            tell(HoverDocFormat::Markdown)?,
        ))
    }
}

/// Names of the source around the cell.
fn is_ours(name: &str) -> bool {
    name.starts_with("__") || name.starts_with("diaphane_main") || name.starts_with("diaphane_def_")
}

fn absolute(path: &Path) -> Result<AbsPathBuf> {
    let path = Utf8PathBuf::from_path_buf(path.to_owned())
        .map_err(|path| anyhow!("{} is no Unicode", path.display()))?;
    AbsPathBuf::try_from(path).map_err(|path| anyhow!("{path} is not absolute"))
}

/// Reads the sources in a folder. What cannot be read is not known.
fn read(files: &mut Vfs, folder: &Path, exclude: &[AbsPathBuf]) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    for path in paths {
        if exclude.iter().any(|one| AsRef::<Path>::as_ref(one) == path) {
            continue;
        }
        if path.is_dir() {
            read(files, &path, exclude);
        } else if path.extension().is_some_and(|kind| kind == "rs")
            && let (Ok(name), Ok(text)) = (absolute(&path), fs::read(&path))
        {
            files.set_file_contents(name.into(), Some(text));
        }
    }
}

fn completion(item: &CompletionItem) -> Option<Completion> {
    let mut edits = item.text_edit.iter();
    let edit = edits.next().filter(|_| edits.len() == 0)?;
    Some(Completion {
        text: edit.insert.clone(),
        kind: kind(item.kind).to_owned(),
        signature: item.detail.clone().unwrap_or_default(),
    })
}

/// What a completion is, in the words of front ends.
fn kind(kind: CompletionItemKind) -> &'static str {
    use CompletionItemKind as Kind;
    match kind {
        Kind::Keyword => "keyword",
        Kind::BuiltinType => "class",
        Kind::SymbolKind(symbol) => match symbol {
            SymbolKind::Function | SymbolKind::Method | SymbolKind::Macro => "function",
            SymbolKind::Struct
            | SymbolKind::Enum
            | SymbolKind::Union
            | SymbolKind::Trait
            | SymbolKind::TypeAlias
            | SymbolKind::TypeParam => "class",
            SymbolKind::Module | SymbolKind::CrateRoot => "module",
            _ => "instance",
        },
        _ => "instance",
    }
}

fn fixture() -> RaFixtureConfig<'static> {
    RaFixtureConfig::default()
}

fn completion_config() -> CompletionConfig<'static> {
    CompletionConfig {
        enable_postfix_completions: false,
        enable_imports_on_the_fly: false,
        enable_self_on_the_fly: true,
        enable_auto_iter: false,
        enable_auto_await: false,
        enable_private_editable: false,
        enable_term_search: false,
        term_search_fuel: 0,
        full_function_signatures: true,
        // A front end inserts the text as it is, so there is nothing to be filled in.
        callable: None,
        add_colons_to_module: false,
        add_semicolon_to_unit: false,
        snippet_cap: None,
        insert_use: InsertUseConfig {
            granularity: ImportGranularity::Item,
            enforce_granularity: false,
            prefix_kind: PrefixKind::ByCrate,
            group: false,
            skip_glob_imports: false,
        },
        prefer_no_std: false,
        prefer_prelude: true,
        prefer_absolute: false,
        snippets: Vec::new(),
        limit: None,
        fields_to_resolve: CompletionFieldsToResolve::empty(),
        exclude_flyimport: Vec::new(),
        exclude_traits: &[],
        ra_fixture: fixture(),
    }
}

fn hover_config(format: HoverDocFormat) -> HoverConfig<'static> {
    HoverConfig {
        links_in_hover: false,
        memory_layout: None,
        documentation: true,
        keywords: true,
        format,
        max_trait_assoc_items_count: None,
        max_fields_count: Some(8),
        max_enum_variants_count: Some(8),
        max_subst_ty_len: SubstTyLen::Unlimited,
        show_drop_glue: false,
        ra_fixture: fixture(),
    }
}
