//! Arrays as texts, as an array of arrays of different lengths is none.

/// An array as PostgreSQL writes it (<https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO>); none if it is empty.
pub(super) fn array_text(elements: impl Iterator<Item = impl AsRef<str>>) -> Option<String> {
    let mut text = String::from("{");
    for element in elements {
        text.push_str(if text.len() == 1 { "\"" } else { ",\"" });
        for character in element.as_ref().chars() {
            if matches!(character, '"' | '\\') {
                text.push('\\');
            }
            text.push(character);
        }
        text.push('"');
    }
    text.push('}');
    (text.len() > 2).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_written_as_postgresql_reads_it() {
        assert_eq!(array_text(["a", "b c"].iter()).as_deref(), Some(r#"{"a","b c"}"#));
        assert_eq!(array_text([r#"a"b\c"#, "{,}", "NULL"].iter()).as_deref(), Some(r#"{"a\"b\\c","{,}","NULL"}"#));
        assert_eq!(array_text(std::iter::empty::<&str>()), None);
    }
}
