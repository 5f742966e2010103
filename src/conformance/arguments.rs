//! What `cargo test` and `cargo nextest` pass to a test program.

/// What the command line asks for.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) list: bool,
    exact: bool,
    ignored: bool,
    filters: Vec<String>,
    skipped: Vec<String>,
}

impl Arguments {
    pub(super) fn read(arguments: impl IntoIterator<Item = String>) -> Self {
        let mut read = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => read.list = true,
                "--exact" => read.exact = true,
                "--ignored" => read.ignored = true,
                "--skip" => read.skipped.extend(arguments.next()),
                "--format" | "--test-threads" | "--color" | "--logfile" | "-Z" => drop(arguments.next()),
                option if option.starts_with('-') => {}
                filter => read.filters.push(filter.to_owned()),
            }
        }
        read
    }

    pub(super) fn wants(&self, test: &str) -> bool {
        let matches = |filter: &String| if self.exact { test == filter } else { test.contains(filter.as_str()) };
        // None of these tests is ignored.
        !self.ignored
            && (self.filters.is_empty() || self.filters.iter().any(matches))
            && !self.skipped.iter().any(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Arguments {
        Arguments::read(arguments.iter().map(|it| (*it).to_owned()))
    }

    #[test]
    fn filters_are_parts_of_names_unless_exact() {
        assert!(read(&[]).wants("mine::repository::races::a"));
        assert!(read(&["races", "--test-threads", "1"]).wants("mine::repository::races::a"));
        assert!(!read(&["races", "--exact"]).wants("mine::repository::races::a"));
        assert!(!read(&["1"]).wants("mine::repository::races::a"));
        assert!(!read(&["--skip", "races"]).wants("mine::repository::races::a"));
        assert!(!read(&["--ignored"]).wants("mine::repository::races::a"));
        assert!(read(&["--list", "--format", "terse"]).list);
    }
}
