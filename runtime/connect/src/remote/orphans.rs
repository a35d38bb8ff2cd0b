//! [`OpenUploads`]: the uploads of a bucket that nobody has completed or aborted, S3's `ListMultipartUploads`.
//!
//! A process that was killed leaves such uploads, which nobody sees and somebody pays for. The object stores of Google and
//! Azure drop them by themselves (by a lifecycle rule, and after a week), and their listing is not ours to read.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequest, HttpRequestBody};
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::Event;
use reqwest::{Method, StatusCode};

use crate::remote::client::Client;
use crate::remote::connection::Connection;
use crate::remote::location::Location;
use crate::remote::store::{region, s3_endpoint};

/// Most pages of a listing: 1000 uploads each.
const MAX_PAGES: usize = 100;

/// One upload.
#[derive(Debug)]
pub(crate) struct OpenUpload {
    pub(crate) key: String,
    id: String,
    /// By the server's clock.
    pub(crate) age: Duration,
}

/// Lists and aborts the uploads of one bucket.
pub(crate) struct OpenUploads {
    client: Client,
    bucket_url: String,
    region: String,
    credential: Option<AwsCredential>,
}

impl fmt::Debug for OpenUploads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenUploads({})", self.bucket_url)
    }
}

/// One answer of a listing.
#[derive(Debug, Default, PartialEq)]
struct Page {
    uploads: Vec<PageUpload>,
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
}

#[derive(Debug, Default, PartialEq)]
struct PageUpload {
    key: String,
    id: String,
    initiated: DateTime<Utc>,
}

impl Page {
    /// Reads `ListMultipartUploadsResult`; elements that are not asked for are passed over.
    fn parse(text: &str) -> Result<Self, AnyError> {
        let mut reader = Reader::from_str(text);
        let mut page = Self::default();
        let mut path: Vec<String> = Vec::new();
        let mut value = String::new();
        loop {
            match reader.read_event()? {
                Event::Eof => return Ok(page),
                Event::Start(start) => {
                    path.push(start.local_name().as_ref().to_owned());
                    value.clear();
                    if path.len() == 2 && path[1] == "Upload" {
                        page.uploads.push(PageUpload::default());
                    }
                }
                Event::Text(text) => value.push_str(&text),
                Event::GeneralRef(reference) => {
                    let escaped = format!("&{};", &*reference);
                    value.push_str(&unescape(&escaped)?);
                }
                Event::End(_) => {
                    page.set(&path, std::mem::take(&mut value))?;
                    path.pop();
                }
                _ => {}
            }
        }
    }

    fn set(&mut self, path: &[String], value: String) -> Result<(), AnyError> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match (path.as_slice(), self.uploads.last_mut()) {
            ([_, "IsTruncated"], _) => self.is_truncated = value == "true",
            ([_, "NextKeyMarker"], _) => self.next_key_marker = Some(value),
            ([_, "NextUploadIdMarker"], _) => self.next_upload_id_marker = Some(value),
            ([_, "Upload", "Key"], Some(upload)) => upload.key = value,
            ([_, "Upload", "UploadId"], Some(upload)) => upload.id = value,
            ([_, "Upload", "Initiated"], Some(upload)) => upload.initiated = value.parse()?,
            _ => {}
        }
        Ok(())
    }
}

/// Why the uploads are not known. The target can be written all the same.
#[derive(Debug, thiserror::Error)]
#[error("status code: {0}")]
pub(crate) struct Answered(StatusCode);

type AnyError = Box<dyn std::error::Error + Send + Sync>;

impl OpenUploads {
    pub(crate) fn new(location: &Location, connection: &Connection, client: Client) -> Self {
        let bucket = &location.bucket;
        let region = region(connection).to_owned();
        let bucket_url = match s3_endpoint(connection, bucket) {
            (Some(endpoint), true) => endpoint,
            (Some(endpoint), false) => format!("{endpoint}/{bucket}"),
            (None, true) => format!("https://{bucket}.s3.{region}.amazonaws.com"),
            (None, false) => format!("https://s3.{region}.amazonaws.com/{bucket}"),
        };
        let keys = (&connection.access_key_id, &connection.secret_access_key);
        let credential = match keys {
            (Some(id), Some(secret)) if !connection.anonymous => Some(AwsCredential {
                key_id: id.clone(),
                secret_key: secret.expose().to_owned(),
                token: connection
                    .session_token
                    .as_ref()
                    .map(|token| token.expose().to_owned()),
            }),
            _ => None,
        };
        Self {
            client,
            bucket_url,
            region,
            credential,
        }
    }

    /// The uploads whose keys begin so.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<OpenUpload>, AnyError> {
        let mut found = Vec::new();
        let (mut key_marker, mut id_marker) = (None, None);
        for _ in 0..MAX_PAGES {
            let (page, now) = self.page(prefix, key_marker, id_marker).await?;
            found.extend(page.uploads.into_iter().map(|upload| OpenUpload {
                age: (now - upload.initiated).to_std().unwrap_or_default(),
                key: upload.key,
                id: upload.id,
            }));
            if !page.is_truncated || page.next_key_marker.is_none() {
                break;
            }
            (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
        }
        Ok(found)
    }

    /// Takes back one upload; one that is gone already is no error.
    pub(crate) async fn abort(&self, upload: &OpenUpload) -> Result<(), AnyError> {
        let mut url = url::Url::parse(&self.bucket_url)?;
        url.path_segments_mut()
            .map_err(|()| "a bucket's URL has a path")?
            .pop_if_empty()
            .extend(upload.key.split('/'));
        url.query_pairs_mut().append_pair("uploadId", &upload.id);
        match self.send(Method::DELETE, &url).await?.0 {
            StatusCode::NOT_FOUND => Ok(()),
            status if status.is_success() => Ok(()),
            status => Err(Answered(status).into()),
        }
    }

    /// A page, and the time by the server's clock.
    async fn page(
        &self,
        prefix: &str,
        key_marker: Option<String>,
        id_marker: Option<String>,
    ) -> Result<(Page, DateTime<Utc>), AnyError> {
        let mut url = url::Url::parse(&self.bucket_url)?;
        let mut query = url.query_pairs_mut();
        query.append_pair("uploads", "");
        query.append_pair("prefix", prefix);
        if let Some(marker) = key_marker {
            query.append_pair("key-marker", &marker);
        }
        if let Some(marker) = id_marker {
            query.append_pair("upload-id-marker", &marker);
        }
        drop(query);
        let (status, date, body) = self.send(Method::GET, &url).await?;
        if !status.is_success() {
            return Err(Answered(status).into());
        }
        let now = DateTime::parse_from_rfc2822(&date)?.to_utc();
        Ok((Page::parse(&String::from_utf8(body)?)?, now))
    }

    /// The status of the answer, its date and its body.
    async fn send(
        &self,
        method: Method,
        url: &url::Url,
    ) -> Result<(StatusCode, String, Vec<u8>), AnyError> {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = method;
        *request.uri_mut() = url.as_str().parse()?;
        if let Some(credential) = &self.credential {
            AwsAuthorizer::new(credential, "s3", &self.region).authorize(&mut request, None);
        }
        let answer = self.client.0.execute(request).await?;
        let status = answer.status();
        let date = answer.headers().get(reqwest::header::DATE);
        let date = date.and_then(|date| date.to_str().ok()).unwrap_or_default();
        let date = date.to_owned();
        Ok((status, date, answer.into_body().bytes().await?.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
              <Bucket>b</Bucket><KeyMarker></KeyMarker><NextKeyMarker>out/z</NextKeyMarker>
              <NextUploadIdMarker>9</NextUploadIdMarker><IsTruncated>true</IsTruncated>
              <Upload><Key>out/a&amp;b&#x20;c</Key><UploadId>7</UploadId>
                <Initiator><ID>Key</ID></Initiator><Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload>
              <CommonPrefixes><Prefix>out/</Prefix></CommonPrefixes>
            </ListMultipartUploadsResult>"#;
        let page = Page::parse(text).unwrap();
        assert_eq!(
            page,
            Page {
                uploads: vec![PageUpload {
                    key: "out/a&b c".into(),
                    id: "7".into(),
                    initiated: "2026-01-02T03:04:05Z".parse().unwrap(),
                }],
                is_truncated: true,
                next_key_marker: Some("out/z".into()),
                next_upload_id_marker: Some("9".into()),
            }
        );
        assert!(Page::parse("<a><b></a>").is_err());
        assert_eq!(Page::parse("").unwrap(), Page::default());
    }
}
