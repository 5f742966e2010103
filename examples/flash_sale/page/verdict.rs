//! What the audit says.

use super::Page;
use super::escape::Text;
use crate::display::grouped;

/// The verdict, to be seen first; with what was found, when it failed.
pub(super) fn banner(page: &Page<'_>) -> String {
    let audited = page.audited;
    let read = format!(
        "{} reservations, {} changes and {} answers compared in {:.1} s",
        grouped(audited.reservations as u64),
        grouped(audited.changes as u64),
        grouped(audited.journal.answers.len() as u64),
        audited.took.as_secs_f64()
    );
    let (class, mark, title, words) = if audited.passed() {
        let holds = "Nothing sold twice, nothing acknowledged lost, nothing sold unasked. Pools within capacity, every \
                     booking all or nothing, and the change feed tells the same story.";
        ("good", "M4 10.5 8.2 14.7 16 6", "Audit passed", holds.to_owned())
    } else {
        ("bad", "M5 5 15 15M15 5 5 15", "Audit failed", counts(page))
    };
    format!(
        "<section class=\"verdict {class}\" aria-labelledby=\"verdict\">\n\
         <svg class=\"sign\" viewBox=\"0 0 20 20\" aria-hidden=\"true\"><path d=\"{mark}\"/></svg>\n\
         <div>\n<h2 id=\"verdict\">{title}</h2>\n<p>{words}</p>\n<p class=\"dim\">{read}</p>\n{}{}</div>\n</section>\n",
        findings(page),
        complaints(page)
    )
}

fn counts(page: &Page<'_>) -> String {
    let findings = &page.audited.findings;
    format!(
        "{} sold twice, {} acknowledged and lost, {} sold unasked, {} other.",
        grouped(findings.double_booked),
        grouped(findings.lost_acknowledged),
        grouped(findings.unrequested_sold),
        grouped(findings.other)
    )
}

fn findings(page: &Page<'_>) -> String {
    let findings = &page.audited.findings;
    if findings.lines.is_empty() {
        return String::new();
    }
    let mut lines: String = findings.lines.iter().map(|line| format!("<li>{}</li>\n", Text(line))).collect();
    if findings.untold() > 0 {
        lines += &format!("<li class=\"dim\">and {} more</li>\n", grouped(findings.untold()));
    }
    format!("<ul class=\"findings\" aria-label=\"Findings\">\n{lines}</ul>\n")
}

/// A sale can be sound and yet not go as it was ordered.
fn complaints(page: &Page<'_>) -> String {
    page.complaints.iter().map(|line| format!("<p class=\"complaint\">Not as ordered: {}</p>\n", Text(line))).collect()
}
