//! One session: what evcxr knows, which items and dependencies there are, and the way of a cell to a library.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use diaphane_rust_protocol::{
    Answer, Compile, Compiled, Form, Function, Kept as Variable, Lines, Status,
};
use evcxr::{Error, EvalContext};

use crate::code::{self, Code};
use crate::defs;
use crate::dependencies::{self, NDARRAY, Wanted, about_dependency, short, take_commands};
use crate::diagnosis::{self, Diagnosis};
use crate::items::{self, Divided, Kept};
use crate::kept;
use crate::look::{self, Session};
use crate::nesting;
use crate::report::{self, Source, Sources};
use crate::settings::Folders;
use crate::slot::Slot;
use crate::toolchain::Toolchain;

/// As evcxr optimizes by default.
const OPT_LEVEL: &str = "2";

/// A session.
pub struct Compiler {
    pub context: EvalContext,
    pub slot: Slot,
    pub folders: Folders,
    pub toolchain: Toolchain,
    items: Vec<Kept>,
    sources: Sources,
    dependencies: Vec<(String, String)>,
    with_views: bool,
    cells: u32,
}

impl Compiler {
    pub fn new(context: EvalContext, slot: Slot, folders: Folders, toolchain: Toolchain) -> Self {
        Self {
            context,
            slot,
            folders,
            toolchain,
            items: Vec::new(),
            sources: Sources::new(),
            dependencies: Vec::new(),
            with_views: false,
            cells: 0,
        }
    }

    /// Compiles a cell.
    pub fn compile(&mut self, mut cell: Compile) -> Answer {
        if nesting::is_too_deep(&cell.source) {
            return Answer::Refused {
                reason: format!(
                    "the cell may be nested {} levels deep, which no parser of Rust bears; divide it by `let` or `;`",
                    nesting::DEEPEST
                ),
            };
        }
        let started = Instant::now();
        let original = cell.clone();
        let wanted = match take_commands(&mut cell) {
            Ok(wanted) => wanted,
            Err((line, message)) => return failed(report::about_line(&message, line, &cell)),
        };
        let divided = items::divide(&cell.source, cell.cell, cell.lines_above);
        let functions = match exported(&cell, &divided.items) {
            Ok(functions) => functions,
            Err((line, message)) => return failed(report::about_line(&message, line, &cell)),
        };
        let all = items::merged(&self.items, &divided.items);
        let keeps = match self.variables(&mut cell, &divided, &all, &wanted) {
            Ok(keeps) => keeps,
            Err((line, message)) => return failed(report::about_line(&message, line, &original)),
        };
        let code = code::write(&cell, &all, &divided, &functions);
        let source = Source {
            text: cell.source.clone(),
            lines_above: cell.lines_above,
        };
        self.sources.insert(cell.cell, source);
        let outcome = self.build(&cell, &original, &code, &wanted);
        let mut answer = match outcome {
            Ok(warnings) => self.take_library(&cell, code, warnings, started),
            Err(answer) => answer,
        };
        if let Answer::Compiled(compiled) = &mut answer {
            let settled = items::settled(all);
            compiled.functions = functions;
            compiled.only_defines = divided.only_defines();
            (compiled.kept, compiled.keeps) = (cell.kept, keeps);
            compiled.items_changed = !wanted.is_empty() || !items::are_same(&self.items, &settled);
            self.items = settled;
            for dependency in wanted {
                self.dependencies
                    .retain(|(name, _)| *name != dependency.name);
                self.dependencies.push((dependency.name, dependency.config));
            }
        }
        let items = &self.items;
        self.sources
            .retain(|number, _| items.iter().any(|item| item.cell == *number));
        self.tell_session();
        answer
    }

    /// Tells the thread that looks around what later cells can use.
    fn tell_session(&self) {
        look::remember(Session {
            items: self.items.clone(),
            dependencies: dependencies::manifest(&self.folders.support, &self.dependencies),
            with_views: self.with_views,
        });
    }

    /// The variables that a cell keeps; of those that are kept already, only what the cell names stays in it.
    fn variables(
        &self,
        cell: &mut Compile,
        divided: &Divided,
        all: &[Kept],
        wanted: &[Wanted],
    ) -> Result<Vec<Variable>, kept::Wrong> {
        let items = items::settled(all.to_vec());
        let mut dependencies = self.dependencies.clone();
        let new = wanted
            .iter()
            .map(|one| (one.name.clone(), one.config.clone()));
        dependencies.retain(|(name, _)| !wanted.iter().any(|one| one.name == *name));
        dependencies.extend(new);
        cell.kept = kept::used(cell, &items, &dependencies)?;
        kept::keeps(cell, divided, &items, &dependencies)
    }

    /// Has evcxr build the source with all dependencies, and gives what rustc warns of.
    #[allow(clippy::result_large_err, reason = "it is made once for each build")]
    fn build(
        &mut self,
        cell: &Compile,
        original: &Compile,
        code: &Code,
        wanted: &[Wanted],
    ) -> Result<String, Answer> {
        let mut state = self.context.state();
        self.with_views |= cell
            .binds
            .iter()
            .any(|bind| matches!(bind.form, Form::View(_)))
            || ["ndarray", "ArrayView"]
                .iter()
                .any(|word| cell.source.contains(word));
        let path = self.folders.support.display();
        let refused = |error: Error| Answer::Refused {
            reason: short(&error.to_string()),
        };
        if self.with_views {
            let config = format!(
                "{{ path = {:?}, features = [\"ndarray\"] }}",
                path.to_string()
            );
            state.add_dep("diaphane-cell", &config).map_err(refused)?;
            if !self.dependencies.iter().any(|(name, _)| name == "ndarray") {
                state.add_dep("ndarray", NDARRAY).map_err(refused)?;
            }
        } else {
            let config = format!("{{ path = {:?} }}", path.to_string());
            state.add_dep("diaphane-cell", &config).map_err(refused)?;
        }
        for dependency in wanted {
            // Cargo may have to ask the network, and evcxr hides what it says.
            crate::tell(&format!("    Resolving {}", dependency.name));
            state
                .add_dep(&dependency.name, &dependency.config)
                .map_err(|error| {
                    let why = about_dependency(&error.to_string());
                    failed(report::about_line(&why, dependency.line, original))
                })?;
        }
        let level = Some(cell.opt_level.as_str()).filter(|level| !level.is_empty());
        state
            .set_opt_level(level.unwrap_or(OPT_LEVEL))
            .map_err(refused)?;
        let native = if cell.native {
            " -Ctarget-cpu=native"
        } else {
            ""
        };
        state.set_build_env("RUSTFLAGS", &format!("-Cprefer-dynamic{native}"));
        state.set_build_env("CARGO_PROFILE_DEV_CODEGEN_UNITS", "1");
        state.set_build_env("CARGO_PROFILE_DEV_INCREMENTAL", "false");
        state.set_preserve_vars_on_panic(true);
        diagnosis::forget_warnings(&self.folders.target);
        match self.context.eval_with_state(&code.text, state) {
            Ok(_) => {
                let above = self.lines_above(code).unwrap_or(0);
                let all = diagnosis::warnings(&self.folders.target, above);
                Ok(report::warnings(&all, code, cell, &self.sources))
            }
            Err(Error::CompilationErrors(errors)) => {
                let all: Vec<_> = errors.iter().map(Diagnosis::from).collect();
                Err(failed(report::report(&all, code, cell, &self.sources)))
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// Gives the library a path of its own, since the linker takes libraries of one path for one.
    fn take_library(
        &mut self,
        cell: &Compile,
        code: Code,
        warnings: String,
        started: Instant,
    ) -> Answer {
        self.cells += 1;
        let built = fs::read_to_string(&self.folders.relay).map(PathBuf::from);
        let mut library = self
            .folders
            .cells
            .join(format!("rust_cell_{}.so", cell.cell));
        let mut again = 1;
        while library.exists() {
            again += 1;
            library = self
                .folders
                .cells
                .join(format!("rust_cell_{}_{again}.so", cell.cell));
        }
        if let Err(error) = built.and_then(|built| fs::rename(built, &library)) {
            return Answer::Refused {
                reason: format!("the library of the cell is not where evcxr left it: {error}"),
            };
        }
        Answer::Compiled(Compiled {
            library: library.display().to_string(),
            libstd: self.toolchain.libstd.display().to_string(),
            lines: self.lines_in_crate(&code),
            source: code.text,
            warnings,
            functions: Vec::new(),
            only_defines: Vec::new(),
            kept: Vec::new(),
            keeps: Vec::new(),
            items_changed: false,
            took_ns: u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX),
        })
    }

    /// The lines as they stand in the crate that evcxr has made of the source, since panics name those.
    fn lines_in_crate(&self, code: &Code) -> Vec<Lines> {
        let Some(above) = self.lines_above(code) else {
            return Vec::new();
        };
        let moved = code.lines.iter().map(|lines| Lines {
            first: lines.first + above,
            ..*lines
        });
        moved.collect()
    }

    /// How many lines evcxr has put above the source.
    fn lines_above(&self, code: &Code) -> Option<u32> {
        let whole = self.context.last_source().ok()?;
        let at = whole.find(code.text.trim_end())?;
        Some(whole[..at].matches('\n').count() as u32)
    }

    /// Forgets items and dependencies.
    pub fn reset(&mut self) -> Answer {
        self.items.clear();
        self.sources.clear();
        self.dependencies.clear();
        self.with_views = false;
        self.tell_session();
        match self.context.clear() {
            Ok(()) => self.status(),
            Err(error) => Answer::Refused {
                reason: short(&error.to_string()),
            },
        }
    }

    /// What is known.
    pub fn status(&self) -> Answer {
        Answer::Status(Status {
            rustc: self.toolchain.version.clone(),
            has_sources: self.toolchain.library.is_some(),
            folder: self.slot.folder.display().to_string(),
            items: self.items.iter().map(Kept::known).collect(),
            dependencies: self.dependencies.clone(),
            cells: self.cells,
        })
    }
}

/// The functions that Python wants, or the line, from 0, that keeps one from it.
fn exported(cell: &Compile, items: &[Kept]) -> Result<Vec<Function>, (u32, String)> {
    if !cell.exports {
        return Ok(Vec::new());
    }
    let functions = defs::functions(items)
        .map_err(|(line, why)| (line.saturating_sub(cell.lines_above + 1), why))?;
    if functions.is_empty() {
        let name = items.iter().find(|item| item.kind == "fn");
        let instead = name.map_or_else(String::new, |item| {
            format!(": write `pub fn {}`", item.name)
        });
        return Err((0, format!("the cell has no `pub fn` for Python{instead}")));
    }
    Ok(functions)
}

fn failed((report, summary): (String, String)) -> Answer {
    Answer::Failed { report, summary }
}
