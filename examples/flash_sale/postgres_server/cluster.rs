//! The files of one server.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::Durability;
use super::programs::Programs;

/// Whose everything is.
pub(super) const USER: &str = "box_office";

/// What the shell runs: `sh -c SCRIPT FOLDER postgres ...`. It ends when the server does, with the server's status. When its
/// standard input ends, which its owner holds, it stops the server and removes the folder; nothing else stops it before.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
exec 3<&0
"$@" </dev/null >>"$0/log" 2>&1 3<&- &
server=$!
{ read -r _ <&3; : >"$0/over"; kill -QUIT $server; } >/dev/null 2>&1 &
watch=$!
wait $server
status=$?
kill -9 $watch
[ -e "$0/over" ] && rm -rf "$0"
exit $status
"#;

#[derive(Debug)]
pub(super) struct Cluster {
    programs: Programs,
    folder: TempDir,
    password: String,
    durability: Durability,
}

impl Cluster {
    pub(super) fn make(durability: Durability) -> io::Result<Self> {
        let programs = Programs::find()?;
        let folder = TempDir::with_prefix("postgres-")?;
        let password = format!("{:016x}{:016x}", RandomState::new().hash_one(1), RandomState::new().hash_one(2));
        let user = programs.user.unzip();
        std::os::unix::fs::chown(folder.path(), user.0, user.1)?;
        let cluster = Self { programs, folder, password, durability };
        let file = cluster.add_file("password", &cluster.password)?;
        let (programs, folder) = (&cluster.programs, &cluster.folder);
        let mut initdb = programs.command(programs.path("initdb"));
        initdb.arg("-D").arg(data(folder)).args(["-U", USER, "-A", "scram-sha-256", "-E", "UTF8", "--no-sync"]);
        initdb.args(["--locale", "C", "--no-instructions", "--pwfile"]).arg(&file);
        programs.run(&mut initdb)?;
        Ok(cluster)
    }

    pub(super) fn password(&self) -> &str {
        &self.password
    }

    /// Runs the server, under a shell that watches whether its owner is still there.
    pub(super) fn run(&self, port: u16) -> io::Result<Child> {
        let mut shell = self.programs.command("/bin/sh");
        shell
            .args(["-c", SCRIPT])
            .arg(self.folder.path())
            .arg(self.programs.path("postgres"))
            .arg("-D")
            .arg(data(&self.folder));
        let is_durable = if self.durability == Durability::Durable { "on" } else { "off" };
        for setting in [
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "max_connections=300".to_owned(),
            "shared_buffers=256MB".to_owned(),
            "max_wal_size=2GB".to_owned(),
            format!("fsync={is_durable}"),
            format!("full_page_writes={is_durable}"),
        ] {
            shell.args(["-c", &setting]);
        }
        // What a terminal sends to all of a group is meant for the owner.
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    }

    /// Sends the server a signal.
    pub(super) fn signal(&self, name: &str) -> io::Result<()> {
        let pid_file = fs::read_to_string(data(&self.folder).join("postmaster.pid"))?;
        let pid = pid_file.lines().next().unwrap_or_default().to_owned();
        self.programs.run(self.programs.command("/bin/kill").arg(format!("-{name}")).arg(pid)).map(drop)
    }

    pub(super) fn is_ready(&self, port: u16) -> io::Result<bool> {
        let mut ready = self.programs.command(self.programs.path("pg_isready"));
        ready.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
        Ok(ready.status()?.success())
    }

    pub(super) fn psql(&self, port: u16, sql: &str) -> io::Result<String> {
        let output = self.programs.run(&mut self.psql_command(port, sql))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    pub(super) fn start_psql(&self, port: u16, sql: &str) -> io::Result<Child> {
        self.psql_command(port, sql).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    }

    fn psql_command(&self, port: u16, sql: &str) -> Command {
        let mut psql = self.programs.command(self.programs.path("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", &port.to_string()]);
        psql.args(["-U", USER, "-d", "postgres", "-c", sql]).env("PGPASSWORD", &self.password);
        psql
    }

    /// Writes a file that only the server may read, and answers where it is.
    pub(super) fn add_file(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        if let Some((user, group)) = self.programs.user {
            std::os::unix::fs::chown(&path, Some(user), Some(group))?;
        }
        Ok(path)
    }

    /// The last line that the server wrote.
    pub(super) fn last_words(&self) -> String {
        let log = self.said();
        log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing").to_owned()
    }

    /// All that its servers have said.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

fn data(folder: &TempDir) -> PathBuf {
    Path::new(folder.path()).join("data")
}
