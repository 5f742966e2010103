//! A way to a server that ends after so many bytes.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How many more bytes go each way before every connection ends. `None` is without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cut {
    pub(crate) from_client: Option<usize>,
    pub(crate) from_server: Option<usize>,
}

/// What went each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Passed {
    pub(crate) from_client: usize,
    pub(crate) from_server: usize,
}

#[derive(Debug, Default)]
struct State {
    cut: Cut,
    passed: Passed,
    connections_cut: u64,
}

/// Listens on loopback, and passes everything on to a server.
#[derive(Debug, Clone)]
pub(crate) struct CuttingProxy {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    FromClient,
    FromServer,
}

impl CuttingProxy {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let proxy = Self { address, state: Arc::default() };
        let it = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(server).await else { continue };
                it.pass_on(client, server);
            }
        });
        proxy
    }

    /// From now on, counted anew.
    pub(crate) fn cut(&self, cut: Cut) {
        let mut state = self.state();
        (state.cut, state.passed) = (cut, Passed::default());
    }

    /// Since the last time that a cut was set.
    pub(crate) fn passed(&self) -> Passed {
        self.state().passed
    }

    /// How many connections have ended where they were cut, of all that there were.
    pub(crate) fn connections_cut(&self) -> u64 {
        self.state().connections_cut
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_on(&self, client: TcpStream, server: TcpStream) {
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        // When one way ends, both do.
        let (ended, _) = watch::channel(false);
        let ended = Arc::new(ended);
        for (way, from, to) in [(Way::FromClient, from_client, to_server), (Way::FromServer, from_server, to_client)] {
            let (it, ended) = (self.clone(), Arc::clone(&ended));
            tokio::spawn(async move {
                let mut ends = ended.subscribe();
                tokio::select! {
                    is_cut = it.pump(way, from, to) => {
                        let is_first = !ended.send_replace(true);
                        it.state().connections_cut += u64::from(is_cut && is_first);
                    }
                    _ = ends.wait_for(|ended| *ended) => {}
                }
            });
        }
    }

    /// Until it ends; answers whether it was cut.
    async fn pump(&self, way: Way, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> bool {
        let mut buffer = [0; 4_096];
        loop {
            let read = match from.read(&mut buffer).await {
                Ok(0) | Err(_) => return false,
                Ok(read) => read,
            };
            let (passes, is_cut) = self.let_pass(way, read);
            if to.write_all(&buffer[..passes]).await.is_err() || is_cut {
                return is_cut;
            }
        }
    }

    /// How many of these bytes go on, and whether the connection ends then.
    fn let_pass(&self, way: Way, bytes: usize) -> (usize, bool) {
        let mut state = self.state();
        let State { cut, passed, .. } = &mut *state;
        let (most, passed) = match way {
            Way::FromClient => (cut.from_client, &mut passed.from_client),
            Way::FromServer => (cut.from_server, &mut passed.from_server),
        };
        let passes = most.map_or(bytes, |most| bytes.min(most.saturating_sub(*passed)));
        *passed += passes;
        (passes, most.is_some_and(|most| *passed >= most))
    }
}
