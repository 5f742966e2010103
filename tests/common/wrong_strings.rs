//! Connection strings of SQL Server that are refused, but for what stands before.

pub(crate) const WRONG: [&str; 9] = [
    "Encrypt=false",
    "TrustServerCertificate=true",
    "Encrypt=perhaps",
    "Server=a\\b",
    "Server=a,b",
    "Colour=blue",
    "Integrated Security=true",
    "nothing",
    "User ID='open",
];
