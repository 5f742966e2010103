//! Where PostgreSQL's programs are, and who runs them.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// PostgreSQL refuses to run as root: then it is this user, which the package makes, or nobody.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// A user and a group, if it is not the present one.
pub(super) type User = Option<(u32, u32)>;

/// The programs of one version.
#[derive(Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    pub(super) user: User,
}

impl Programs {
    /// Those of the newest version that is installed.
    pub(super) fn find() -> io::Result<Self> {
        let missing =
            || io::Error::new(io::ErrorKind::NotFound, "PostgreSQL is not installed: apt-get install postgresql");
        let folder = folders().into_iter().find(|folder| folder.join("postgres").exists()).ok_or_else(missing)?;
        Ok(Self { folder, user: another_user()? })
    }

    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// A program, to be run by the right user.
    pub(super) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        // What is not its own is not to be read: the present folder may be another user's.
        command.current_dir("/");
        command
    }

    /// Runs it to its end.
    pub(super) fn run(&self, command: &mut Command) -> io::Result<Output> {
        let output = command.output()?;
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("{} failed: {}", command.get_program().display(), said.trim())))
    }
}

/// Debian has a folder for each version, which is in nobody's path; others have their programs there.
fn folders() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    let number = |folder: &PathBuf| {
        folder.parent().and_then(|it| it.file_name()?.to_str()?.parse::<u32>().ok()).unwrap_or_default()
    };
    versions.sort_by_key(|folder| std::cmp::Reverse(number(folder)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    versions.extend(std::env::split_paths(&path));
    versions
}

fn another_user() -> io::Result<User> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == name).then_some(())?;
            Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
        })
    };
    let user = USERS.into_iter().find_map(find);
    user.map(Some)
        .ok_or_else(|| io::Error::other("PostgreSQL does not run as root, and there is no user postgres or nobody"))
}
