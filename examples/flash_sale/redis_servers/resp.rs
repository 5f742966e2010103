//! As much of Redis's protocol as talking to one's own servers needs
//! (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::str::FromStr;
use std::time::Duration;

/// Who sends the commands of tests.
pub(super) const USER: &str = "control";

/// How long a reply may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What a reply may hold at most, in bytes and in items, and how deep its lists may be.
const REPLY_MAX: u64 = 64 << 20;
const DEPTH_MAX: u32 = 8;

/// A connection that sends a command and waits for its reply.
#[derive(Debug)]
pub(super) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(super) fn open(port: u16) -> io::Result<Self> {
        Self::open_within(port, TIMEOUT)
    }

    fn open_within(port: u16, timeout: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// The text of the reply. An error reply is an error.
    pub(super) fn send<W: AsRef<[u8]>>(&mut self, words: &[W]) -> io::Result<String> {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words.iter().map(AsRef::as_ref) {
            bytes.extend(format!("${}\r\n", word.len()).bytes());
            bytes.extend(word);
            bytes.extend(b"\r\n");
        }
        self.0.get_mut().write_all(&bytes)?;
        self.reply(DEPTH_MAX)
    }

    /// As one types it: a line, not a list of words.
    fn send_line(&mut self, line: &str) -> io::Result<String> {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        self.reply(DEPTH_MAX)
    }

    fn reply(&mut self, depth: u32) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut self.0).take(REPLY_MAX).read_until(b'\n', &mut line)?;
        let (Some(kind), Some(text)) = (line.first(), line.get(1..).and_then(|text| text.strip_suffix(b"\r\n"))) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let text = String::from_utf8_lossy(text);
        match kind {
            b'+' | b':' => Ok(text.into_owned()),
            b'-' => Err(io::Error::other(text.into_owned())),
            b'$' | b'*' if text.starts_with('-') => Ok("(nil)".to_owned()),
            b'$' => {
                let mut bytes = vec![0; length(&text)? + 2];
                self.0.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            b'*' if depth > 0 => {
                let items: io::Result<Vec<String>> = (0..length(&text)?).map(|_| self.reply(depth - 1)).collect();
                Ok(items?.join("\n"))
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "no reply of a Redis server")),
        }
    }
}

fn length(text: &str) -> io::Result<usize> {
    let length = text.parse().ok().filter(|length| *length <= REPLY_MAX as usize);
    length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a reply of no possible length"))
}

/// The process that answers `PING` on a port, if it is a Redis server.
pub(super) fn process_id(port: u16) -> io::Result<i32> {
    let mut connection = Connection::open_within(port, Duration::from_secs(1))?;
    connection.send_line("PING")?;
    let text = connection.send_line("INFO server")?;
    field(&text, "process_id").ok_or_else(|| io::Error::other("INFO server has no process_id"))
}

/// A number that `INFO` has told.
pub(super) fn field<T: FromStr>(info: &str, name: &str) -> Option<T> {
    let of_line = |line: &str| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok();
    info.lines().find_map(of_line)
}
