//! A date, for people.

const DAY_S: u64 = 86_400;

/// Seconds since the Unix epoch as date and time in UTC.
///
/// Days to a date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`, for days from 1970 on.
/// Its years begin in March, so that a leap day is the last of one, and 400 of them are an era of 146,097 days.
pub(super) fn utc(unix_s: u64) -> String {
    let (days, of_day) = (unix_s / DAY_S + 719_468, unix_s % DAY_S);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", of_day / 3_600, of_day / 60 % 60)
}
