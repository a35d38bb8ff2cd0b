//! Where a connection leads: hosts and ports in the properties of a connection.
//!
//! | property | forms |
//! |---|---|
//! | `JDBC_CONNECTION_URL` | `jdbc:<engine>:...//host:port/...`, several hosts by commas, `;` parameters, Oracle's `thin:@host:port:sid` |
//! | `KAFKA_BOOTSTRAP_SERVERS` | `host:port,host:port` |
//! | `CONNECTION_URL`, `CONNECTOR_URL`, `ENDPOINT` | `scheme://host:port/...` |
//! | `HOST`, `PORT` | as they are |

use std::collections::BTreeMap;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) port: u16,
}

/// Ports that are meant when none is given, by scheme, engine or type of connection.
const PORTS: [(&str, u16); 22] = [
    ("azuresql", 1433),
    ("db2", 50000),
    ("documentdb", 27017),
    ("hive2", 10000),
    ("http", 80),
    ("https", 443),
    ("kafka", 9092),
    ("mariadb", 3306),
    ("mongodb", 27017),
    ("mysql", 3306),
    ("opensearch", 443),
    ("oracle", 1521),
    ("postgresql", 5432),
    ("redshift", 5439),
    ("saphana", 30015),
    ("sftp", 22),
    ("snowflake", 443),
    ("sqlserver", 1433),
    ("synapse", 1433),
    ("teradata", 1025),
    ("trino", 8080),
    ("vertica", 5433),
];

/// The endpoints of a connection of this type. One that answers is enough.
///
/// Fails with what is missing or cannot be read.
pub(super) fn endpoints(
    connection_type: &str,
    properties: &BTreeMap<String, String>,
) -> Result<Vec<Endpoint>, String> {
    let property = |name: &str| properties.get(name).map(String::as_str);
    let found = if let Some(url) = property("JDBC_CONNECTION_URL") {
        jdbc(url)
    } else if let Some(servers) = property("KAFKA_BOOTSTRAP_SERVERS") {
        servers
            .split(',')
            .map(|server| endpoint(server.rsplit("//").next().unwrap_or(server), Some(9092)))
            .collect()
    } else if let Some(url) = ["CONNECTION_URL", "CONNECTOR_URL", "ENDPOINT"]
        .into_iter()
        .find_map(property)
    {
        located(url)
    } else if let Some(host) = property("HOST") {
        let port = match property("PORT") {
            Some(port) => Some(
                port.parse()
                    .map_err(|_| format!("PORT {port:?} is no port"))?,
            ),
            None => port_of(property("JDBC_ENGINE").unwrap_or(connection_type)),
        };
        endpoint(host, port).map(|endpoint| vec![endpoint])
    } else {
        None
    };
    found.filter(|found| !found.is_empty()).ok_or_else(|| {
        format!(
            "a connection of type {connection_type} with these properties names no host and port that could be \
             tried; JDBC_CONNECTION_URL, KAFKA_BOOTSTRAP_SERVERS, CONNECTION_URL, or HOST and PORT would"
        )
    })
}

fn jdbc(url: &str) -> Option<Vec<Endpoint>> {
    let rest = url.strip_prefix("jdbc:")?;
    let engine = rest.split(':').next()?;
    let authority = match rest.split_once('@') {
        // Oracle: thin:@host:port:sid, thin:@//host:port/service, thin://@host:port/service.
        Some((before, after)) if before.starts_with("oracle:") => after.trim_start_matches('/'),
        _ => rest.split_once("//")?.1,
    };
    hosts(authority, port_of(engine))
}

fn located(url: &str) -> Option<Vec<Endpoint>> {
    let Some((scheme, authority)) = url.split_once("://") else {
        return hosts(url, None);
    };
    // Its hosts are known to a name server only.
    (scheme != "mongodb+srv").then(|| hosts(authority, port_of(scheme)))?
}

/// `user@host:port,host:port` up to what ends an authority.
fn hosts(authority: &str, port: Option<u16>) -> Option<Vec<Endpoint>> {
    let authority = authority.split(['/', '?', ';']).next()?;
    let authority = authority.rsplit('@').next()?;
    authority
        .split(',')
        .map(|host| endpoint(host, port))
        .collect()
}

/// `host`, `host:port`, `[::1]:port`; also `host:port:sid` and `host\instance:port`.
fn endpoint(text: &str, default: Option<u16>) -> Option<Endpoint> {
    let text = text.trim();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, rest)) => (host, rest.split(':').next()),
            None => (text, None),
        },
    };
    let host = host.split('\\').next().unwrap_or(host);
    let port = match port {
        Some(port) => port.parse().ok(),
        None => default,
    };
    let endpoint = Endpoint {
        host: host.to_owned(),
        port: port.filter(|port| *port != 0)?,
    };
    (!host.is_empty() && host.chars().all(may_be_in_a_host)).then_some(endpoint)
}

/// Names and addresses, also those of other alphabets; what a resolver should never see is not among them.
fn may_be_in_a_host(character: char) -> bool {
    character.is_alphanumeric() || ".-_:%".contains(character)
}

fn port_of(scheme: &str) -> Option<u16> {
    let scheme = scheme.to_lowercase();
    let found = PORTS.iter().find(|(name, _)| *name == scheme);
    found.map(|(_, port)| *port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(properties: &[(&str, &str)]) -> Result<String, String> {
        let properties = properties
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let found = endpoints("MYSQL", &properties)?;
        let shown = found
            .iter()
            .map(|endpoint| format!("{} {}", endpoint.host, endpoint.port));
        Ok(shown.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn addresses_are_found_in_every_form() {
        for (url, expected) in [
            (
                "jdbc:postgresql://db.example:5432/x?ssl=true",
                "db.example 5432",
            ),
            ("jdbc:postgresql://db.example/x", "db.example 5432"),
            ("jdbc:redshift:iam://c.example:5439/dev", "c.example 5439"),
            ("jdbc:mysql://a:3306,b:3307/x", "a 3306, b 3307"),
            ("jdbc:mysql:loadbalance://a,b/x", "a 3306, b 3306"),
            ("jdbc:sqlserver://h:1433;databaseName=d", "h 1433"),
            ("jdbc:sqlserver://h\\inst;databaseName=d", "h 1433"),
            ("jdbc:oracle:thin:@h:1521:sid", "h 1521"),
            ("jdbc:oracle:thin:@//h:1522/service", "h 1522"),
            ("jdbc:oracle:thin://@h:1521/service", "h 1521"),
            (
                "jdbc:snowflake://a.snowflakecomputing.com/?db=x",
                "a.snowflakecomputing.com 443",
            ),
            ("jdbc:postgresql://[2001:db8::1]:5433/x", "2001:db8::1 5433"),
        ] {
            assert_eq!(
                of(&[("JDBC_CONNECTION_URL", url)]).as_deref(),
                Ok(expected),
                "{url}"
            );
        }
        let kafka = |servers| of(&[("KAFKA_BOOTSTRAP_SERVERS", servers)]);
        assert_eq!(
            kafka("SASL_SSL://b1:9094, b2").as_deref(),
            Ok("b1 9094, b2 9092")
        );
        let located = |url| of(&[("CONNECTION_URL", url)]);
        assert_eq!(
            located("mongodb://h1,h2:27018/db").as_deref(),
            Ok("h1 27017, h2 27018")
        );
        assert_eq!(
            located("https://api.example/v1").as_deref(),
            Ok("api.example 443")
        );
        assert_eq!(of(&[("HOST", "h"), ("PORT", "99")]).as_deref(), Ok("h 99"));
        assert_eq!(of(&[("HOST", "h")]).as_deref(), Ok("h 3306"));
    }

    #[test]
    fn what_names_no_address_is_refused() {
        for properties in [
            vec![],
            vec![("CONNECTION_URL", "mongodb+srv://cluster.example")],
            vec![("JDBC_CONNECTION_URL", "jdbc:unknown:file")],
            vec![("JDBC_CONNECTION_URL", "jdbc:unknown://h/x")],
            vec![("JDBC_CONNECTION_URL", "")],
            vec![("KAFKA_BOOTSTRAP_SERVERS", "h:0")],
            vec![("KAFKA_BOOTSTRAP_SERVERS", "h:99999")],
            vec![("CONNECTION_URL", "https://:80/")],
            vec![("CONNECTION_URL", "https://[::1/")],
        ] {
            let error = of(&properties).unwrap_err();
            assert!(
                error.contains("names no host and port"),
                "{properties:?}: {error}"
            );
        }
        let error = of(&[("HOST", "h"), ("PORT", "x")]).unwrap_err();
        assert_eq!(error, "PORT \"x\" is no port");
    }

    #[test]
    fn whatever_is_cut_off_nothing_panics() {
        for whole in [
            "jdbc:oracle:thin:@//h\u{e4}:1522/ser;vice?a=b",
            "jdbc:sqlserver://h\\inst:1433;databaseName=d",
            "mongodb://u@[2001:db8::1]:1,b:2/x",
        ] {
            let cuts: Vec<_> = (0..=whole.len())
                .filter(|at| whole.is_char_boundary(*at))
                .collect();
            for from in &cuts {
                for to in cuts.iter().filter(|to| *to >= from) {
                    for name in [
                        "JDBC_CONNECTION_URL",
                        "CONNECTION_URL",
                        "KAFKA_BOOTSTRAP_SERVERS",
                        "HOST",
                    ] {
                        if let Ok(found) = of(&[(name, &whole[*from..*to])]) {
                            assert!(!found.starts_with(' '), "{found}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_host_is_not_looked_up() {
        for host in ["a b", "a\nb", "\u{0}", "a/b", "a?b"] {
            of(&[("HOST", host), ("PORT", "1")]).unwrap_err();
        }
        assert_eq!(
            of(&[("HOST", "münchen.example"), ("PORT", "1")]).unwrap(),
            "münchen.example 1"
        );
    }
}
