//! Packets (MS-TDS 2.2.3), and the connection that they go over, in the clear or in TLS.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::tls::{Session, Tls};

/// Types of messages.
pub(crate) const BATCH: u8 = 0x01;
pub(crate) const RPC: u8 = 0x03;
const ANSWER: u8 = 0x04;
pub(crate) const ATTENTION: u8 = 0x06;
pub(crate) const TRANSACTION: u8 = 0x0e;
pub(crate) const LOGIN: u8 = 0x10;
pub(crate) const PRELOGIN: u8 = 0x12;

/// Bits of a packet's status: it is the last of its message, and the connection is to be reset before the request.
const LAST: u8 = 0x01;
pub(crate) const RESETS: u8 = 0x18;

pub(crate) const HEADER_BYTES: usize = 8;

/// What packets have at most until the login has agreed on something else.
pub(crate) const PACKET_BYTES: usize = 4096;

/// A message of the client's, put together from its packets.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) kind: u8,
    /// The status of its first packet.
    pub(crate) status: u8,
    pub(crate) payload: Vec<u8>,
    /// With its header.
    pub(crate) largest_packet_bytes: usize,
}

/// Cuts a message into packets. One that `goes_on` has more packets to come.
pub(crate) fn packets(kind: u8, mut tokens: &[u8], packet_bytes: usize, goes_on: bool) -> Vec<u8> {
    let room = packet_bytes.checked_sub(HEADER_BYTES).filter(|room| *room > 0).expect("room in a packet");
    let mut out = Vec::new();
    let mut number = 1_u8;
    loop {
        let (now, later) = tokens.split_at(room.min(tokens.len()));
        let is_last = later.is_empty() && !goes_on;
        let length = u16::try_from(HEADER_BYTES + now.len()).expect("a packet of less than 64 KiB");
        out.extend([kind, if is_last { LAST } else { 0 }]);
        out.extend(length.to_be_bytes());
        out.extend([0, 0, number, 0]);
        out.extend(now);
        number = number.wrapping_add(1);
        tokens = later;
        if later.is_empty() {
            return out;
        }
    }
}

/// Packets of an answer.
pub(crate) fn answer_packets(tokens: &[u8], packet_bytes: usize, goes_on: bool) -> Vec<u8> {
    packets(ANSWER, tokens, packet_bytes, goes_on)
}

/// The server's end of a connection.
pub(crate) struct Wire {
    socket: TcpStream,
    tls: Option<Session>,
    /// What has been read, out of TLS, and is not used yet.
    received: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self { socket, tls: None, received: Vec::new() }
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Waits until the client has sent more, or has ended the connection, which is `false`. Nothing is lost when this
    /// is dropped.
    async fn fill(&mut self) -> io::Result<bool> {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let count = self.socket.read(&mut bytes).await?;
            if count == 0 {
                return Ok(false);
            }
            let before = self.received.len();
            self.take_in(&bytes[..count])?;
            if self.received.len() > before {
                return Ok(true);
            }
        }
    }

    fn take_in(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.received.extend(bytes),
            Some(session) => session.take_in(bytes, &mut self.received)?,
        }
        Ok(())
    }

    /// Sends bytes as they are, or in TLS.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.socket.write_all(bytes).await,
            Some(session) => {
                let sealed = session.seal(bytes)?;
                self.socket.write_all(&sealed).await
            }
        }
    }

    /// How many bytes the message has that has been read first, with its headers, if it is there as a whole.
    fn whole(&self) -> Option<usize> {
        let mut at = 0;
        loop {
            let header = self.received.get(at..at + HEADER_BYTES)?;
            let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
            assert!(length >= HEADER_BYTES, "a packet of {length} bytes, which is less than its header");
            let is_last = header[1] & LAST != 0;
            assert!(is_last || length > HEADER_BYTES, "a packet with nothing in it that is not the last");
            at += length;
            if is_last {
                return (at <= self.received.len()).then_some(at);
            }
        }
    }

    fn take(&mut self) -> Option<Received> {
        let whole = self.whole()?;
        let message: Vec<u8> = self.received.drain(..whole).collect();
        let (kind, status) = (message[0], message[1]);
        let mut payload = Vec::with_capacity(whole);
        let mut at = 0;
        let mut largest_packet_bytes = 0;
        while at < whole {
            assert_eq!(message[at], kind, "a packet of another type in a message");
            let length = usize::from(u16::from_be_bytes([message[at + 2], message[at + 3]]));
            payload.extend(&message[at + HEADER_BYTES..at + length]);
            at += length;
            largest_packet_bytes = largest_packet_bytes.max(length);
        }
        Some(Received { kind, status, payload, largest_packet_bytes })
    }

    /// The next message; `None` when the client has ended the connection.
    pub(crate) async fn receive(&mut self) -> io::Result<Option<Received>> {
        loop {
            if let Some(message) = self.take() {
                return Ok(Some(message));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// Waits until a message has begun, and says of which type it is.
    pub(crate) async fn begun(&mut self) -> io::Result<Option<u8>> {
        loop {
            if let Some(kind) = self.received.first() {
                return Ok(Some(*kind));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// Waits until so many bytes of a message have been read, or all of it.
    pub(crate) async fn part(&mut self, bytes: usize) -> io::Result<()> {
        while self.received.len() < bytes && self.whole().is_none() {
            if !self.fill().await? {
                break;
            }
        }
        Ok(())
    }

    /// Waits for an attention, or for the end of the connection, which is `false`.
    pub(crate) async fn attention(&mut self) -> io::Result<bool> {
        loop {
            if self.received.first() == Some(&ATTENTION) && self.take().is_some() {
                return Ok(true);
            }
            if !self.fill().await? {
                return Ok(false);
            }
        }
    }

    /// The handshake, of which all goes in packets of PRELOGIN. From then on, all packets go in TLS.
    pub(crate) async fn start_tls(&mut self, tls: &Tls) -> io::Result<()> {
        let mut session = tls.session()?;
        loop {
            let flight = session.flight()?;
            if !flight.is_empty() {
                self.send(&packets(PRELOGIN, &flight, PACKET_BYTES, false)).await?;
            }
            if session.is_open() {
                break;
            }
            let Some(message) = self.receive().await? else { return Err(io::ErrorKind::UnexpectedEof.into()) };
            assert_eq!(message.kind, PRELOGIN, "a handshake goes in PRELOGIN");
            if let Err(error) = session.take_in(&message.payload, &mut Vec::new()) {
                // The client is told why.
                let alert = session.flight()?;
                self.send(&packets(PRELOGIN, &alert, PACKET_BYTES, false)).await?;
                return Err(error);
            }
        }
        self.tls = Some(session);
        let already = std::mem::take(&mut self.received);
        self.take_in(&already)
    }

    /// All that follows is in the clear, as after a login for which alone TLS was wanted.
    pub(crate) fn end_tls(&mut self) {
        self.tls = None;
    }
}
