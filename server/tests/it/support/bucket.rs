//! A bucket that speaks as much of S3 as we need, in this process: PUT with `If-None-Match: *`, in parts too, GET of ranges, HEAD,
//! DELETE, LIST.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::Method;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use server::objects::{Access, Objects};

const BUCKET: &str = "trails";
const KEY_ID: &str = "id";
const DATE: &str = "Tue, 24 Nov 2026 08:00:00 GMT";

/// A bucket that answers until it is dropped.
pub(crate) struct Bucket {
    state: Arc<State>,
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Of objects that are put in parts, by name and number; nobody puts one twice at once.
    parts: Mutex<BTreeMap<(String, u32), Vec<u8>>>,
    requests: AtomicU64,
    /// One request of so many fails; 0: none.
    fails: AtomicU64,
    delay_ms: AtomicU64,
}

impl Bucket {
    pub(crate) fn start() -> Self {
        let state = Arc::new(State::default());
        let (tell, told) = mpsc::channel();
        let theirs = web::Data::from(Arc::clone(&state));
        let thread = std::thread::spawn(move || {
            let app = move || {
                App::new()
                    .app_data(theirs.clone())
                    .app_data(web::PayloadConfig::new(64 << 20))
                    .default_service(web::to(answer))
            };
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(app).workers(1).disable_signals();
                let server = server.bind(("127.0.0.1", 0)).unwrap();
                let address = server.addrs()[0];
                let server = server.run();
                tell.send((address, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (address, handle) = told.recv().unwrap();
        Self {
            state,
            address,
            handle,
            thread: Some(thread),
        }
    }

    /// The environment of a program that uses it, and the setting of its place below a prefix.
    pub(crate) fn settings(&self, prefix: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ACCESS_KEY_ID", KEY_ID.to_owned()),
            (
                "AWS_SECRET_ACCESS_KEY",
                "a secret that no log shows".to_owned(),
            ),
            ("QUAN_OBJECTS", format!("s3://{BUCKET}/{prefix}")),
        ]
    }

    pub(crate) fn objects(&self, prefix: &str) -> Objects {
        let access = Access {
            endpoint: Some(format!("http://{}", self.address)),
            region: "us-east-1".to_owned(),
            key_id: KEY_ID.to_owned(),
            secret: "a secret that no log shows".to_owned(),
            token: None,
        };
        Objects::bucket(BUCKET, prefix, access).unwrap()
    }

    /// From here on one request of so many fails, half of them after they took effect; each is answered late.
    pub(crate) fn fails(&self, one_of: u64, delay: Duration) {
        self.state.fails.store(one_of, Ordering::SeqCst);
        let delay = u64::try_from(delay.as_millis()).unwrap();
        self.state.delay_ms.store(delay, Ordering::SeqCst);
    }

    /// What is in it, by name.
    pub(crate) fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        self.state.objects.lock().unwrap().clone()
    }

    /// Reads one object whenever asked, for as long as anybody wants to, past all failures.
    pub(crate) fn watcher(&self, name: &'static str) -> impl Fn() -> Option<Vec<u8>> + use<> {
        let state = Arc::clone(&self.state);
        move || state.objects.lock().unwrap().get(name).cloned()
    }

    /// Removes an object behind everybody's back.
    pub(crate) fn forget(&self, name: &str) {
        self.state.objects.lock().unwrap().remove(name);
    }

    /// Changes an object behind everybody's back.
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        change(self.state.objects.lock().unwrap().get_mut(name).unwrap());
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

async fn answer(state: web::Data<State>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let signed = request.headers().get("authorization");
    let signed = signed.and_then(|value| value.to_str().ok()).unwrap_or("");
    if !signed.starts_with(&format!("AWS4-HMAC-SHA256 Credential={KEY_ID}/")) {
        return HttpResponse::Forbidden().finish();
    }
    let delay = state.delay_ms.load(Ordering::SeqCst);
    actix_web::rt::time::sleep(Duration::from_millis(delay)).await;
    let number = state.requests.fetch_add(1, Ordering::SeqCst);
    let one_of = state.fails.load(Ordering::SeqCst);
    let fails = one_of > 0 && number.is_multiple_of(one_of);
    if fails && (number / one_of).is_multiple_of(2) {
        return HttpResponse::ServiceUnavailable().finish();
    }
    let answer = act(&state, &request, &body);
    if fails {
        return HttpResponse::ServiceUnavailable().finish();
    }
    answer
}

fn act(state: &State, request: &HttpRequest, body: &[u8]) -> HttpResponse {
    let mut objects = state.objects.lock().unwrap();
    let name = request.path().strip_prefix(&format!("/{BUCKET}/"));
    let name = name.filter(|name| !name.is_empty());
    let (Some(name), method) = (name, request.method()) else {
        return list(&objects, request.query_string());
    };
    if let Some(answer) = in_parts(state, &mut objects, (request, name), body) {
        return answer;
    }
    match *method {
        Method::PUT => {
            let create = request.headers().contains_key("if-none-match");
            if create && objects.contains_key(name) {
                return HttpResponse::PreconditionFailed().finish();
            }
            objects.insert(name.to_owned(), body.to_vec());
            HttpResponse::Ok().insert_header(("etag", "\"1\"")).finish()
        }
        Method::GET | Method::HEAD => match objects.get(name) {
            Some(bytes) => read(bytes, request),
            None => HttpResponse::NotFound().finish(),
        },
        Method::DELETE => {
            objects.remove(name);
            HttpResponse::NoContent().finish()
        }
        _ => HttpResponse::MethodNotAllowed().finish(),
    }
}

fn read(bytes: &[u8], request: &HttpRequest) -> HttpResponse {
    let range = request
        .headers()
        .get("range")
        .map(|range| range.to_str().unwrap());
    let (mut answer, part) = match range {
        None => (HttpResponse::Ok(), bytes),
        Some(range) => {
            let (first, last) = range
                .strip_prefix("bytes=")
                .unwrap()
                .split_once('-')
                .unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            let last = last.min(bytes.len() - 1);
            let mut answer = HttpResponse::PartialContent();
            answer.insert_header((
                "content-range",
                format!("bytes {first}-{last}/{}", bytes.len()),
            ));
            (answer, &bytes[first..=last])
        }
    };
    answer
        .insert_header(("etag", "\"1\""))
        .insert_header(("last-modified", DATE))
        .body(part.to_vec())
}

/// `CreateMultipartUpload`, `UploadPart`, `CompleteMultipartUpload`, `AbortMultipartUpload`.
fn in_parts(
    state: &State,
    objects: &mut BTreeMap<String, Vec<u8>>,
    (request, name): (&HttpRequest, &str),
    body: &[u8],
) -> Option<HttpResponse> {
    let query = request.query_string();
    let value = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key));
    let mut parts = state.parts.lock().unwrap();
    let xml = |body: &str| {
        Some(
            HttpResponse::Ok()
                .content_type("application/xml")
                .body(body.to_owned()),
        )
    };
    match *request.method() {
        Method::POST if value("uploads").is_some() => xml(
            "<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>",
        ),
        Method::PUT if value("partNumber=").is_some() => {
            let number = value("partNumber=").unwrap().parse().unwrap();
            parts.insert((name.to_owned(), number), body.to_vec());
            Some(HttpResponse::Ok().insert_header(("etag", "\"1\"")).finish())
        }
        Method::POST if value("uploadId=").is_some() => {
            let all = parts.iter().filter(|((of, _), _)| of == name);
            objects.insert(
                name.to_owned(),
                all.flat_map(|(_, part)| part.clone()).collect(),
            );
            parts.retain(|(of, _), _| of != name);
            xml("<CompleteMultipartUploadResult><ETag>\"1\"</ETag></CompleteMultipartUploadResult>")
        }
        Method::DELETE if value("uploadId=").is_some() => {
            parts.retain(|(of, _), _| of != name);
            Some(HttpResponse::NoContent().finish())
        }
        _ => None,
    }
}

/// `ListObjectsV2`, at most 10 names a page, so that several pages are asked for.
fn list(objects: &BTreeMap<String, Vec<u8>>, query: &str) -> HttpResponse {
    let value = |key: &str| {
        let found = query.split('&').find_map(|pair| pair.strip_prefix(key));
        found.unwrap_or("").replace("%2F", "/")
    };
    let (prefix, after) = (value("prefix="), value("continuation-token="));
    let names = objects
        .iter()
        .filter(|(name, _)| name.starts_with(&prefix) && **name > after);
    let mut page: Vec<_> = names.take(11).collect();
    let more = page.len() > 10;
    page.truncate(10);
    let mut xml = format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>");
    if let Some((last, _)) = page.last().filter(|_| more) {
        xml += &format!("<NextContinuationToken>{last}</NextContinuationToken>");
    }
    for (name, bytes) in page {
        let size = bytes.len();
        xml += &format!(
            "<Contents><Key>{name}</Key><Size>{size}</Size><ETag>\"1\"</ETag><LastModified>2026-11-24T08:00:00.000Z</LastModified></Contents>"
        );
    }
    xml += "</ListBucketResult>";
    HttpResponse::Ok().content_type("application/xml").body(xml)
}
