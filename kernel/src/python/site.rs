//! A Python's virtual environment and its folders for packages, told from files: nothing is run.
//!
//! It knows the folders that pip and Debian use. What comes to `sys.path` in other ways is not seen.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::BUILT_FOR;

/// A virtual environment, by its `pyvenv.cfg`.
pub(super) struct Environment {
    prefix: PathBuf,
    settings: String,
}

impl Environment {
    /// The environment of this program. CPython itself looks beside the program and one folder above.
    pub(super) fn of(python: &Path) -> Option<Self> {
        python.ancestors().skip(1).take(2).find_map(|folder| {
            let settings = std::fs::read_to_string(folder.join("pyvenv.cfg")).ok()?;
            let prefix = folder.to_owned();
            Some(Self { prefix, settings })
        })
    }

    /// The value of the first setting that has one of these names.
    pub(super) fn value(&self, names: &[&str]) -> Option<&str> {
        let settings = self
            .settings
            .lines()
            .filter_map(|line| line.split_once('='));
        settings
            .map(|(name, value)| (name.trim(), value.trim()))
            .find_map(|(name, value)| names.contains(&name).then_some(value))
    }

    fn sees_the_system(&self) -> bool {
        let value = self.value(&["include-system-site-packages"]);
        value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// Whether this Python has a package of this name.
pub fn has_package(python: &Path, package: &str) -> bool {
    let folders = folders(python, |name| std::env::var_os(name));
    folders.iter().any(|folder| folder.join(package).is_dir())
}

fn folders(python: &Path, variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let environment = Environment::of(python);
    let mut prefixes = Vec::new();
    if environment
        .as_ref()
        .is_none_or(Environment::sees_the_system)
    {
        prefixes.extend(users(&variable));
        prefixes.extend(installation(python, environment.as_ref()));
    }
    prefixes.extend(environment.map(|environment| environment.prefix));
    let named = variable("PYTHONPATH").unwrap_or_default();
    let below = [
        format!("lib/python{BUILT_FOR}/site-packages"),
        format!("local/lib/python{BUILT_FOR}/dist-packages"),
        "lib/python3/dist-packages".to_owned(),
    ];
    prefixes
        .iter()
        .flat_map(|prefix| below.iter().map(|folder| prefix.join(folder)))
        .chain(std::env::split_paths(&named).filter(|folder| folder.is_absolute()))
        .collect()
}

/// Where `pip install --user` puts packages.
fn users(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if variable("PYTHONNOUSERSITE").is_some() {
        return None;
    }
    let home = || Some(Path::new(&variable("HOME")?).join(".local"));
    variable("PYTHONUSERBASE").map(PathBuf::from).or_else(home)
}

/// The prefix of the installation, which an environment has been made from.
fn installation(python: &Path, environment: Option<&Environment>) -> Option<PathBuf> {
    let folder = match environment {
        Some(environment) => PathBuf::from(environment.value(&["home"])?),
        None => python.canonicalize().ok()?.parent()?.to_owned(),
    };
    Some(folder.parent()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    /// A Python in `root/bin`, with the settings of its environment where it is one.
    fn python(root: &Path, settings: Option<&str>) -> PathBuf {
        fs::create_dir_all(root.join("bin")).unwrap();
        let python = root.join("bin/python");
        fs::write(&python, "").unwrap();
        if let Some(settings) = settings {
            fs::write(root.join("pyvenv.cfg"), settings).unwrap();
        }
        python
    }

    fn found(python: &Path, variables: &[(&str, &Path)]) -> Vec<PathBuf> {
        folders(python, |name| {
            let mut known = variables.iter();
            known
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.as_os_str().to_owned())
        })
    }

    fn pips(prefix: &Path) -> PathBuf {
        prefix.join(format!("lib/python{BUILT_FOR}/site-packages"))
    }

    #[test]
    fn an_environment_is_alone_unless_it_sees_the_system() {
        let [system, venv] = [TempDir::new().unwrap(), TempDir::new().unwrap()];
        let home = ("HOME", Path::new("/home/a"));
        let settings = format!("home = {}\n", system.path().join("bin").display());
        let alone = python(venv.path(), Some(&settings));
        let folders = found(&alone, &[home]);
        assert!(folders.contains(&pips(venv.path())));
        assert!(
            !folders.contains(&pips(system.path()))
                && !folders.contains(&pips(Path::new("/home/a/.local")))
        );

        let sees = python(
            venv.path(),
            Some(&format!("{settings}include-system-site-packages = true\n")),
        );
        let folders = found(&sees, &[home]);
        for prefix in [venv.path(), system.path(), Path::new("/home/a/.local")] {
            assert!(folders.contains(&pips(prefix)), "{}", prefix.display());
        }
    }

    #[test]
    fn an_installation_has_its_own_the_users_and_the_named_folders() {
        let root = TempDir::new().unwrap();
        let python = python(root.path(), None);
        let base = Path::new("/base");
        let folders = found(
            &python,
            &[
                ("PYTHONUSERBASE", base),
                ("PYTHONPATH", Path::new("/a:relative:/b")),
            ],
        );
        let prefix = root.path().canonicalize().unwrap();
        for folder in [
            pips(&prefix),
            prefix.join("lib/python3/dist-packages"),
            pips(base),
            "/a".into(),
            "/b".into(),
        ] {
            assert!(folders.contains(&folder), "{}", folder.display());
        }
        assert!(!folders.contains(&"relative".into()));
        let folders = found(
            &python,
            &[
                ("HOME", Path::new("/home/a")),
                ("PYTHONNOUSERSITE", Path::new("1")),
            ],
        );
        assert!(!folders.contains(&pips(Path::new("/home/a/.local"))));
    }

    #[test]
    fn a_package_is_a_folder() {
        let root = TempDir::new().unwrap();
        let python = python(root.path(), Some("home = /nowhere/bin\n"));
        assert!(!has_package(&python, "debugpy_of_this_test"));
        fs::create_dir_all(pips(root.path()).join("debugpy_of_this_test")).unwrap();
        assert!(has_package(&python, "debugpy_of_this_test"));
    }
}
