//! A server that accepts connections and says nothing.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

/// It listens until it is dropped; connections are closed then.
#[derive(Debug)]
pub(crate) struct SilentServer {
    port: u16,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    accepted: AtomicU64,
    ends: AtomicBool,
}

impl SilentServer {
    /// On a free port.
    pub(crate) fn start() -> io::Result<Self> {
        Self::on(0)
    }

    /// On the port of a server that was killed, for those who know its address.
    pub(crate) fn on(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let port = listener.local_addr()?.port();
        let state: Arc<State> = Arc::default();
        let accepting = Arc::clone(&state);
        let thread = thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { port, state, thread: Some(thread) })
    }

    /// Its address: `redis://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> u64 {
        self.state.accepted.load(Ordering::SeqCst)
    }
}

fn accept(listener: &TcpListener, state: &State) {
    // Kept open, and never read from.
    let mut kept = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if state.ends.load(Ordering::SeqCst) {
            return;
        }
        state.accepted.fetch_add(1, Ordering::SeqCst);
        kept.push(stream);
    }
}

impl Drop for SilentServer {
    fn drop(&mut self) {
        self.state.ends.store(true, Ordering::SeqCst);
        // Wakes the thread, which waits for a connection. One that cannot be woken ends with the process.
        let woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}
