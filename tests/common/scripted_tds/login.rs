//! How a client introduces itself (MS-TDS 2.2.6.4 and 2.2.6.5).

use super::reader::{Reader, utf16};
use super::tokens::{self, SERVER_VERSION};

/// What a client has said when it logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    /// Of which connection. The first that was opened has number 0.
    pub(crate) connection: usize,
    /// Whether it came through TLS.
    pub(crate) is_encrypted: bool,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) database: String,
    pub(crate) application: String,
    pub(crate) host: String,
    pub(crate) server: String,
    /// What it wants packets to have at most.
    pub(crate) packet_bytes: usize,
    pub(crate) is_read_only: bool,
}

/// What each side says of encryption in PRELOGIN.
pub(crate) const ENCRYPT_OFF: u8 = 0;
pub(crate) const ENCRYPT_ON: u8 = 1;
pub(crate) const ENCRYPT_NOT_SUPPORTED: u8 = 2;
pub(crate) const ENCRYPT_REQUIRED: u8 = 3;

const VERSION: u8 = 0;
const ENCRYPTION: u8 = 1;
const INSTANCE: u8 = 2;
const THREAD: u8 = 3;
const MARS: u8 = 4;
const END: u8 = 0xff;

/// What a client says of encryption.
pub(crate) fn client_encryption(prelogin: &[u8]) -> u8 {
    let mut options = Reader::new("PRELOGIN", prelogin);
    loop {
        let option = options.u8();
        assert_ne!(option, END, "PRELOGIN says nothing of encryption");
        let (at, _length) = (options.u16_be(), options.u16_be());
        if option == ENCRYPTION {
            options.seek(at.into());
            return options.u8();
        }
    }
}

/// What the server answers to PRELOGIN.
pub(crate) fn prelogin_answer(encryption: u8) -> Vec<u8> {
    let version = [&SERVER_VERSION[..], &[0, 0]].concat();
    let options = [(VERSION, &version[..]), (ENCRYPTION, &[encryption]), (INSTANCE, &[0]), (THREAD, &[]), (MARS, &[0])];
    let mut at = 5 * options.len() + 1;
    let mut out = Vec::new();
    for (option, value) in options {
        out.push(option);
        out.extend((at as u16).to_be_bytes());
        out.extend((value.len() as u16).to_be_bytes());
        at += value.len();
    }
    out.push(END);
    options.iter().for_each(|(_, value)| out.extend(*value));
    out
}

impl Login {
    pub(crate) fn parse(connection: usize, is_encrypted: bool, login: &[u8]) -> Self {
        const READ_ONLY: u8 = 0x20;
        let mut fixed = Reader::new("LOGIN7", login);
        assert_eq!(fixed.u32() as usize, login.len(), "LOGIN7 has not the length that it says");
        let _version = fixed.u32();
        let packet_bytes = fixed.u32() as usize;
        fixed.seek(26);
        let type_flags = fixed.u8();
        let field = |number: usize| {
            let mut from = Reader::new("LOGIN7", login);
            from.seek(36 + 4 * number);
            let (at, units) = (from.u16(), from.u16());
            from.seek(at.into());
            from.bytes(2 * usize::from(units)).to_vec()
        };
        let text = |number| utf16("LOGIN7", &field(number));
        let password: Vec<u8> = field(2).into_iter().map(|byte| (byte ^ 0xa5).rotate_left(4)).collect();
        Self {
            connection,
            is_encrypted,
            host: text(0),
            user: text(1),
            password: utf16("LOGIN7", &password),
            application: text(3),
            server: text(4),
            // The extension, the library's name and the language are between them.
            database: text(8),
            packet_bytes,
            is_read_only: type_flags & READ_ONLY != 0,
        }
    }
}

/// What a client is told that may come in.
pub(crate) fn accepted(database: &str, packet_bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    tokens::put_database(database, &mut out);
    let context = format!("Changed database context to '{database}'.");
    tokens::put_info(&tokens::Message::new(5701, context).class(0), &mut out);
    tokens::put_login_ack(&mut out);
    tokens::put_packet_bytes(packet_bytes, &mut out);
    tokens::put_done(tokens::Done::Batch, 0, 0, &mut out);
    out
}

/// What a client is told that may not.
pub(crate) fn refused(why: &tokens::Message) -> Vec<u8> {
    let mut out = Vec::new();
    tokens::put_error(why, &mut out);
    tokens::put_done(tokens::Done::Batch, tokens::DONE_ERROR, 0, &mut out);
    out
}
