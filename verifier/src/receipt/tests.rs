//! A foreign library's receipts, one row a rule at its limit and one past it, and bits flipped.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::id::{DatasetId, DocumentDigest, GpuModel, SiteId};
use crate::money::GpuSeconds;

const FOREIGN: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fixtures/vectors/jws-pyjwt.json"
));
/// 2026-11-29T21:00:00Z, a whole hour.
const T: i64 = 1_796_000_400;

fn at(unix: i64) -> Timestamp {
    Timestamp::new(unix).unwrap()
}

fn signer() -> Signer {
    Signer::from_seed(&std::array::from_fn(|i| u8::try_from(i).unwrap()))
}

fn order() -> OrderId {
    OrderId::parse("ord-bbbbbbbbbbbbbbbb").unwrap()
}

fn job(gpu_seconds: i64) -> Job {
    Job {
        run: "slurm:west-1/4711@1796000400".into(),
        state: "COMPLETED".into(),
        gpu_seconds: GpuSeconds::new(gpu_seconds).unwrap(),
    }
}

fn usage() -> ComputeUsage {
    ComputeUsage {
        iss: PartyId::parse("pty-aaaaaaaaaaaaaaaa").unwrap(),
        aud: "localhost/quan".into(),
        sub: order(),
        seq: 0,
        prev: None,
        jti: Jti {
            order: order(),
            seq: 0,
        },
        iat: at(T + 3600),
        kind: Kind::Usage,
        corrects: None,
        site: SiteId::parse("sit-cccccccccccccccc").unwrap(),
        gpu_model: GpuModel::parse("nvidia-h100-sxm").unwrap(),
        gpu_count: 8,
        start: at(T),
        end: at(T + 3600),
        gpu_seconds: GpuSeconds::new(28_800).unwrap(),
        jobs: vec![job(28_800)],
        inputs: None,
        export: None,
        energy_wh: None,
        util_bp: None,
        devices: None,
    }
}

/// The usage receipt above over another period, full.
fn over(start: i64, end: i64) -> ComputeUsage {
    let used = 8 * (end - start).max(0);
    ComputeUsage {
        start: at(start),
        end: at(end),
        iat: at(end),
        gpu_seconds: GpuSeconds::new(used).unwrap(),
        jobs: vec![job(used)],
        ..usage()
    }
}

fn used(gpu_seconds: i64) -> ComputeUsage {
    ComputeUsage {
        gpu_seconds: GpuSeconds::new(gpu_seconds).unwrap(),
        jobs: vec![job(gpu_seconds)],
        ..usage()
    }
}

fn ran(jobs: Vec<Job>) -> ComputeUsage {
    ComputeUsage { jobs, ..usage() }
}

fn accept(compact: &str) -> Result<VerifiedReceipt, Code> {
    let receipt = UnverifiedReceipt::parse(compact).map_err(|refusal| refusal.code)?;
    receipt
        .verify(&signer().public())
        .map_err(|refusal| refusal.code)
}

#[test]
fn a_foreign_library_gets_our_verdicts() {
    let file: Value = serde_json::from_str(FOREIGN).unwrap();
    assert_eq!(file["x"], signer().public().x());
    assert_eq!(file["kid"], signer().public().kid().to_string());
    let cases = file["cases"].as_array().unwrap();
    for case in cases {
        let got = accept(case["jws"].as_str().unwrap()).map(|_| ());
        let code = got.err().map(Code::as_str);
        assert_eq!(code, case["code"].as_str(), "{}", case["name"]);
    }
    assert_eq!(cases.len(), 106);
}

#[test]
fn what_we_sign_we_read_again() {
    let receipt = accept(&sign(&usage(), &signer())).unwrap();
    assert_eq!(receipt.claims(), &Claims::Usage(usage()));
    assert_eq!(receipt.kid(), signer().public().kid());
    assert_eq!(receipt.hash(), Sha256Hash::of(receipt.compact().as_bytes()));
}

#[test]
fn our_spelling_is_that_of_the_foreign_library() {
    let file: Value = serde_json::from_str(FOREIGN).unwrap();
    // EdDSA is deterministic: the same header and claims are the same bytes.
    assert_eq!(file["cases"][0]["jws"], sign(&usage(), &signer()));
}

fn with_header(header: &str) -> String {
    let payload = URL_SAFE_NO_PAD.encode(crate::json::write(&usage()).unwrap());
    let mut compact = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(header));
    let signature = URL_SAFE_NO_PAD.encode(signer().sign(compact.as_bytes()));
    compact.push('.');
    compact.push_str(&signature);
    compact
}

#[test]
fn a_header_has_exactly_three_members_in_any_order() {
    let kid = signer().public().kid().to_string();
    let typ = Typ::Usage;
    for good in [
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"{typ}"}}"#),
        format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"Ed25519","kid":"{kid}","typ":"{typ}"}}"#),
        format!(r#"{{"kid":"{kid}","typ":"{typ}","alg":"EdDSA"}}"#),
        format!(r#" {{ "typ" : "{typ}", "alg" : "EdDSA", "kid" : "{kid}" }} "#),
    ] {
        assert!(accept(&with_header(&good)).is_ok(), "{good}");
    }
    for bad in [
        format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"{typ}","typ":"{typ}"}}"#),
        format!(r#"{{"alg":"EdDSA","alg":"EdDSA","kid":"{kid}","typ":"{typ}"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"{typ}","b64":false}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"{typ}","crit":["b64"]}}"#),
        format!(r#"{{"alg":"eddsa","kid":"{kid}","typ":"{typ}"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}=","typ":"{typ}"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"{typ} "}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"JWT"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":null}}"#),
        format!(r#"["EdDSA","{kid}","{typ}"]"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"{typ}"}}{{}}"#),
        format!(
            "{{\"alg\":\"EdDSA\",\"kid\":\"{kid}\",\"typ\":\"{typ}\"}}{}",
            " ".repeat(256)
        ),
        String::new(),
    ] {
        assert_eq!(
            accept(&with_header(&bad)),
            Err(Code::ReceiptMalformed),
            "{bad}"
        );
    }
}

#[test]
fn a_compact_jws_has_one_spelling() {
    let good = sign(&usage(), &signer());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!("three parts")
    };
    // The last character of 64 bytes carries four spare bits.
    let spare = format!(
        "{}{}",
        &signature[..85],
        if signature.ends_with('A') { 'B' } else { 'R' }
    );
    for bad in [
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!("{good}=="),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}=.{signature}"),
        format!("{header}.{payload}.{}", &signature[..85]),
        format!("{header}.{payload}.{spare}"),
        format!("{header}.{payload}.{signature}AAAA"),
        format!("{header}.{}.{signature}", "A".repeat(JWS_BYTES_MAX)),
        good.replace('.', ":"),
        String::new(),
        ".".into(),
        "..".into(),
        "券.券.券".into(),
    ] {
        assert_eq!(accept(&bad), Err(Code::ReceiptMalformed), "{bad}");
    }
}

#[test]
fn a_receipt_may_fill_its_size_and_not_one_byte_more() {
    let filled = |bytes: usize| {
        let claims = ComputeUsage {
            aud: "a".repeat(bytes),
            ..usage()
        };
        sign(&claims, &signer())
    };
    let free = JWS_BYTES_MAX - filled(0).len();
    let (fits, over) = (filled(free * 3 / 4), filled(free * 3 / 4 + 4));
    assert!((JWS_BYTES_MAX - 3..=JWS_BYTES_MAX).contains(&fits.len()));
    assert!(accept(&fits).is_ok());
    assert!(over.len() > JWS_BYTES_MAX);
    assert_eq!(accept(&over), Err(Code::ReceiptMalformed));
}

#[test]
fn claims_are_repeated_nowhere_and_are_an_object() {
    let text = String::from_utf8(crate::json::write(&usage()).unwrap()).unwrap();
    for bad in [
        text.replacen("\"seq\":0", "\"seq\":0,\"seq\":0", 1),
        text.replacen("\"seq\":0", "\"seq\":-0", 1),
        text.replacen("\"seq\":0", "\"seq\":0e0", 1),
        text.replacen("\"seq\":0", "\"s\\u0065q\":0,\"seq\":0", 1),
        text.replacen("\"state\"", "\"run\":\"a:b\",\"state\"", 1),
        format!("[{text}]"),
        format!("{text},"),
        format!("\u{feff}{text}"),
        "[]".into(),
        "null".into(),
    ] {
        let refusal = Claims::parse(Typ::Usage, bad.as_bytes()).unwrap_err();
        assert_eq!(refusal.code, Code::ReceiptMalformed, "{bad}");
    }
}

#[test]
fn another_key_does_not_verify_even_if_it_signed_well() {
    let other = Signer::from_seed(&[9; 32]);
    let receipt = UnverifiedReceipt::parse(&sign(&usage(), &signer())).unwrap();
    let refusal = receipt.clone().verify(&other.public()).unwrap_err();
    assert_eq!(refusal.code, Code::ReceiptSignature);
    // The header names one key, the signature is another's: refused with either.
    let header = format!(
        r#"{{"alg":"EdDSA","kid":"{}","typ":"{}"}}"#,
        signer().public().kid(),
        Typ::Usage
    );
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(crate::json::write(&usage()).unwrap())
    );
    let forged = format!(
        "{signed}.{}",
        URL_SAFE_NO_PAD.encode(other.sign(signed.as_bytes()))
    );
    for key in [signer().public(), other.public()] {
        let refusal = UnverifiedReceipt::parse(&forged)
            .unwrap()
            .verify(&key)
            .unwrap_err();
        assert_eq!(refusal.code, Code::ReceiptSignature);
    }
}

#[test]
fn a_period_is_half_open_at_most_a_day_inside_one_month_at_east_eight() {
    // 2026-11-30T16:00:00Z is the first second of December at +08:00.
    let month = 1_796_054_400;
    for good in [
        over(T, T + 1),
        over(T - 86_400, T),
        over(month - 10, month),
        over(month, month + 10),
    ] {
        assert_eq!(good.check_period(), Ok(()), "{good:?}");
    }
    for bad in [
        over(T, T),
        over(T, T - 1),
        over(T - 86_401, T),
        over(month - 1, month + 1),
        over(0, T),
        ComputeUsage {
            iat: at(T + 3594),
            ..usage()
        },
    ] {
        assert_eq!(
            bad.check_period().unwrap_err().code,
            Code::ReceiptPeriod,
            "{bad:?}"
        );
    }
    assert_eq!(
        ComputeUsage {
            iat: at(T + 3595),
            ..usage()
        }
        .check_period(),
        Ok(())
    );
}

#[test]
fn a_receipt_may_be_signed_five_minutes_ahead_of_the_exchange() {
    assert_eq!(usage().link().check_issued_by(at(T + 3300)), Ok(()));
    let refusal = usage().link().check_issued_by(at(T + 3299)).unwrap_err();
    assert_eq!(refusal.code, Code::ReceiptPeriod);
}

#[test]
fn use_fits_cards_and_time_and_is_placed_in_hours_exactly() {
    let across = |gpu_seconds: i64| ComputeUsage {
        gpu_seconds: GpuSeconds::new(gpu_seconds).unwrap(),
        ..over(T + 3000, T + 4200)
    };
    let void = ComputeUsage {
        kind: Kind::Correction,
        gpu_count: 0,
        ..across(0)
    };
    for good in [
        used(28_800),
        used(28_799),
        used(0),
        across(9_600),
        void.clone(),
    ] {
        assert_eq!(good.check_rate(), Ok(()), "{good:?}");
    }
    for bad in [
        used(28_801),
        across(9_599),
        across(9_601),
        across(0),
        ComputeUsage {
            kind: Kind::Usage,
            ..void
        },
    ] {
        assert_eq!(
            bad.check_rate().unwrap_err().code,
            Code::ReceiptRate,
            "{bad:?}"
        );
    }
    let refusal = used(28_801).check_rate().unwrap_err();
    assert_eq!(
        refusal.sentence,
        "28801 GPU-seconds exceed 8 GPUs × 3600 s = 28800; correct gpu_seconds"
    );
}

#[test]
fn jobs_are_named_few_and_sum_to_the_use() {
    let named = |run: &str| {
        ran(vec![Job {
            run: run.into(),
            ..job(28_800)
        }])
    };
    let stated = |state: &str| {
        ran(vec![Job {
            state: state.into(),
            ..job(28_800)
        }])
    };
    let many = |count: usize| {
        let mut jobs = vec![job(0); count - 1];
        jobs.push(job(28_800));
        ran(jobs)
    };
    let long = format!("{}:{}", "a".repeat(16), "b".repeat(60));
    for good in [
        named("slurm:a"),
        named(&long),
        named("k8s:ns/pod_1.a-b@7"),
        stated("NODE_FAIL"),
        many(256),
    ] {
        assert_eq!(good.check_jobs(), Ok(()), "{good:?}");
    }
    for bad in [
        named(""),
        named("slurm"),
        named("slurm:"),
        named(":a"),
        named("Slurm:a"),
        named("slurm:a b"),
        named("slurm:a:b"),
        named("slurm:券"),
        named(&format!("a{long}")),
        named(&format!("{long}b")),
        stated(""),
        stated("completed"),
        stated("CANCELLED by 1000"),
        many(257),
        ran(vec![]),
        ran(vec![job(28_799)]),
        ran(vec![job(28_800), job(1)]),
    ] {
        assert_eq!(
            bad.check_jobs().unwrap_err().code,
            Code::ReceiptJobs,
            "{bad:?}"
        );
    }
}

#[test]
fn hours_cover_the_period_exactly() {
    let hours: Vec<_> = over(T + 1, T + 86_401).hours().collect();
    assert_eq!(hours.len(), 25);
    assert_eq!(
        hours.iter().map(|(_, seconds)| seconds).sum::<i64>(),
        86_400
    );
    assert_eq!(hours.first().map(|(_, seconds)| *seconds), Some(3_599));
    assert_eq!(usage().hours().collect::<Vec<_>>(), [(at(T).hour(), 3_600)]);
}

#[test]
fn a_share_runs_over_whole_hours() {
    let share = |from: i64, to: i64| CapacityShare {
        aud: "localhost/quan".into(),
        site: usage().site,
        gpu_model: usage().gpu_model,
        gpus: 64,
        from: at(from),
        to: at(to),
    };
    assert_eq!(share(T, T + 3600).check_hours(), Ok(()));
    for bad in [
        share(T + 1, T + 3600),
        share(T, T + 3601),
        share(T, T),
        share(T + 3600, T),
        share(0, T * 2),
    ] {
        let bad = share(bad.from.unix(), bad.to.unix());
        assert_eq!(
            bad.check_hours().unwrap_err().code,
            Code::ShareInvalid,
            "{bad:?}"
        );
    }
}

#[test]
fn possession_is_shown_by_a_preimage() {
    let possession = Sha256Hash::of(b"nonce and chunks");
    let acceptance = DataAcceptance {
        iss: usage().iss,
        aud: usage().aud,
        sub: order(),
        seq: 0,
        prev: None,
        jti: usage().jti,
        iat: usage().iat,
        digest: DocumentDigest::of(b"manifest"),
        verdict: Verdict::Accepted,
        possession,
    };
    assert!(acceptance.possesses(&Sha256Hash::of(possession.bytes())));
    assert!(!acceptance.possesses(&possession));
    assert!(accept(&sign(&acceptance, &signer())).is_ok());
}

#[test]
fn every_statement_keeps_its_type() {
    let registration = KeyRegistration {
        iss: usage().iss,
        aud: usage().aud,
        key_use: KeyUse::Receipt,
        iat: usage().iat,
    };
    let delivery = DataDelivery {
        iss: usage().iss,
        aud: usage().aud,
        sub: order(),
        seq: 0,
        prev: None,
        jti: usage().jti,
        iat: usage().iat,
        dataset: DatasetId::parse("ds-dddddddddddddddd").unwrap(),
        version: "1.0.0".into(),
        digest: DocumentDigest::of(b"manifest"),
        bytes: 1 << 40,
        delivered_at: usage().iat,
        ranges: DocumentDigest::of(b"ranges"),
        nonce: Nonce::new([0; 16]),
        possession_hash: Sha256Hash::of(b""),
    };
    let (registered, delivered) = (sign(&registration, &signer()), sign(&delivery, &signer()));
    assert_eq!(
        accept(&registered).unwrap().claims(),
        &Claims::Registration(registration)
    );
    assert_eq!(
        accept(&delivered).unwrap().claims(),
        &Claims::Delivery(delivery)
    );
}

proptest! {
    #[test]
    fn any_flipped_bit_is_refused(bit in 0_usize..8 * 700) {
        let mut bytes = sign(&usage(), &signer()).into_bytes();
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(text) = String::from_utf8(bytes) {
            prop_assert!(accept(&text).is_err());
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in r"\PC{0,80}", json in r#"[\[\]{}:,"a-z0-9.-]{0,60}"#) {
        let _ = accept(&text);
        let signed = format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(&json), URL_SAFE_NO_PAD.encode(&json), "A".repeat(86));
        prop_assert!(accept(&signed).is_err());
        for typ in [Typ::Usage, Typ::Delivery, Typ::Acceptance, Typ::Capacity, Typ::Registration, Typ::Succession, Typ::Reply, Typ::Order] {
            prop_assert!(Claims::parse(typ, json.as_bytes()).is_err());
        }
    }

    #[test]
    fn the_checks_alone_never_panic(start in 0_i64..253_402_300_799, span in -90_000_i64..90_000, count: u32, used in 0..crate::money::INTEGER_MAX) {
        let end = at(start).after(span);
        let claims = ComputeUsage { start: at(start), end, gpu_count: count, gpu_seconds: GpuSeconds::new(used).unwrap(), ..usage() };
        let _ = claims.check_alone();
        if claims.check_period().is_ok() {
            prop_assert_eq!(claims.hours().map(|(_, seconds)| seconds).sum::<i64>(), claims.span());
        }
    }
}
