//! Serves connections.

use std::any::Any;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::net::{TcpListener, TcpStream};

use super::acts::Act;
use super::handshake::{Encryption, log_in};
use super::hearing::{Heard, heard_until};
use super::request::Request;
use super::script::LoginAnswer;
use super::state::Shared;
use super::tokens::{self, DONE_ATTENTION, Done};
use super::wire::{self, ATTENTION, Wire};

/// How a server is.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) encryption: Encryption,
    /// What it lets packets have at most.
    pub(crate) packet_bytes_max: usize,
}

/// Takes connections until it is dropped.
pub(crate) async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (socket, _) = listener.accept().await.expect("a connection");
        socket.set_nodelay(true).expect("a socket");
        // It is noted before anything can be read from it.
        shared.change(|state| {
            let number = state.opened;
            let open = Open { shared: shared.clone(), number };
            let task = tokio::spawn(async move {
                // Dropped last, when the socket has been.
                let open = open;
                let served = AssertUnwindSafe(serve(socket, &open.shared, number)).catch_unwind().await;
                open.note(served);
            });
            state.opened += 1;
            state.open.insert(number, task.abort_handle());
        });
    }
}

/// A connection that is open until this is dropped.
struct Open {
    shared: Arc<Shared>,
    number: usize,
}

impl Open {
    fn note(&self, served: Result<io::Result<()>, Box<dyn Any + Send>>) {
        let number = self.number;
        match served {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.shared.change(|state| state.errors.push(format!("connection {number}: {error}"))),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
                self.shared.change(|state| state.panics.push(format!("connection {number}: {text}")));
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.change(|state| state.open.remove(&self.number));
    }
}

/// Serves a connection until one of both sides ends it.
async fn serve(socket: TcpStream, shared: &Shared, number: usize) -> io::Result<()> {
    let answer = shared.change(|state| {
        let next = state.login_answers.pop_front();
        next.or_else(|| state.login_default.clone()).unwrap_or(LoginAnswer::Accept)
    });
    let mut wire = Wire::new(socket);
    if matches!(answer, LoginAnswer::Mute) {
        while wire.receive().await?.is_some() {}
        return Ok(());
    }
    let Some(packet_bytes) = log_in(&mut wire, shared, number, answer).await? else { return Ok(()) };
    while converse(&mut wire, shared, number, packet_bytes).await? {}
    Ok(())
}

/// Reads a request and answers it. It is over when this says `false`.
async fn converse(wire: &mut Wire, shared: &Shared, number: usize, packet_bytes: usize) -> io::Result<bool> {
    let Some(kind) = wire.begun().await? else { return Ok(false) };
    if kind != ATTENTION
        && let Some(bytes) = shared.cut_reading()
    {
        wire.part(bytes).await?;
        shared.change(|state| state.cut_requests += 1);
        return Ok(false);
    }
    let Some(message) = wire.receive().await? else { return Ok(false) };
    if message.kind == ATTENTION {
        // Too late: what it was meant for has been answered.
        if shared.attention() {
            wire.send(&attention_seen(packet_bytes)).await?;
        }
        return Ok(true);
    }
    let request = Request::parse(number, &message);
    let answer = shared.asked(&request);
    for act in answer.acts(request.kind(), packet_bytes) {
        match act {
            Act::Send(bytes) => wire.send(&bytes).await?,
            Act::Cut => return Ok(false),
            Act::Wait(wait) => match heard_until(wire, shared, &wait).await? {
                Heard::Nothing => {}
                Heard::End => return Ok(false),
                Heard::Attention => {
                    wire.send(&attention_seen(packet_bytes)).await?;
                    return Ok(true);
                }
            },
        }
    }
    shared.change(|state| state.answers_sent += 1);
    Ok(true)
}

fn attention_seen(packet_bytes: usize) -> Vec<u8> {
    let mut tokens = Vec::new();
    tokens::put_done(Done::Batch, DONE_ATTENTION, 0, &mut tokens);
    wire::answer_packets(&tokens, packet_bytes, false)
}
