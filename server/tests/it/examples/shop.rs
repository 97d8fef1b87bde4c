//! A version of two files, uploaded, listed and ordered for 500,000 yuan (W12), and what its buyer does with it.

use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use verifier::dataset::{FileLine, Manifest, Possession};
use verifier::id::{DocumentDigest, OrderId, PartyId, Sha256Hash};
use verifier::receipt::{self, DataAcceptance, Jti, KeyUse, Nonce, Verdict};
use verifier::signature::Signer;

use super::stage::{Stage, contract, example};
use crate::support::process::A_MOMENT;
use crate::support::{Answer, Database, Fetched, Member, ORIGIN, Vendor, register_key, text};

pub(crate) const CONTENT: &[u8] = b"one line of a corpus\nand another\n";
/// Two files of one content.
const PATHS: [&str; 2] = ["a.txt", "b/c d.txt"];
/// How long buyers keep what was withdrawn.
pub(crate) const RETENTION_DAYS: i64 = 10;
const BUYER_SEED: [u8; 32] = [6; 32];

pub(crate) struct Shop {
    pub(crate) stage: Stage,
    pub(crate) stranger: Member,
    pub(crate) vendor: Vendor,
    pub(crate) manifest: Manifest,
    /// Empty before it is placed.
    pub(crate) order: String,
    files: Vec<(String, Vec<u8>)>,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Shop {
    pub(crate) fn open(database: &Database) -> Self {
        Self::selling(database, CONTENT)
    }

    /// Two files of this content, sold.
    pub(crate) fn selling(database: &Database, content: &[u8]) -> Self {
        let mut shop = Self::stocked(database, &PATHS.map(|path| (path, content)));
        shop.order();
        shop
    }

    /// These files are listed; nobody has ordered them yet.
    pub(crate) fn stocked(database: &Database, files: &[(&str, &[u8])]) -> Self {
        let stage = Stage::open(database, "2026-01-05T00:00:00Z");
        stage.fund("w12-city", "f-finance");
        let kept = format!("holdback_bp = 2000, retention_days = {RETENTION_DAYS}");
        stage.enact_text(&example("w12-data").replace("holdback_bp = 2000", &kept));
        let signer = Signer::from_seed(&BUYER_SEED);
        register_key(&stage.exchange, &stage.buyer, KeyUse::Acceptance, &signer);
        let stranger = stage.exchange.member(&["buyer"]);
        let vendor = Vendor::open(&stage.exchange, "corpus");
        let listed = vendor.list(&stage.office.client, "lines", files);
        let lines = files.iter().map(|(path, content)| line(path, content));
        let manifest = Manifest::new(lines.collect()).unwrap();
        assert_eq!(manifest.digest().to_string(), listed.manifest);
        let held = |(path, content): &(&str, &[u8])| ((*path).to_owned(), content.to_vec());
        Self {
            stage,
            stranger,
            vendor,
            manifest,
            order: String::new(),
            files: files.iter().map(held).collect(),
        }
    }

    /// The buyer orders it with a voucher.
    pub(crate) fn order(&mut self) {
        let (stage, contract) = (&self.stage, contract("w12", 50_000_000));
        let voucher = stage.voucher(&stage.buyer, "w12-data", &contract);
        let now = stage.exchange.clock.now().unwrap();
        let asked = json!({
            "seller": self.vendor.party, "contract": contract,
            "segments": [{ "dataset": self.digest(), "from": now, "to": now.after(30 * 86_400) }],
            "claims": [{ "voucher": voucher.id, "hold_fen": voucher.face }],
        });
        let placed = stage.buyer.client.done("/v1/orders", &asked);
        self.order = text(&placed["found"]["order"]);
    }

    pub(crate) fn digest(&self) -> DocumentDigest {
        self.manifest.digest()
    }

    pub(crate) fn path(&self, file: &str) -> String {
        format!("/v1/files/{}/{file}", self.digest())
    }

    /// What the buyer sees of the delivery.
    pub(crate) fn deliveries(&self) -> Value {
        let path = format!("/v1/orders/{}/deliveries", self.order);
        let answer = self.stage.buyer.client.get(&path);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body["items"][0].clone()
    }

    pub(crate) fn part(&self, range: &str) -> Fetched {
        let path = self.path("b/c%20d.txt");
        self.stage.buyer.client.fetch(&path, &[("range", range)])
    }

    /// What went out, when so many bytes are kept: they are kept after the answer has gone.
    pub(crate) fn settled(&self, bytes: u64) -> Value {
        let wanted = self.contents() - bytes;
        for _ in 0..500 {
            let item = self.deliveries();
            let missing = item["missing_bytes"].as_u64().unwrap();
            let waits = missing == 0 && item["state"] == "under-way";
            if missing == wanted && !waits {
                return item;
            }
            std::thread::sleep(A_MOMENT);
        }
        panic!("{}", self.deliveries());
    }

    /// The bytes that must go out: files of one content are one.
    fn contents(&self) -> u64 {
        let mut contents: Vec<&[u8]> = self.files.iter().map(|(_, content)| &**content).collect();
        contents.sort_unstable();
        contents.dedup();
        contents.iter().map(|content| content.len() as u64).sum()
    }

    /// All of it goes out, and is signed.
    pub(crate) fn delivered(&self) -> Value {
        let whole = self.stage.buyer.client.fetch(&self.path("a.txt"), &[]);
        assert_eq!((whole.status, &whole.bytes), (200, &self.files[0].1));
        let delivered = self.settled(self.contents());
        assert_eq!(delivered["state"], "delivered", "{delivered}");
        delivered
    }

    /// What only a holder of the bytes can say to a nonce: the version is its files, end to end.
    pub(crate) fn possession(&self, nonce: &Value) -> Sha256Hash {
        let nonce: Nonce = serde_json::from_value(nonce.clone()).unwrap();
        let all: Vec<u8> = self
            .files
            .iter()
            .flat_map(|(_, content)| content.clone())
            .collect();
        let mut possession = Possession::new(nonce, self.manifest.bytes());
        for range in possession.wants().to_vec() {
            let [from, to] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
            possession.feed(&all[from..to]);
        }
        possession.end()
    }

    /// The buyer accepts, with this proof that it holds the bytes.
    pub(crate) fn accept(&self, possession: Sha256Hash) -> Answer {
        let order = self.order.parse().unwrap();
        let signer = Signer::from_seed(&BUYER_SEED);
        accept(&self.stage, &signer, (self.digest(), possession), order)
    }

    /// How much the voucher has paid of the order.
    pub(crate) fn granted(&self) -> i64 {
        let order = self
            .stage
            .buyer
            .client
            .get(&format!("/v1/orders/{}", self.order));
        order.body["claims"][0]["granted_fen"].as_i64().unwrap()
    }

    /// Begins to download a file and leaves it in the pipe.
    pub(crate) fn begin(&self, file: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.stage.exchange.address()).unwrap();
        let (path, token) = (self.path(file), self.stage.buyer.client.token());
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        stream
    }

    /// Tries until a moment later what takes its time behind an answer.
    pub(crate) fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let mut looks = 0..1_000;
        while !holds() {
            assert!(looks.next().is_some(), "{what} does not come");
            std::thread::sleep(A_MOMENT);
        }
    }
}

/// The rest of an answer's body, as far as it comes.
pub(crate) fn body(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _cut = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    bytes.split_off(end.unwrap() + 4)
}

/// The buyer's word, as it is answered.
pub(crate) fn accept(
    stage: &Stage,
    signer: &Signer,
    (digest, possession): (DocumentDigest, Sha256Hash),
    order: OrderId,
) -> Answer {
    let claims = DataAcceptance {
        iss: PartyId::parse(&stage.buyer.party).unwrap(),
        aud: ORIGIN.to_owned(),
        sub: order,
        seq: 0,
        prev: None,
        jti: Jti { order, seq: 0 },
        iat: stage.exchange.clock.now().unwrap(),
        digest,
        verdict: Verdict::Accepted,
        possession,
    };
    let jose = [("content-type", "application/jose")];
    let acceptance = receipt::sign(&claims, signer);
    let buyer = &stage.buyer.client;
    buyer.send("/v1/acceptances", &acceptance, &jose)
}

fn line(path: &str, content: &[u8]) -> FileLine {
    FileLine {
        sha256: *Sha256Hash::of(content).bytes(),
        bytes: content.len() as u64,
        path: path.to_owned(),
    }
}
