use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Who reads what happens, line by line.
type Reader = Arc<dyn Fn(Duration, &str) + Send + Sync>;

/// Where what happens is written down, if anywhere.
#[derive(Clone, Default)]
pub struct Trace(Option<Reader>);

impl Trace {
    /// Nobody reads it.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// What happens is told to this function: how much virtual time has passed, and a line.
    #[must_use]
    pub fn to(reader: impl Fn(Duration, &str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(reader)))
    }

    pub(super) fn tell(&self, what: impl FnOnce() -> (Duration, String)) {
        if let Some(reader) = &self.0 {
            let (at, line) = what();
            reader(at, &line);
        }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trace").field(&self.0.is_some()).finish()
    }
}
