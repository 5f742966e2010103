//! Connection strings as ADO.NET has them: pairs of a key and a value.
//!
//! The driver has a reader of its own, which takes settings that weaken TLS without saying so. Here every key is known or refused.

use super::error::MssqlError;

/// What a connection string says.
#[derive(Default, Clone, PartialEq, Eq)]
pub(super) struct ConnectionString {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) database: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) application: Option<String>,
    pub(super) host_in_certificate: Option<String>,
    /// What it says about encryption, as it says it, and whether that is at least TLS.
    pub(super) encrypt: Option<(String, bool)>,
    pub(super) trusts_any_certificate: bool,
}

impl ConnectionString {
    pub(super) fn parse(text: &str) -> Result<Self, MssqlError> {
        let refuse = |why: String| Err(MssqlError::Config { why });
        let mut said = Self::default();
        for (number, (key, value)) in (1..).zip(pairs(text)?) {
            // Spaces in keys and their case mean nothing.
            let name: String = key.chars().filter(|it| !it.is_whitespace()).collect::<String>().to_lowercase();
            match name.as_str() {
                "server" | "datasource" | "address" | "addr" | "networkaddress" => said.server(&value)?,
                "database" | "initialcatalog" => said.database = Some(value),
                "userid" | "uid" | "user" => said.user = Some(value),
                "password" | "pwd" => said.password = Some(value),
                "applicationname" | "app" => said.application = Some(value),
                "hostnameincertificate" => said.host_in_certificate = Some(value),
                "encrypt" => {
                    let is_tls = match value.to_lowercase().as_str() {
                        "true" | "yes" | "mandatory" => true,
                        "false" | "no" | "optional" => false,
                        // It may be the rest of a string whose parts are not parted, and hold a password.
                        _ => return refuse("Encrypt is true or false here".to_owned()),
                    };
                    said.encrypt = Some((format!("{}={value}", key.trim()), is_tls));
                }
                "trustservercertificate" => said.trusts_any_certificate = truth(&key, &value)?,
                // It means what it says where it says no, as the strings that portals show do.
                "multipleactiveresultsets" | "mars" | "integratedsecurity" | "trusted_connection" => {
                    if truth(&key, &value)? {
                        return refuse(format!("{} is not supported", key.trim()));
                    }
                }
                // The builder says how long things take, and nobody asks a repository for its password.
                "connectiontimeout" | "connecttimeout" | "timeout" | "persistsecurityinfo" => {}
                // It may be the rest of a password that should stand in quotes.
                _ => return refuse(format!("its key number {number} is not known")),
            }
        }
        Ok(said)
    }

    /// `host`, `host,port`, with `tcp:` in front of it or not.
    fn server(&mut self, value: &str) -> Result<(), MssqlError> {
        let refuse = |why: &str| Err(MssqlError::Config { why: why.to_owned() });
        let value = value.strip_prefix("tcp:").unwrap_or(value);
        let (host, port) = match value.split_once(',') {
            Some((host, port)) => (host, Some(port)),
            None => (value, None),
        };
        let host = host.trim();
        if host.contains('\\') {
            return refuse("a named instance is found by its port: Server=host,port");
        }
        if host.is_empty() {
            return refuse("it names no host");
        }
        if host.contains(|it: char| it.is_whitespace() || it == '=') {
            return refuse("its host is none: parts of the string are parted by ;");
        }
        self.port = match port.map(|port| port.trim().parse::<u16>()) {
            None => None,
            Some(Ok(port)) => Some(port),
            Some(Err(_)) => return refuse("its port is no number from 0 to 65535"),
        };
        // As ADO.NET calls this machine.
        self.host = Some(if matches!(host, "." | "(local)") { "localhost" } else { host }.to_owned());
        Ok(())
    }
}

fn truth(key: &str, value: &str) -> Result<bool, MssqlError> {
    match value.to_lowercase().as_str() {
        "true" | "yes" | "sspi" => Ok(true),
        "false" | "no" => Ok(false),
        _ => Err(MssqlError::Config { why: format!("{} is neither true nor false", key.trim()) }),
    }
}

/// The pairs, by the rules of
/// <https://learn.microsoft.com/dotnet/api/system.data.common.dbconnectionstringbuilder.connectionstring>: a value in single or
/// double quotes may have anything in it, its own quote twice.
fn pairs(text: &str) -> Result<Vec<(String, String)>, MssqlError> {
    let refuse = |why: &str| Err(MssqlError::Config { why: why.to_owned() });
    let mut pairs = Vec::new();
    let mut rest = text.trim_start_matches(|it: char| it == ';' || it.is_whitespace());
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once('=') else { return refuse("something in it is no key with a value") };
        if key.contains(';') {
            return refuse("something in it is no key with a value");
        }
        let after = after.trim_start();
        let (value, after) = match after.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                let Some((value, after)) = quoted(&after[1..], quote) else {
                    return refuse("a quote in it does not end");
                };
                let after = after.trim_start();
                if !(after.is_empty() || after.starts_with(';')) {
                    return refuse("something in it follows a quoted value");
                }
                (value, after)
            }
            _ => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim_end().to_owned(), &after[end..])
            }
        };
        pairs.push((key.to_owned(), value));
        rest = after.trim_start_matches(|it: char| it == ';' || it.is_whitespace());
    }
    Ok(pairs)
}

/// What is before the end of the quote, and what is after it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once(quote)?;
        value.push_str(part);
        match after.strip_prefix(quote) {
            Some(after) => {
                value.push(quote);
                rest = after;
            }
            None => return Some((value, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> ConnectionString {
        ConnectionString::parse(text).unwrap()
    }

    #[test]
    fn what_portals_show_is_understood() {
        let azure = said(
            "Server=tcp:sale.database.windows.net,1433;Initial Catalog=tickets;Persist Security Info=False;User ID=box;\
             Password=x=y;MultipleActiveResultSets=False;Encrypt=True;TrustServerCertificate=False;Connection Timeout=30;",
        );
        assert_eq!((azure.host.as_deref(), azure.port), (Some("sale.database.windows.net"), Some(1433)));
        assert_eq!((azure.database.as_deref(), azure.user.as_deref()), (Some("tickets"), Some("box")));
        assert_eq!(azure.password.as_deref(), Some("x=y"));
        assert_eq!(azure.encrypt, Some(("Encrypt=True".to_owned(), true)));
        assert!(!azure.trusts_any_certificate);
    }

    #[test]
    fn quotes_keep_what_is_in_them() {
        assert_eq!(said("pwd='a;b''c\" ' ; uid = \"d\"\"e\"").password.as_deref(), Some("a;b'c\" "));
        assert_eq!(said("pwd='a;b' ; uid = \"d\"\"é\"").user.as_deref(), Some("d\"é"));
        assert_eq!(said(" ; server = . ;; ").host.as_deref(), Some("localhost"));
    }

    #[test]
    fn what_is_not_understood_is_refused_without_its_password() {
        for text in [
            "hunter2",
            "Server=a;hunter2;Password=x",
            "Password='hunter2",
            "Password='hunter2'x",
            "Server=a\\hunter2",
            "Server=a,hunter2",
            "Server=",
            "Encrypt=maybe;Password=hunter2",
            "Encrypt=maybe Password=hunter2",
            "Server=10.0.0.1 Password=hunter2",
            "TrustServerCertificate=perhaps;Password=hunter2",
            "Integrated Security=SSPI;Password=hunter2",
            "Colour=hunter2",
        ] {
            let Err(refused) = ConnectionString::parse(text) else { panic!("{text} is not refused") };
            assert!(!format!("{refused} {refused:?}").contains("hunter2"), "{refused:?}");
        }
    }
}
