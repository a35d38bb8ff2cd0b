//! The neighbours of Glue that clients ask on the same address: STS and of IAM `GetRole`. They speak the query
//! protocol: a form in, XML out. <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>
//!
//! ```text
//! Action=GetCallerIdentity&Version=2011-06-15
//! <GetCallerIdentityResponse xmlns="..."><GetCallerIdentityResult>...</...><ResponseMetadata>...
//! ```

mod iam;
mod sts;

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::glue::Context;
use crate::identity::Identity;
use crate::wire::Output;

/// Members of a form that are read, at most.
const MAX_MEMBERS: usize = 200;

/// A service of the query protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Sts,
    Iam,
}

impl Service {
    /// The service that a credential's scope names.
    pub(crate) fn of_scope(name: &str) -> Option<Self> {
        match name {
            "sts" => Some(Self::Sts),
            "iam" => Some(Self::Iam),
            _ => None,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::Iam => "iam",
        }
    }

    const fn namespace(self) -> &'static str {
        match self {
            Self::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Self::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
        }
    }
}

/// The operation's name, if it is one of those below.
pub(crate) fn known(operation: &str) -> Option<&'static str> {
    const KNOWN: [&str; 4] = [
        "AssumeRole",
        "GetCallerIdentity",
        "GetRole",
        "GetSessionToken",
    ];
    KNOWN.into_iter().find(|known| *known == operation)
}

/// Whether an operation gives something away and belongs into the audit log.
pub(crate) fn is_mutation(operation: &str) -> bool {
    matches!(operation, "AssumeRole" | "GetSessionToken")
}

/// Performs an operation.
pub(crate) fn perform(
    service: Service,
    operation: &str,
    context: &Context,
    identity: &Identity,
    input: &Value,
) -> Result<Output, Fault> {
    let input = Form(input);
    // Its members are the elements of the answer.
    let result = match (service, operation) {
        (Service::Sts, "GetCallerIdentity") => Ok(sts::get_caller_identity(context)),
        (Service::Sts, "AssumeRole") => sts::assume_role(context, identity, input),
        (Service::Sts, "GetSessionToken") => sts::get_session_token(context, identity, input),
        (Service::Iam, "GetRole") => iam::get_role(context, input),
        (service, operation) => {
            let shown: String = operation.chars().take(100).collect();
            let message = format!("Could not find operation {shown} of {}", service.name());
            Err(Fault::new("UnknownOperationException", message))
        }
    }?;
    let mut body = String::new();
    elements(&mut body, &result);
    Ok(Output { body, failures: 0 })
}

/// Members of a form.
#[derive(Clone, Copy)]
struct Form<'a>(&'a Value);

impl<'a> Form<'a> {
    fn get(self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str)
    }

    fn required(self, name: &str) -> Result<&'a str, Fault> {
        self.get(name).ok_or_else(|| {
            let member = format!("{}{}", name[..1].to_lowercase(), &name[1..]);
            invalid(&format!(
                "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must \
                 not be null"
            ))
        })
    }
}

/// As much of a caller's text as a message repeats.
fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

fn invalid(message: &str) -> Fault {
    Fault::new("ValidationException", message)
}

/// Reads a form. Of a member that is sent twice the last counts.
pub(crate) fn input(body: &Bytes) -> Result<Value, Fault> {
    let unreadable = || Fault::new("MalformedInput", "the body is not a form of UTF-8 text");
    let text = std::str::from_utf8(body).map_err(|_| unreadable())?;
    let mut members = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        if members.len() == MAX_MEMBERS {
            let message = format!("the form has more than {MAX_MEMBERS} members");
            return Err(Fault::new("MalformedInput", message));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| decode(text).ok_or_else(unreadable);
        members.insert(decode(name)?, Value::String(decode(value)?));
    }
    Ok(Value::Object(members))
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

/// The HTTP answer.
pub(crate) fn answer(
    service: Service,
    operation: &str,
    outcome: Result<Output, Fault>,
    request_id: &str,
) -> Response {
    let namespace = service.namespace();
    let (status, body) = match outcome {
        Ok(result) => {
            let mut body =
                format!("<{operation}Response xmlns=\"{namespace}\"><{operation}Result>");
            body.push_str(&result.body);
            body.push_str(&format!(
                "</{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>\
                 </{operation}Response>"
            ));
            (200, body)
        }
        Err(fault) => {
            let sender = if fault.status < 500 {
                "Sender"
            } else {
                "Receiver"
            };
            let mut body =
                format!("<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{sender}</Type><Code>");
            escape(&mut body, code(fault.name));
            body.push_str("</Code><Message>");
            escape(&mut body, &fault.message);
            body.push_str(&format!(
                "</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
            ));
            (fault.status, body)
        }
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// What the query protocol calls an exception.
fn code(name: &'static str) -> &'static str {
    match name {
        "InvalidSignatureException" => "SignatureDoesNotMatch",
        "UnrecognizedClientException" => "InvalidClientTokenId",
        "MissingAuthenticationTokenException" => "MissingAuthenticationToken",
        "IncompleteSignatureException" => "IncompleteSignature",
        "ExpiredTokenException" => "ExpiredToken",
        "ThrottlingException" => "Throttling",
        "AccessDeniedException" => "AccessDenied",
        "ValidationException" => "ValidationError",
        "UnknownOperationException" => "InvalidAction",
        "InternalServiceException" => "InternalFailure",
        name => name,
    }
}

fn elements(body: &mut String, value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                body.push_str(&format!("<{name}>"));
                elements(body, value);
                body.push_str(&format!("</{name}>"));
            }
        }
        Value::String(text) => escape(body, text),
        other => body.push_str(&other.to_string()),
    }
}

fn escape(body: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => body.push_str("&amp;"),
            '<' => body.push_str("&lt;"),
            '>' => body.push_str("&gt;"),
            '"' => body.push_str("&quot;"),
            // XML has no way to write most control characters.
            character if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => {
                body.push('\u{fffd}');
            }
            character => body.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let read = |text: &'static str| input(&Bytes::from_static(text.as_bytes()));
        assert_eq!(
            read("Action=A&Name=a+b%2Bc%C3%BC&Empty=&Flag&&Action=B").unwrap(),
            json!({"Action": "B", "Name": "a b+cü", "Empty": "", "Flag": ""})
        );
        assert_eq!(read("").unwrap(), json!({}));
        for bad in ["a=%", "a=%4", "a=%zz", "a=%ff", "%=1"] {
            assert_eq!(read(bad).unwrap_err().name, "MalformedInput", "{bad}");
        }
        let many = ["a=1&"; 3].concat();
        input(&Bytes::from(many)).unwrap();
        let many: String = (0..=MAX_MEMBERS).map(|n| format!("m{n}=1&")).collect();
        input(&Bytes::from(many)).unwrap_err();
    }

    #[test]
    fn texts_cannot_break_out_of_their_element() {
        let mut body = String::new();
        elements(
            &mut body,
            &json!({"A": "<x>&\"\u{0}\u{1b}é", "B": {"C": 1}}),
        );
        assert_eq!(
            body,
            "<A>&lt;x&gt;&amp;&quot;\u{fffd}\u{fffd}é</A><B><C>1</C></B>"
        );
    }
}
