//! Tables that are made anew between two marks of a page.

use std::io;
use std::path::Path;

/// Puts the text between `<!-- NAME: begin -->` and `<!-- NAME: end -->`.
pub(crate) fn fill(file: &Path, name: &str, text: &str) -> io::Result<()> {
    let page = std::fs::read_to_string(file)?;
    let (begin, end) = (format!("<!-- {name}: begin -->"), format!("<!-- {name}: end -->"));
    let marks = page.find(&begin).map(|at| at + begin.len()).zip(page.find(&end)).filter(|(begin, end)| begin <= end);
    let (from, to) = marks.ok_or_else(|| io::Error::other(format!("no {begin} and {end} in {}", file.display())))?;
    std::fs::write(file, format!("{}\n{text}{}", &page[..from], &page[to..]))
}
