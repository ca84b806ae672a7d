//! Where the kernel keeps the files of the control groups that a process is in, in versions 1 and 2.

use std::path::{Path, PathBuf};

/// The folder of one group.
pub(crate) struct Folder {
    pub path: PathBuf,
    /// Whether it is of the second version.
    pub unified: bool,
}

/// The folders of the groups that limit a process by a controller: its own ones and those around them.
pub(crate) fn folders(process: &Path, root: &Path, controller: &str) -> Vec<Folder> {
    let read = |name| std::fs::read_to_string(process.join(name)).unwrap_or_default();
    let (groups, mounts) = (read("cgroup"), read("mountinfo"));
    let of = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next()?, fields.next()?);
        let unified = controllers.is_empty();
        if !unified && !controllers.split(',').any(|name| name == controller) {
            return None;
        }
        let (top, mount) = mounts
            .lines()
            .find_map(|line| mount(line, unified, controller))?;
        let inside = Path::new(group).strip_prefix(top).unwrap_or(Path::new(""));
        let mount = root.join(mount.strip_prefix("/").unwrap_or(&mount));
        let folder = |group: &Path| Folder {
            path: mount.join(group),
            unified,
        };
        Some(inside.ancestors().map(folder).collect::<Vec<_>>())
    };
    groups.lines().filter_map(of).flatten().collect()
}

/// From a line of `mountinfo`: the group at the mount's root, and where it is mounted.
fn mount(line: &str, unified: bool, controller: &str) -> Option<(PathBuf, PathBuf)> {
    let (before, after) = line.split_once(" - ")?;
    let mut about = after.split(' ');
    let (kind, options) = (about.next()?, about.nth(1)?);
    let fits = match unified {
        true => kind == "cgroup2",
        false => kind == "cgroup" && options.split(',').any(|name| name == controller),
    };
    let mut fields = before.split(' ').skip(3).map(PathBuf::from);
    fits.then_some(())?;
    Some((fields.next()?, fields.next()?))
}
