//! What must not be said, and where it was.

/// Everything that was planted.
#[derive(Default)]
pub(crate) struct Secrets(Vec<Secret>);

struct Secret {
    what: String,
    /// The ways in which somebody might print it, without white space.
    spellings: Vec<String>,
}

impl Secrets {
    /// From now on this is a secret.
    pub(crate) fn plant(&mut self, what: &str, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        assert!(secret.len() >= 6, "{what} is too short to be known again");
        self.0.push(Secret { what: what.to_owned(), spellings: spellings(secret) });
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// A line for each that is in one of these.
    pub(crate) fn found_in(&self, texts: &[String]) -> Vec<String> {
        let mut found = Vec::new();
        for text in texts {
            let squeezed = squeezed(text);
            for secret in &self.0 {
                if secret.spellings.iter().any(|spelling| squeezed.contains(spelling)) {
                    found.push(format!("{}: {text}", secret.what));
                }
            }
        }
        found
    }
}

/// Lists are printed on one line or on many.
fn squeezed(text: &str) -> String {
    text.chars().filter(|it| !it.is_whitespace()).collect()
}

/// As it is, as UTF-16, and as SQL Server's clients send a password.
fn spellings(secret: &[u8]) -> Vec<String> {
    let mut ways = vec![secret.to_vec()];
    if let Ok(text) = std::str::from_utf8(secret) {
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        // MS-TDS 2.2.6.4: the halves of each byte are swapped, and every other bit is turned round.
        ways.push(wide.iter().map(|byte| byte.rotate_left(4) ^ 0xa5).collect());
        ways.push(wide);
    }
    ways.iter().flat_map(|bytes| written(bytes)).collect()
}

fn written(bytes: &[u8]) -> Vec<String> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let numbers: Vec<String> = bytes.iter().map(ToString::to_string).collect();
    // As `bytes::Bytes` has it.
    let escaped: String =
        bytes.iter().map(|byte| if *byte == 0 { "\\0".to_owned() } else { byte.escape_ascii().to_string() }).collect();
    let mut all = vec![hex.to_uppercase(), hex, numbers.join(","), escaped, bytes.escape_ascii().to_string()];
    all.push(String::from_utf8_lossy(bytes).into_owned());
    all.iter().map(|text| squeezed(text)).collect()
}
