//! A vendor at a server under measurement, who uploads by tus.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::market::Who;
use crate::quan::Quan;

/// What one PATCH carries.
const PATCH_BYTES: u64 = 64 << 20;
/// What the client hands over at once.
const BLOCK_BYTES: usize = 256 << 10;
const STORED_MAX: Duration = Duration::from_secs(300);

/// A key of a vendor, and where it is one.
pub(crate) struct Vendor<'a> {
    quan: &'a Quan,
    token: String,
}

impl<'a> Vendor<'a> {
    /// Admits a party with an actor who is a vendor.
    pub(crate) fn admitted(quan: &'a Quan) -> Self {
        let operator = Vendor {
            quan,
            token: quan.token(Who::Exchange).to_owned(),
        };
        let roles = ["vendor"];
        let admit = json!({ "roles": roles, "name": "A".repeat(43) });
        let party = operator.post("/v1/parties", &admit)["found"]["party"].take();
        let register = json!({ "party": party, "roles": roles });
        let actor = operator.post("/v1/actors", &register)["found"]["actor"].take();
        let make = json!({ "actor": actor, "role": "vendor", "label": "bench" });
        let token = operator.post("/v1/api-keys", &make)["key"].take();
        Self {
            quan,
            token: token.as_str().unwrap().to_owned(),
        }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\ncontent-type: application/json\r\nidempotency-key: bench-{path}\r\ncontent-length: {}\r\n",
            body.len()
        );
        let mut stream = self.begin(&head);
        stream.write_all(body.as_bytes()).unwrap();
        let (status, _, body) = answer(&mut BufReader::new(stream));
        assert!((200..300).contains(&status), "{path}: {status} {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// A request's head over a connection of its own.
    fn begin(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.quan.address).unwrap();
        stream.set_nodelay(true).unwrap();
        let token = &self.token;
        let head = format!(
            "{head}host: bench\r\nauthorization: Bearer {token}\r\ntus-resumable: 1.0.0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    /// Uploads a file by PATCHes; the seconds until the last of them was answered, and until the content was checked and stored.
    pub(crate) fn upload(&self, path: &Path) -> (f64, f64) {
        let mut file = File::open(path).unwrap();
        let bytes = file.metadata().unwrap().len();
        let start = Instant::now();
        let created = self.begin(&format!(
            "POST /v1/uploads HTTP/1.1\r\nupload-length: {bytes}\r\n"
        ));
        let (status, head, body) = answer(&mut BufReader::new(created));
        assert_eq!(status, 201, "{body}");
        let at = head
            .lines()
            .find_map(|line| line.strip_prefix("location: "))
            .unwrap()
            .to_owned();
        let mut offset = 0;
        while offset < bytes {
            let length = PATCH_BYTES.min(bytes - offset);
            self.patch(&at, &mut file, (offset, length));
            offset += length;
        }
        let landed = start.elapsed().as_secs_f64();
        while !self.is_stored(&at) {
            assert!(start.elapsed() < STORED_MAX, "it is not stored");
            std::thread::sleep(Duration::from_millis(20));
        }
        (landed, start.elapsed().as_secs_f64())
    }

    fn patch(&self, at: &str, file: &mut File, (offset, length): (u64, u64)) {
        let mut stream = self.begin(&format!(
            "PATCH {at} HTTP/1.1\r\nupload-offset: {offset}\r\ncontent-type: application/offset+octet-stream\r\n\
             content-length: {length}\r\n"
        ));
        let mut from = BufReader::with_capacity(BLOCK_BYTES, file.take(length));
        loop {
            let block = from.fill_buf().unwrap();
            if block.is_empty() {
                break;
            }
            stream.write_all(block).unwrap();
            let taken = block.len();
            from.consume(taken);
        }
        let (status, _, body) = answer(&mut BufReader::new(stream));
        assert_eq!(status, 204, "{body}");
    }

    fn is_stored(&self, at: &str) -> bool {
        let (status, _, body) = answer(&mut BufReader::new(
            self.begin(&format!("GET {at} HTTP/1.1\r\n")),
        ));
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["stored"] == true
    }
}

/// Status, head in small letters, and body of the last answer of a connection.
fn answer(stream: &mut BufReader<TcpStream>) -> (u16, String, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}
