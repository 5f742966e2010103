//! Reads what a client has sent. What is not as MS-TDS has it is a panic, which the server hands on to the test.

/// A message of the client's, from where it has been read to.
pub(crate) struct Reader<'a> {
    what: &'static str,
    all: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// `what` is named when there is too little of it.
    pub(crate) fn new(what: &'static str, all: &'a [u8]) -> Self {
        Self { what, all, at: 0 }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.all.len()
    }

    /// Goes to a place that the message names.
    pub(crate) fn seek(&mut self, at: usize) {
        assert!(at <= self.all.len(), "{} of {} bytes refers to byte {at}", self.what, self.all.len());
        self.at = at;
    }

    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let left = &self.all[self.at..];
        let Some(bytes) = left.get(..count) else {
            panic!("{} ends {} bytes after byte {}, where {count} are expected", self.what, left.len(), self.at)
        };
        self.at += count;
        bytes
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.bytes(N).try_into().expect("as many bytes as were asked for")
    }

    pub(crate) fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.array())
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(crate) fn u16_be(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// UTF-16 of so many code units.
    pub(crate) fn text(&mut self, units: usize) -> String {
        utf16(self.what, self.bytes(2 * units))
    }

    /// UTF-16 to the end.
    pub(crate) fn text_to_end(&mut self) -> String {
        utf16(self.what, self.bytes(self.all.len() - self.at))
    }

    /// Text with its length in one byte before it.
    pub(crate) fn b_varchar(&mut self) -> String {
        let units = self.u8();
        self.text(units.into())
    }

    /// A value of a type without a limit, which comes in chunks (PLP). `None` is null.
    pub(crate) fn chunks(&mut self) -> Option<Vec<u8>> {
        const NULL: u64 = u64::MAX;
        const UNKNOWN: u64 = u64::MAX - 1;
        let total = self.u64();
        if total == NULL {
            return None;
        }
        let mut value = Vec::new();
        loop {
            match self.u32() {
                0 => break,
                chunk => value.extend_from_slice(self.bytes(chunk as usize)),
            }
        }
        assert!(total == UNKNOWN || total == value.len() as u64, "{} says {total}, has {}", self.what, value.len());
        Some(value)
    }
}

/// Text of what is little-endian UTF-16.
pub(crate) fn utf16(what: &str, bytes: &[u8]) -> String {
    let (units, odd) = bytes.as_chunks::<2>();
    assert!(odd.is_empty(), "{what} has text of {} bytes", bytes.len());
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    char::decode_utf16(units).collect::<Result<_, _>>().unwrap_or_else(|wrong| panic!("{what} has text with {wrong}"))
}
