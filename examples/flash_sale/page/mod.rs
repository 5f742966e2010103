//! The page of `--report`: one HTML file that says how a sale went, and needs nothing else to be read.
//!
//! It works without a network and without scripts. Every text that comes from outside goes through [`escape::Text`].

mod chart;
mod curve;
mod date;
mod escape;
mod figures;
mod hall;
mod latency;
mod layout;
mod palette;
mod settings;
mod target;
mod verdict;

use crate::audit::Audited;
use crate::report::Report;
use crate::sale::Sale;

use self::escape::Text;
pub(crate) use self::target::Target;

const STYLE: &str = include_str!("style.css");

/// Everything that the page shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page<'s> {
    pub(crate) sale: &'s Sale,
    pub(crate) audited: &'s Audited,
    pub(crate) report: &'s Report,
    /// What did not go as it was ordered, each in a line.
    pub(crate) complaints: &'s [String],
}

impl Page<'_> {
    /// The file's content.
    pub(crate) fn html(&self) -> String {
        let name = Text(&self.sale.hall.name);
        let processes = palette::style(self.sale.processes);
        let sections = [
            verdict::banner(self),
            figures::tiles(self),
            hall::card(self),
            curve::card(self),
            latency::card(self),
            figures::refusals(self),
            figures::table(self),
            settings::card(self),
        ];
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{name} · flash sale report</title>\n\
             <style>\n{STYLE}{processes}</style>\n</head>\n<body>\n<main>\n{}{}{}</main>\n{}</body>\n</html>\n",
            self.header(),
            sections.concat(),
            self.footer(),
            palette::patterns(self.sale.processes),
        )
    }

    fn footer(&self) -> String {
        format!(
            "<footer><p>Held by the example flash_sale of {} {}. Process and time of each seat are from the processes' own \
             logs.</p></footer>\n",
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION")
        )
    }

    fn header(&self) -> String {
        format!(
            "<header>\n<p class=\"eyebrow\">Flash sale report <span>{}</span></p>\n<h1><bdi>{}</bdi></h1>\n<p class=\"lead\">{}</p>\n</header>\n",
            date::utc(self.sale.prepared_at_s),
            Text(&self.sale.hall.name),
            settings::in_a_sentence(self.sale),
        )
    }
}
