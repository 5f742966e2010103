//! What makes SQL Server's adapter refuse the connection string that it stands at the end of.

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
