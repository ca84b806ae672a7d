//! Runs the cell below a cell magic, as if the magic were not there.
//!
//! In IPython the shell runs it: the last value is displayed, an error is shown and makes the whole cell fail, and lines
//! have the numbers that they have in the notebook. In any other Python it is compiled and executed, and an error is the
//! caller's to raise.

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyList, PyString};

use crate::error::Error;
use crate::magic::{Ran, RecordedCode, User, Way};
use crate::python::ipython::shell;
use crate::session::lane;

/// A cell that is ready to run.
pub(crate) struct Body<'a, 'py> {
    user: User<'a, 'py>,
    /// What a recording knows of it.
    pub code: RecordedCode,
    tree: Bound<'py, PyAny>,
    shell: Option<Bound<'py, PyAny>>,
}

impl<'a, 'py> Body<'a, 'py> {
    /// Parses a cell; the magic's name is for messages.
    pub fn prepare(magic: &str, cell: &str, user: User<'a, 'py>) -> Result<Self, Error> {
        match shell(user.py)?.filter(|shell| is_shell_of(shell, user)) {
            Some(shell) => Self::of_shell(magic, cell, user, shell),
            None => Self::plain(cell, user),
        }
    }

    fn new(
        user: User<'a, 'py>,
        (file, source): (&Bound<'py, PyString>, String),
        tree: Bound<'py, PyAny>,
        shell: Option<Bound<'py, PyAny>>,
    ) -> Result<Self, Error> {
        let code = RecordedCode {
            file: file.clone().unbind(),
            names: names(&tree)?,
            source,
            home: lane::running_cell().map(|number| format!("In[{number}]")),
            way: Way::Module { floor: 0 },
        };
        Ok(Self {
            user,
            code,
            tree,
            shell,
        })
    }

    fn file(&self) -> &Bound<'py, PyString> {
        self.code.file.bind(self.user.py)
    }

    fn of_shell(
        magic: &str,
        cell: &str,
        user: User<'a, 'py>,
        shell: Bound<'py, PyAny>,
    ) -> Result<Self, Error> {
        let transformed: String = shell.call_method1("transform_cell", (cell,))?.extract()?;
        let known = [("transformed_cell", &transformed)].into_py_dict(user.py)?;
        let is_asynchronous: bool = shell
            .call_method("should_run_async", (cell,), Some(&known))?
            .extract()?;
        if is_asynchronous {
            return Err(Error::Usage(format!(
                "%%{magic}: a cell below a magic cannot use `await` outside of a function; \
                 call asyncio.run in a thread, or trace the function that does the work"
            )));
        }
        let (whole, lines_before) = whole_cell(&shell, cell)?;
        // IPython drops the blank lines at the beginning.
        let blank = cell.lines().take_while(|line| line.trim().is_empty());
        let source = "\n".repeat(lines_before + blank.count()) + &transformed;
        let compiler = shell.getattr("compile")?;
        let number = number(&shell)?;
        let file = compiler
            .call_method1("cache", (&source, number, whole))?
            .cast_into::<PyString>()
            .map_err(PyErr::from)?;
        let tree = compiler.call_method1("ast_parse", (&source, &file))?;
        let tree = shell.call_method1("transform_ast", (tree,))?;
        Self::new(user, (&file, source), tree, Some(shell))
    }

    fn plain(cell: &str, user: User<'a, 'py>) -> Result<Self, Error> {
        let file = PyString::new(user.py, "<cell>");
        let tree = user
            .py
            .import("ast")?
            .call_method1("parse", (cell, &file))?;
        Self::new(user, (&file, cell.to_owned()), tree, None)
    }

    /// The outcome is the error that the caller has to raise; IPython has shown its own.
    fn run(&self) -> PyResult<()> {
        match &self.shell {
            Some(shell) => self.run_in_shell(shell),
            None => self.run_plain(),
        }
    }

    /// Runs it, and again as long as that is asked for, but not after an error. How often it ran, and whether IPython has
    /// shown an error of it. Its value is displayed the first time only.
    pub fn run_while(&self, goes_on: impl Fn() -> bool) -> PyResult<Ran> {
        self.run()?;
        let mut runs = 1;
        let failed = self.has_failed()?;
        if failed || !goes_on() {
            return Ok(Ran { runs, failed });
        }
        let py = self.user.py;
        let builtins = py.import("builtins")?;
        let no_ignores = PyList::empty(py);
        let body = self.tree.getattr("body")?;
        let module = py
            .import("ast")?
            .call_method1("Module", (body, no_ignores))?;
        let code = builtins.call_method1("compile", (module, self.file(), "exec"))?;
        let exec = builtins.getattr("exec")?;
        while goes_on() {
            exec.call1((&code, self.user.namespace))?;
            runs += 1;
            py.check_signals()?;
        }
        Ok(Ran {
            runs,
            failed: false,
        })
    }

    /// Whether IPython has shown an error of the cell.
    fn has_failed(&self) -> PyResult<bool> {
        let Some(shell) = &self.shell else {
            return Ok(false);
        };
        let error = outer_result(shell)?.getattr_opt("error_in_exec")?;
        Ok(error.is_some_and(|error| !error.is_none()))
    }

    fn run_in_shell(&self, shell: &Bound<'py, PyAny>) -> PyResult<()> {
        let result = outer_result(shell)?;
        let coroutine = shell.call_method1(
            "run_ast_nodes",
            (
                self.tree.getattr("body")?,
                self.file(),
                self.interactivity(shell)?,
                shell.getattr("compile")?,
                result,
            ),
        )?;
        // Without an `await` in the cell it never waits.
        match coroutine.call_method1("send", (self.user.py.None(),)) {
            Err(end) if end.is_instance_of::<PyStopIteration>(self.user.py) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => coroutine.call_method0("close").map(drop),
        }
    }

    /// Which values are displayed; none where the last line ends with `;`, which IPython looks for in the whole cell.
    fn interactivity(&self, shell: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let hook = shell.getattr("displayhook")?;
        let source = &self.code.source;
        let is_quiet = match hook.getattr_opt("semicolon_at_end_of_expression")? {
            Some(asked) => asked.call1((source,))?.is_truthy()?,
            None => source.trim_end().ends_with(';'),
        };
        match is_quiet {
            true => Ok(PyString::new(self.user.py, "none").into_any()),
            false => shell.getattr("ast_node_interactivity"),
        }
    }

    fn run_plain(&self) -> PyResult<()> {
        let py = self.user.py;
        let builtins = py.import("builtins")?;
        let ast = py.import("ast")?;
        for (nodes, mode) in self.halves(&ast)? {
            let code = builtins.call_method1("compile", (nodes, self.file(), mode))?;
            builtins.call_method1("exec", (code, self.user.namespace))?;
        }
        Ok(())
    }

    /// All but the last statement, and that one so that its value is displayed.
    fn halves(&self, ast: &Bound<'py, PyModule>) -> PyResult<Vec<(Bound<'py, PyAny>, &str)>> {
        let body = self.tree.getattr("body")?.cast_into::<PyList>()?;
        let is_value = |last: &Bound<'_, PyAny>| last.is_instance(&ast.getattr("Expr")?);
        let mut first = body.len();
        if first > 0 && is_value(&body.get_item(first - 1)?)? {
            first -= 1;
        }
        let no_ignores = PyList::empty(self.user.py);
        let module = ast.call_method1("Module", (body.get_slice(0, first), no_ignores))?;
        let shown = ast.call_method1("Interactive", (body.get_slice(first, body.len()),))?;
        Ok(vec![(module, "exec"), (shown, "single")])
    }
}

/// The number of the cell that runs, and how many of its lines stand above its body; 0 and 0 without a shell.
pub(crate) fn cell_number_and_lines_above(cell: &str, user: User<'_, '_>) -> PyResult<(u32, u32)> {
    let Some(shell) = shell(user.py)? else {
        return Ok((0, 0));
    };
    let (_, above) = whole_cell(&shell, cell)?;
    Ok((number(&shell)?.extract().unwrap_or(0), above as u32))
}

/// Whether the shell's variables are those that the magic was given.
fn is_shell_of(shell: &Bound<'_, PyAny>, user: User<'_, '_>) -> bool {
    let namespace = shell.getattr("user_ns");
    namespace.is_ok_and(|namespace| namespace.is(user.namespace))
}

/// The number of the cell that runs. IPython counts on when it begins, or when it ends, by its version.
fn number<'py>(shell: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let running = outer_result(shell)?.getattr_opt("execution_count")?;
    match running.filter(|number| !number.is_none()) {
        Some(number) => Ok(number),
        None => shell.getattr("execution_count"),
    }
}

/// What IPython knows of the cell that runs; a fresh one if none does. A failure is written there.
fn outer_result<'py>(shell: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let outer = shell.getattr("displayhook")?.getattr_opt("exec_result")?;
    if let Some(outer) = outer.filter(|outer| !outer.is_none()) {
        return Ok(outer);
    }
    let module = shell.py().import("IPython.core.interactiveshell")?;
    module.call_method1("ExecutionResult", (shell.py().None(),))
}

/// The text of the cell with the magic's own line, if this is known, and how many lines stand before the body.
///
/// Under the name of the whole cell a debugger and a traceback find the body where the user sees it.
fn whole_cell(shell: &Bound<'_, PyAny>, body: &str) -> PyResult<(String, usize)> {
    let info = outer_result(shell)?.getattr_opt("info")?;
    let raw = match info {
        Some(info) => info.getattr_opt("raw_cell")?,
        None => None,
    };
    let whole: Option<String> = raw.and_then(|raw| raw.extract().ok());
    let body_end = body.trim_end_matches('\n');
    let found = whole.and_then(|whole| {
        let before = whole.trim_end_matches('\n').strip_suffix(body_end)?;
        let lines = before.lines().count();
        before.ends_with('\n').then_some((whole, lines))
    });
    Ok(found.unwrap_or_else(|| (body.to_owned(), 0)))
}

/// The names of variables in the code, each once.
fn names(tree: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let ast = tree.py().import("ast")?;
    let mut names: Vec<String> = Vec::new();
    for node in ast.call_method1("walk", (tree,))?.try_iter()? {
        let node = node?;
        if node.is_instance(&ast.getattr("Name")?)? {
            names.push(node.getattr("id")?.extract()?);
        }
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}
