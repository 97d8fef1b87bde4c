//! `quan dataset accept`: the buyer's folder is held against the manifest of what was delivered; then the receipt is signed.

use clap::Args;
use serde_json::Value;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use verifier::dataset::{FileLine, Manifest, Possession};
use verifier::id::{DocumentDigest, OrderId, PartyId, Sha256Hash};
use verifier::receipt::{
    self, Claims, DataAcceptance, DataDelivery, Jti, Nonce, UnverifiedReceipt, Verdict,
};
use verifier::signature::Signer;

use super::bars::Bars;
use super::exchange::Exchange;
use super::fault::{Fault, Refused};
use super::scan::{BLOCK_BYTES, digest, in_file};
use super::{Access, list, say};
use crate::clock::Clock;
use crate::keys;

/// `quan dataset accept`
#[derive(Debug, Args)]
pub struct Accept {
    /// The order.
    order: OrderId,
    /// Where its files are; other files there do not matter.
    dir: PathBuf,
    /// The buyer's acceptance key, with which the receipt is signed.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    access: Access,
    /// Which of the order's versions, where it has several.
    #[arg(long, value_name = "DIGEST")]
    manifest: Option<DocumentDigest>,
    /// Says that what came whole is not what was ordered: nothing is earned, and a case decides.
    #[arg(long)]
    defect: bool,
}

/// A delivery that waits for its buyer's word.
struct Delivered {
    manifest: Manifest,
    said: DataDelivery,
}

impl Accept {
    /// Returns whether the folder holds what was delivered; then it is signed, and the exchange has it.
    pub(super) fn run(&self, clock: &Clock) -> Result<bool, Fault> {
        let exchange = self.access.exchange()?;
        let signer = Signer::from_seed(&keys::seed(&self.key)?);
        let delivered = self.delivered(&exchange)?;
        let differences = differences(&self.dir, &delivered.manifest)?;
        if !differences.is_empty() {
            list("differs", differences.into_iter());
            say("nothing is signed; download what differs again");
            return Ok(false);
        }
        let possession = possession(&self.dir, (&delivered.manifest, delivered.said.nonce))?;
        if Sha256Hash::of(possession.bytes()) != delivered.said.possession_hash {
            let why = "the files are those of the manifest, but the delivery receipt commits to other bytes; tell the exchange";
            return Err(Fault::Delivery(why.to_owned()));
        }
        let order = exchange.get(&format!("/v1/orders/{}", self.order))?;
        let mut claims = DataAcceptance {
            iss: text(&order, "buyer")
                .and_then(|id| id.parse::<PartyId>().ok())
                .ok_or_else(|| Fault::Delivery("the order shows no buyer".to_owned()))?,
            aud: delivered.said.aud,
            sub: self.order,
            seq: 0,
            prev: None,
            jti: Jti {
                order: self.order,
                seq: 0,
            },
            iat: clock.now()?,
            digest: delivered.said.digest,
            verdict: if self.defect {
                Verdict::Defect
            } else {
                Verdict::Accepted
            },
            possession,
        };
        let answer = match exchange.sign_in("/v1/acceptances", &receipt::sign(&claims, &signer)) {
            // Earlier words on this order stand before it.
            Err(Fault::Refused(refused)) if refused.code == "receipt.chain" => {
                go_on(&mut claims, *refused)?;
                exchange.sign_in("/v1/acceptances", &receipt::sign(&claims, &signer))?
            }
            answered => answered?,
        };
        say(&format!(
            "{} files, {} bytes are as delivered; {}: entry {} of the trail",
            delivered.manifest.files().len(),
            delivered.manifest.bytes(),
            if self.defect {
                "reported as defective"
            } else {
                "accepted"
            },
            answer["seq"],
        ));
        Ok(true)
    }

    /// The delivery that is meant, with its manifest.
    fn delivered(&self, exchange: &Exchange) -> Result<Delivered, Fault> {
        let found = exchange.get(&format!("/v1/orders/{}/deliveries", self.order))?;
        let items = found["items"].as_array().map_or(&[][..], Vec::as_slice);
        let asked = self.manifest.map(|digest| digest.to_string());
        let mut meant = items.iter().filter(|item| {
            let is_asked = |asked: &String| item["manifest"] == asked.as_str();
            asked.as_ref().is_none_or(is_asked)
        });
        let refused = |why: String| Fault::Delivery(why);
        let item = match (meant.next(), meant.next()) {
            (Some(item), None) => item,
            (None, _) => return Err(refused("the order has no such dataset".to_owned())),
            (Some(_), Some(_)) => {
                let why = "the order has several versions; name one with --manifest";
                return Err(refused(why.to_owned()));
            }
        };
        if let Some(said @ ("accepted" | "defect")) = text(item, "state") {
            let why = format!("the buyer has spoken on this delivery already: {said}");
            return Err(refused(why));
        }
        let (Some(files), Some(jws)) = (text(item, "files"), text(item, "receipt")) else {
            return Err(refused(match item["missing_bytes"].as_u64() {
                Some(missing @ 1..) => format!(
                    "{missing} bytes of it have not gone out yet; download all of it first"
                ),
                Some(0) | None => "the exchange holds no receipt of its delivery; where the vendor signs itself, it is the vendor's to give".to_owned(),
            }));
        };
        let manifest = Manifest::parse(files)?;
        let receipt = UnverifiedReceipt::parse(jws)?;
        let Claims::Delivery(said) = receipt.claims() else {
            return Err(refused("what is shown is no delivery receipt".to_owned()));
        };
        if manifest.digest() != said.digest || said.sub != self.order {
            let why = "the receipt is about another version than the files that are shown";
            return Err(refused(why.to_owned()));
        }
        let said = said.clone();
        Ok(Delivered { manifest, said })
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value[name].as_str()
}

/// Takes the place in the chain that the exchange expects.
fn go_on(claims: &mut DataAcceptance, refused: Refused) -> Result<(), Fault> {
    let seq = text(&refused.values, "seq").and_then(|seq| seq.parse().ok());
    let Some(seq) = seq else {
        return Err(Fault::Refused(Box::new(refused)));
    };
    let prev = text(&refused.values, "prev");
    claims.seq = seq;
    claims.jti.seq = seq;
    claims.prev = prev.and_then(|prev| Sha256Hash::parse(prev).ok());
    Ok(())
}

/// What a folder has not as the manifest says it.
fn differences(dir: &Path, manifest: &Manifest) -> Result<Vec<String>, Fault> {
    let bars = Bars::new(manifest.bytes());
    let mut differences = Vec::new();
    for file in manifest.files() {
        let at = dir.join(&file.path);
        let Ok(mut from) = File::open(&at) else {
            differences.push(format!("{} (not there)", file.path));
            continue;
        };
        let mut bar = bars.one(&file.path, file.bytes);
        let summed = digest(&mut from, &mut |count| bar.add(count)).map_err(in_file(&at))?;
        if summed != (file.sha256, file.bytes) {
            differences.push(format!("{} ({} bytes, other content)", file.path, summed.1));
        }
    }
    bars.end();
    Ok(differences)
}

/// What only a holder of the bytes can say (FORMATS.md, "Datasets"): the files end to end in the manifest's order.
fn possession(dir: &Path, (manifest, nonce): (&Manifest, Nonce)) -> Result<Sha256Hash, Fault> {
    let mut possession = Possession::new(nonce, manifest.bytes());
    for wanted in possession.wants().to_vec() {
        let mut begins = 0_u64;
        for file in manifest.files() {
            let ends = begins.saturating_add(file.bytes);
            let part = wanted.start.max(begins)..wanted.end.min(ends);
            if part.start < part.end {
                let part = part.start - begins..part.end - begins;
                feed(dir, file, part, &mut possession)?;
            }
            begins = ends;
        }
    }
    Ok(possession.end())
}

fn feed(
    dir: &Path,
    file: &FileLine,
    part: Range<u64>,
    possession: &mut Possession,
) -> Result<(), Fault> {
    let at = dir.join(&file.path);
    let in_file = in_file(&at);
    let mut from = File::open(&at).map_err(&in_file)?;
    from.seek(SeekFrom::Start(part.start)).map_err(&in_file)?;
    let mut from = from.take(part.end - part.start);
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let count = from.read(&mut block).map_err(&in_file)?;
        if count == 0 {
            return Ok(());
        }
        possession.feed(block.get(..count).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn line(path: &str, bytes: &[u8]) -> FileLine {
        FileLine {
            sha256: *Sha256Hash::of(bytes).bytes(),
            bytes: bytes.len() as u64,
            path: path.to_owned(),
        }
    }

    #[test]
    fn what_differs_is_named_by_file() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        fs::create_dir(dir.join("a")).unwrap();
        fs::write(dir.join("a/good"), "good").unwrap();
        fs::write(dir.join("cut"), "cu").unwrap();
        fs::write(dir.join("README.md"), "not of the manifest").unwrap();
        let files = vec![
            line("a/good", b"good"),
            line("cut", b"cut"),
            line("gone", b""),
        ];
        let mut found = differences(dir, &Manifest::new(files).unwrap()).unwrap();
        found.sort();
        assert_eq!(found, ["cut (2 bytes, other content)", "gone (not there)"]);
    }

    #[test]
    fn a_word_takes_the_place_in_the_chain_that_the_exchange_expects() {
        let order = OrderId::draw(&verifier::id::Salt::new([0; 16]), 0, 0);
        let hash = Sha256Hash::of(b"the one before");
        let mut claims = DataAcceptance {
            iss: PartyId::parse("pty-aaaaaaaaaaaaaaaa").unwrap(),
            aud: String::new(),
            sub: order,
            seq: 0,
            prev: None,
            jti: Jti { order, seq: 0 },
            iat: verifier::time::Timestamp::EPOCH,
            digest: DocumentDigest::of(b""),
            verdict: Verdict::Accepted,
            possession: hash,
        };
        let refused = |values: Value| Refused {
            path: String::new(),
            status: 409,
            code: "receipt.chain".to_owned(),
            detail: String::new(),
            values,
        };
        let values = serde_json::json!({ "seq": "3", "prev": hash.to_string() });
        go_on(&mut claims, refused(values)).unwrap();
        assert_eq!(
            (claims.seq, claims.jti.seq, claims.prev),
            (3, 3, Some(hash))
        );
        assert!(go_on(&mut claims, refused(Value::Null)).is_err());
    }

    #[test]
    fn the_folder_s_possession_is_that_of_the_files_end_to_end() {
        let folder = tempfile::tempdir().unwrap();
        let content = |seed: usize, count: usize| -> Vec<u8> {
            (0..count)
                .map(|i| (i * seed + i / 253).to_le_bytes()[0])
                .collect()
        };
        // More chunks than are picked, and files that begin and end within one.
        let parts = [
            ("a", content(3, 7_000_001)),
            ("b", content(5, 99)),
            ("c", Vec::new()),
            ("d", content(7, 13_000_000)),
        ];
        for (path, bytes) in &parts {
            fs::write(folder.path().join(path), bytes).unwrap();
        }
        let files = parts
            .iter()
            .map(|(path, bytes)| line(path, bytes))
            .collect();
        let manifest = Manifest::new(files).unwrap();
        let ordered = manifest.files().iter().flat_map(|file| {
            let part = parts.iter().find(|(path, _)| *path == file.path);
            part.map(|(_, bytes)| bytes.as_slice()).unwrap_or_default()
        });
        let whole: Vec<u8> = ordered.copied().collect();
        let nonce = Nonce::new([9; 16]);
        let mut expected = Possession::new(nonce, manifest.bytes());
        for range in expected.wants().to_vec() {
            let [from, to] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
            expected.feed(&whole[from..to]);
        }
        let found = possession(folder.path(), (&manifest, nonce)).unwrap();
        assert_eq!(found, expected.end());
    }
}
