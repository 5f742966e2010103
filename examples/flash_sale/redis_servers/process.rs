//! One `redis-server` process, under a shell that watches whether its owner is still there.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// What the shell runs: `sh -c SCRIPT FOLDER redis-server ...`. It ends when the server does, with the server's status.
/// When its standard input ends, which its owner holds, it removes the folder and kills the server; nothing else stops it
/// before: a group whose owner is gone is sent a SIGHUP when one of its processes stands still.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
exec 3<&0
"$@" </dev/null >"$0/log" 2>&1 3<&- &
server=$!
{ read -r _ <&3; rm -rf "$0"; kill -9 $server; } >/dev/null &
watch=$!
echo $server
wait $server
status=$?
kill -9 $watch
exit $status
"#;

/// What a shell answers for a program that there is not.
const NO_SUCH_PROGRAM: i32 = 127;

/// A server's process, killed when dropped.
#[derive(Debug)]
pub(super) struct Process {
    shell: Child,
    server: Pid,
    folder: TempDir,
}

/// How a process ended that should not have.
#[derive(Debug)]
pub(super) enum Ended {
    /// Somebody else has the port.
    PortTaken,
    Otherwise(io::Error),
}

impl Process {
    /// Starts a server on a port. It does not answer yet.
    pub(super) fn start(port: u16) -> io::Result<Self> {
        let folder = TempDir::with_prefix("redis-server-")?;
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .arg(folder.path())
            .args(["redis-server", "--port", &port.to_string(), "--dir"])
            .arg(folder.path())
            .args(["--bind", "127.0.0.1", "--protected-mode", "no", "--daemonize", "no"])
            .args(["--save", "", "--appendonly", "no"])
            // What a terminal sends to all of a group is meant for the owner.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let said = shell.stdout.take().map_or(Ok(0), |stdout| BufReader::new(stdout).read_line(&mut line));
        match (said, line.trim().parse().ok().and_then(Pid::from_raw)) {
            (Ok(_), Some(server)) => Ok(Self { shell, server, folder }),
            (said, _) => {
                drop(shell.stdin.take());
                shell.wait()?;
                Err(said.err().unwrap_or_else(|| io::Error::other("the shell that watches a redis-server failed")))
            }
        }
    }

    /// The server's own process.
    pub(super) fn pid(&self) -> Pid {
        self.server
    }

    /// How it has ended, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<Ended>> {
        let Some(status) = self.shell.try_wait()? else { return Ok(None) };
        if status.code() == Some(NO_SUCH_PROGRAM) {
            let missing = "redis-server is not installed: apt-get install redis-server";
            return Ok(Some(Ended::Otherwise(io::Error::new(io::ErrorKind::NotFound, missing))));
        }
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        if log.contains("Address already in use") {
            return Ok(Some(Ended::PortTaken));
        }
        let last = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
        Ok(Some(Ended::Otherwise(io::Error::other(format!("a redis-server ended with {status} and said: {last}")))))
    }

    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(self.server, signal)?)
    }

    /// Whether every thread of it has been stopped by a signal; `None` where the system does not tell.
    pub(super) fn stands_still(&self) -> Option<bool> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.server.as_raw_nonzero())).ok()?;
        // After the name, which is in parentheses and may hold anything.
        Some(stat.rsplit(')').next()?.trim_start().starts_with('T'))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The shell kills the server, one that stands still too, and ends after it.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
