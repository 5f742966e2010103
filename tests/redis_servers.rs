//! The private Redis servers that the sale, the tests and the benches use are as they say, and never stay behind.
#![cfg(any(feature = "redlock", feature = "rslock"))]

#[path = "../examples/flash_sale/redis_servers/mod.rs"]
mod redis_servers;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use redis_servers::{RedisServer, RedisServers, SilentServer};

/// Long enough for what happens at once on a machine that is not overloaded.
const SOON: Duration = Duration::from_secs(30);

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {SOON:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn connects(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn servers_answer_when_they_have_started_and_know_nothing_of_one_another() {
    let servers = RedisServers::start(3).expect("three servers");
    assert_eq!(servers.urls().len(), 3);
    for server in servers.iter() {
        assert_eq!(server.url(), format!("redis://127.0.0.1:{}", server.port()));
        assert_eq!(server.command(&["PING"]).expect("an answer"), "PONG");
    }
    servers[0].command(&["SET", "seat", "a value"]).expect("an answer");
    assert_eq!(servers[0].keys().expect("keys"), ["seat"]);
    assert_eq!(servers[0].command(&["GET", "seat"]).expect("an answer"), "a value");
    assert_eq!(servers[1].command(&["GET", "seat"]).expect("an answer"), "(nil)");
    assert!(servers[1].keys().expect("keys").is_empty());
    assert_eq!(servers[0].command(&["CONFIG", "GET", "save"]).expect("an answer"), "save\n");
}

#[test]
fn an_error_reply_is_an_error() {
    let server = RedisServer::start().expect("a server");
    let error = server.command(&["NOSUCHCOMMAND"]).expect_err("an error reply");
    assert!(error.to_string().starts_with("ERR unknown command"), "{error}");
}

#[test]
fn they_can_be_commanded_when_the_default_user_may_do_nothing() {
    let server = RedisServer::start().expect("a server");
    server.command(&["ACL", "SETUSER", "default", "off"]).expect("an answer");
    assert_eq!(server.command(&["SET", "seat", "1"]).expect("an answer"), "OK");
}

#[test]
fn only_what_others_send_is_counted() {
    let server = RedisServer::start().expect("a server");
    assert_eq!(server.commands_processed().expect("a number"), 0);
    server.keys().expect("keys");
    assert_eq!((server.commands_processed().unwrap(), server.connections_received().unwrap()), (0, 0));
    let mut other = TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
    other.write_all(b"PING\r\nSET seat 1 PX 60000 NX\r\n").expect("a command");
    let mut reply = [0; 12];
    other.read_exact(&mut reply).expect("two replies");
    assert_eq!(&reply, b"+PONG\r\n+OK\r\n");
    assert_eq!((server.commands_processed().unwrap(), server.connections_received().unwrap()), (2, 1));
    assert_eq!(server.calls().expect("calls").get("set"), Some(&1));
}

#[test]
fn a_killed_server_refuses_connections_and_a_restarted_one_has_lost_its_memory() {
    let server = RedisServer::start().expect("a server");
    server.command(&["SET", "seat", "1"]).expect("an answer");
    let (port, first) = (server.port(), server.pid().expect("a process"));
    server.kill();
    assert_eq!(server.pid(), None);
    assert!(!connects(port));
    server.command(&["PING"]).expect_err("nobody answers");
    server.restart().expect("it starts again");
    assert_eq!(server.port(), port);
    assert_ne!(server.pid().expect("a process"), first);
    assert!(server.keys().expect("keys").is_empty());
    assert_eq!(server.commands_processed().expect("a number"), 0);
    server.command(&["SET", "seat", "1"]).expect("an answer");
    server.restart().expect("a running one restarts too");
    assert!(server.keys().expect("keys").is_empty());
}

#[test]
fn a_paused_server_accepts_and_answers_only_when_it_is_resumed() {
    let server = RedisServer::start().expect("a server");
    server.pause().expect("it stands still");
    let mut other = TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
    other.write_all(b"PING\r\n").expect("the system takes it");
    other.set_nonblocking(true).expect("a socket");
    let mut reply = [0; 7];
    assert_eq!(other.read(&mut reply).expect_err("no answer").kind(), ErrorKind::WouldBlock);
    other.set_nonblocking(false).expect("a socket");
    server.resume().expect("it goes on");
    other.read_exact(&mut reply).expect("an answer");
    assert_eq!(&reply, b"+PONG\r\n");
}

#[test]
fn a_silent_server_accepts_and_says_nothing_also_in_place_of_one_that_was_killed() {
    let server = RedisServer::start().expect("a server");
    server.kill();
    let silent = SilentServer::on(server.port()).expect("the port is free");
    assert_eq!(silent.url(), server.url());
    let mut other = TcpStream::connect(("127.0.0.1", silent.port())).expect("a connection");
    other.write_all(b"PING\r\n").expect("the system takes it");
    eventually("the connection is accepted", || silent.connections() == 1);
    other.set_nonblocking(true).expect("a socket");
    assert_eq!(other.read(&mut [0; 7]).expect_err("no answer").kind(), ErrorKind::WouldBlock);
    drop(silent);
    // A process that another test starts has a copy of every socket until it has become what it shall be.
    eventually("the port is given back", || !connects(server.port()));
    server.restart().expect("the port is given back");
    assert!(SilentServer::start().expect("a free port").connections() == 0);
}

#[test]
fn a_port_that_somebody_else_has_is_not_taken_for_ones_own() {
    let other = RedisServer::start().expect("a server");
    other.kill();
    // Not a server, but whoever is there first has the port.
    let taken = TcpListener::bind(("127.0.0.1", other.port())).expect("the port is free");
    let restarted = std::thread::scope(|scope| {
        let restarting = scope.spawn(|| other.restart());
        let (stream, _) = taken.accept().expect("it looks who answers");
        drop((stream, taken));
        restarting.join().expect("no panic")
    });
    restarted.expect("it waits for its port");
    assert_eq!(other.command(&["PING"]).expect("an answer"), "PONG");
}

// ---- nobody stays behind

/// Says to a process that it is to start servers and wait to be killed, or to panic.
const OWNER: &str = "REDIS_SERVERS_OWNER";

/// Not a test by itself: the owner of servers, in another process.
#[test]
fn the_owner() {
    let Some(how) = env::var_os(OWNER) else { return };
    let servers = RedisServers::start(2).expect("servers");
    servers[1].pause().expect("it stands still");
    let said: Vec<String> = servers.iter().map(|it| format!("{} {}", it.pid().unwrap(), it.port())).collect();
    println!("\nowner: {}", said.join(" "));
    if how == "panics" {
        panic!("with servers");
    }
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn owner(how: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(["the_owner", "--exact", "--nocapture"]).env(OWNER, how);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// What the owner says: the servers' processes and ports.
fn servers_of(stdout: impl Read) -> Vec<(i32, u16)> {
    let lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let said = lines.filter_map(|line| line.strip_prefix("owner: ").map(ToOwned::to_owned)).next().expect("servers");
    let words: Vec<&str> = said.split(' ').collect();
    words.chunks(2).map(|of| (of[0].parse().expect("a process"), of[1].parse().expect("a port"))).collect()
}

fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    // One whose end nobody has asked about yet is dead all the same.
    stat.is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|state| state.trim_start().starts_with('Z')))
}

#[cfg(target_os = "linux")]
#[test]
fn servers_end_when_their_owner_is_killed_one_that_stands_still_too() {
    let mut child = owner("waits").spawn().expect("the owner");
    let servers = servers_of(child.stdout.take().expect("its output"));
    assert_eq!(servers.len(), 2);
    assert!(servers.iter().all(|(pid, port)| is_alive(*pid) && connects(*port)));
    let folders = servers.iter().map(|(pid, _)| fs::read_link(format!("/proc/{pid}/cwd")).expect("its folder"));
    let folders: Vec<_> = folders.collect();
    child.kill().expect("SIGKILL");
    child.wait().expect("its end");
    for (pid, port) in servers {
        // Its sockets may go a little later than its first thread.
        eventually("the server is dead", || !is_alive(pid) && !connects(port));
    }
    for folder in folders {
        eventually("its folder is gone", || !Path::new(&folder).exists());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn servers_end_when_their_owner_panics() {
    let mut child = owner("panics").spawn().expect("the owner");
    let servers = servers_of(child.stdout.take().expect("its output"));
    assert!(!child.wait().expect("its end").success());
    assert!(servers.iter().all(|(pid, port)| !is_alive(*pid) && !connects(*port)));
}

#[test]
fn dropped_servers_are_dead_and_their_folders_gone() {
    let server = RedisServer::start().expect("a server");
    let (pid, port) = (server.pid().expect("a process"), server.port());
    let folder = server.command(&["CONFIG", "GET", "dir"]).expect("an answer").replace("dir\n", "");
    assert!(Path::new(&folder).is_dir());
    drop(server);
    assert!(!connects(port) && !is_alive(pid));
    assert!(!Path::new(&folder).exists());
}

#[test]
fn without_redis_server_one_line_says_what_to_do() {
    if env::var_os(OWNER).is_some_and(|how| how == "has no redis-server") {
        println!("\nowner: {}", RedisServers::start(3).expect_err("no such program"));
        return;
    }
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(["without_redis_server_one_line_says_what_to_do", "--exact", "--nocapture"]);
    let folder = tempfile::tempdir().expect("a folder");
    command.env(OWNER, "has no redis-server").env("PATH", folder.path());
    let said = String::from_utf8(command.output().expect("it runs").stdout).expect("UTF-8");
    assert!(said.contains("\nowner: redis-server is not installed: apt-get install redis-server\n"), "{said}");
}
