//! The beginning of a connection: PRELOGIN, TLS, and LOGIN7.

use std::io;

use super::hearing::{Heard, heard_until};
use super::login::{self, ENCRYPT_NOT_SUPPORTED, ENCRYPT_OFF, ENCRYPT_ON, ENCRYPT_REQUIRED, Login};
use super::script::{LoginAnswer, Wait};
use super::state::Shared;
use super::tls::Tls;
use super::wire::{self, PACKET_BYTES, Wire};

/// What the server says of encryption.
#[derive(Debug, Clone)]
pub(crate) enum Encryption {
    /// It cannot.
    NotSupported,
    /// It can, and says that it does not want to, whatever the client says. All goes in the clear.
    Declined,
    /// It does what the client wants. For a client that wants none either, the login alone is encrypted.
    Offered(Tls),
    /// All is encrypted, whatever the client wants.
    Required(Tls),
}

/// How much of a connection goes in TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secured {
    Not,
    Login,
    All,
}

/// Says how large packets may be, or nothing when the client has not been let in.
pub(super) async fn log_in(
    wire: &mut Wire,
    shared: &Shared,
    number: usize,
    answer: LoginAnswer,
) -> io::Result<Option<usize>> {
    let Some(secured) = greet(wire, &shared.settings.encryption).await? else { return Ok(None) };
    let Some(message) = wire.receive().await? else { return Ok(None) };
    if message.kind != wire::LOGIN {
        // Such as a handshake that this server has not offered.
        return Err(io::Error::other(format!("a message of type {:#04x} where LOGIN7 is expected", message.kind)));
    }
    let login = Login::parse(number, wire.is_encrypted(), &message.payload);
    if secured == Secured::Login {
        wire.end_tls();
    }
    let wanted = if login.packet_bytes == 0 { PACKET_BYTES } else { login.packet_bytes };
    let packet_bytes = wanted.clamp(512, shared.settings.packet_bytes_max);
    let database = if login.database.is_empty() { "master".to_owned() } else { login.database.clone() };
    shared.change(|state| state.logins.push(login));
    match answer {
        LoginAnswer::Accept => {}
        LoginAnswer::AcceptAfter(wait) => {
            if heard_until(wire, shared, &wait).await? != Heard::Nothing {
                return Ok(None);
            }
        }
        LoginAnswer::Refuse(why) => {
            wire.send(&wire::answer_packets(&login::refused(&why), PACKET_BYTES, false)).await?;
            return Ok(None);
        }
        LoginAnswer::Hang => {
            heard_until(wire, shared, &Wait::Forever).await?;
            return Ok(None);
        }
        LoginAnswer::Close => return Ok(None),
        LoginAnswer::Mute => unreachable!("it has heard nothing"),
    }
    let tokens = login::accepted(&database, packet_bytes);
    wire.send(&wire::answer_packets(&tokens, PACKET_BYTES, false)).await?;
    Ok(Some(packet_bytes))
}

/// PRELOGIN, and the handshake where one is agreed on.
async fn greet(wire: &mut Wire, encryption: &Encryption) -> io::Result<Option<Secured>> {
    let Some(message) = wire.receive().await? else { return Ok(None) };
    assert_eq!(message.kind, wire::PRELOGIN, "a message of another type where PRELOGIN is expected");
    let wanted = login::client_encryption(&message.payload);
    let wants = matches!(wanted, ENCRYPT_ON | ENCRYPT_REQUIRED);
    let (says, secured, tls) = match encryption {
        Encryption::NotSupported => (ENCRYPT_NOT_SUPPORTED, Secured::Not, None),
        Encryption::Declined => (ENCRYPT_OFF, Secured::Not, None),
        Encryption::Offered(tls) if wants => (ENCRYPT_ON, Secured::All, Some(tls)),
        Encryption::Offered(_) if wanted == ENCRYPT_NOT_SUPPORTED => (ENCRYPT_NOT_SUPPORTED, Secured::Not, None),
        Encryption::Offered(tls) => (ENCRYPT_OFF, Secured::Login, Some(tls)),
        Encryption::Required(tls) if wants => (ENCRYPT_ON, Secured::All, Some(tls)),
        Encryption::Required(tls) => (ENCRYPT_REQUIRED, Secured::All, Some(tls)),
    };
    wire.send(&wire::answer_packets(&login::prelogin_answer(says), PACKET_BYTES, false)).await?;
    if let Some(tls) = tls {
        // A client that does not go on has refused.
        if wire.begun().await?.is_none() {
            return Ok(None);
        }
        wire.start_tls(tls).await?;
    }
    Ok(Some(secured))
}
