//! Objects in a bucket that speaks S3, reached by the HTTP client that the rest of the program uses (`ureq`: rustls on ring).
//!
//! The address is a setting, the credentials are the environment's, under the names that every S3 tool knows. They are never
//! logged. Nothing is retried in here: the publisher tries again, a reader is told to come back.

use std::env::VarError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::path::Path as Name;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use ureq::http;

/// How long one request may take in all: a bundle of the longest entries is 17 MB.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// No answer of a store is longer: a bundle of 256 of the longest entries, or a page of a listing.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// What AWS calls its first region; other stores ignore it.
const REGION: &str = "us-east-1";

/// How a bucket is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// `https://…` of a store other than AWS's own.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// The name of the access key.
    pub key_id: String,
    /// The access key.
    pub secret: String,
    /// The token of a session, where the key is one's.
    pub token: Option<String>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access({:?}, {})", self.endpoint, self.region)
    }
}

/// A variable of the environment that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing(pub &'static str);

impl Access {
    /// Reads `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, and where they are set `AWS_SESSION_TOKEN`, `AWS_ENDPOINT_URL`,
    /// `AWS_REGION`.
    /// # Errors
    /// The one of the first two that is missing.
    pub fn from_environment() -> Result<Self, Missing> {
        Self::read(std::env::var)
    }

    fn read(get: impl Fn(&'static str) -> Result<String, VarError>) -> Result<Self, Missing> {
        let set = |name| get(name).ok().filter(|value| !value.is_empty());
        let needed = |name| set(name).ok_or(Missing(name));
        Ok(Self {
            key_id: needed("AWS_ACCESS_KEY_ID")?,
            secret: needed("AWS_SECRET_ACCESS_KEY")?,
            token: set("AWS_SESSION_TOKEN"),
            endpoint: set("AWS_ENDPOINT_URL"),
            region: set("AWS_REGION").unwrap_or_else(|| REGION.to_owned()),
        })
    }
}

/// Opens a bucket; nothing is asked of it yet.
pub(super) fn open(
    bucket: &str,
    prefix: &str,
    access: Access,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(access.region)
        .with_access_key_id(access.key_id)
        .with_secret_access_key(access.secret)
        // A create is `If-None-Match: *`: other bytes under a name that is taken are an alarm.
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        // One DELETE an object: not every store speaks the bulk form.
        .with_disable_bulk_delete(true)
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        })
        .with_http_connector(Ureq::new());
    if let Some(endpoint) = access.endpoint {
        // Plain HTTP only where the operator asks for it, say on loopback.
        builder = builder
            .with_allow_http(endpoint.starts_with("http://"))
            .with_endpoint(endpoint);
    }
    if let Some(token) = access.token {
        builder = builder.with_token(token);
    }
    let store = builder.build()?;
    if prefix.is_empty() {
        return Ok(Arc::new(store));
    }
    Ok(Arc::new(PrefixStore::new(store, Name::parse(prefix)?)))
}

/// The client: blocking, so it runs on the runtime's blocking threads, or on the caller's where there is no runtime.
#[derive(Debug, Clone)]
struct Ureq(ureq::Agent);

impl Ureq {
    fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(REQUEST_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .build();
        Self(config.new_agent())
    }

    fn run(&self, request: http::Request<Bytes>) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let answer = if [http::Method::PUT, http::Method::POST].contains(&head.method) {
            self.0.run(http::Request::from_parts(head, body.as_ref()))
        } else {
            self.0.run(http::Request::from_parts(head, ()))
        };
        let (head, mut body) = answer.map_err(failed)?.into_parts();
        let body = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = HttpResponseBody::from(body.map_err(failed)?);
        Ok(HttpResponse::from_parts(head, body))
    }
}

fn failed(fault: ureq::Error) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, fault)
}

impl HttpConnector for Ureq {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

impl HttpService for Ureq {
    fn call<'life0, 'async_trait>(&'life0 self, request: HttpRequest) -> Answer<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let client = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            // The body of a request is a stream of what is in memory already.
            let body = HttpResponseBody::new(body).bytes().await?;
            let run = move || client.run(http::Request::from_parts(head, body));
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => runtime
                    .spawn_blocking(run)
                    .await
                    .unwrap_or_else(|fault| Err(HttpError::new(HttpErrorKind::Unknown, fault))),
                Err(_) => run(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_come_from_the_environment_and_are_not_shown() {
        let read = |set: &[(&str, &str)]| {
            Access::read(|name| {
                let found = set.iter().find(|(key, _)| *key == name);
                found
                    .map(|(_, value)| (*value).to_owned())
                    .ok_or(VarError::NotPresent)
            })
        };
        let both = [
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "hush"),
        ];
        let access = read(&both).unwrap();
        assert_eq!(access.region, REGION);
        assert!(!format!("{access:?}").contains("hush"));
        assert_eq!(read(&both[..1]), Err(Missing("AWS_SECRET_ACCESS_KEY")));
        assert_eq!(read(&[]), Err(Missing("AWS_ACCESS_KEY_ID")));
    }
}
