//! Files sealed for the buyer's own age key, `?recipient=age1…`: nobody on the way reads them, nor whoever finds them on a disk.
//!
//! Each answer is sealed anew. So it has no entity tag, no digest of its own and no ranges: a cut one is asked for again.

use actix_web::body::SizedStream;
use actix_web::http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use verifier::refusal::{Code, Refusal};

use super::range::disposition;
use super::{Nothing, OCTETS, UNKEPT, Wanted, conditions};
use crate::age::{self, Recipient, Writer};
use crate::cause::Whole;
use crate::dataset::deliver::Sending;
use crate::http::Shared;
use crate::http::problem::Problem;
use crate::store::dataset::blob::BlobRow;

const RECIPIENT: &str = "recipient";

/// Whom a query wants the file sealed for; what else stands in it is not ours.
pub(super) fn recipient(query: &str) -> Result<Option<Recipient>, Refusal> {
    if query.is_empty() {
        return Ok(None);
    }
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query);
    let pairs = pairs.map_err(|_| malformed("the query is not name=value&…"))?;
    let texts = pairs.into_inner().into_iter();
    let mut texts = texts.filter_map(|(name, text)| (name == RECIPIENT).then_some(text));
    match (texts.next(), texts.next()) {
        (None, _) => Ok(None),
        (Some(text), None) => Recipient::parse(&text).map(Some).ok_or_else(none),
        (Some(_), Some(_)) => Err(malformed(
            "name one recipient: a file is sealed for one key",
        )),
    }
}

/// Whatever stood there is not repeated: it may be the secret half.
fn none() -> Refusal {
    malformed("recipient is no public key of age: 62 letters, age1…, as age-keygen -y prints it")
}

fn malformed(sentence: &str) -> Refusal {
    Refusal::new(Code::RequestMalformed, sentence)
}

/// Answers with the whole file, sealed.
pub(super) fn answer(
    shared: &Shared,
    request: &HttpRequest,
    (wanted, blob): (&Wanted, BlobRow),
    recipient: &Recipient,
) -> Result<HttpResponse, Problem> {
    if !conditions(request).lets_untagged() {
        let mut response = HttpResponse::build(StatusCode::PRECONDITION_FAILED);
        return Ok(response.insert_header((CACHE_CONTROL, UNKEPT)).finish());
    }
    let writer = Writer::new(Vec::new(), recipient).map_err(|fault| match fault {
        age::Fault::Header(_) => Problem::from(none()),
        other @ (age::Fault::File(_)
        | age::Fault::NoMatch
        | age::Fault::Payload(_)
        | age::Fault::NoRandom) => Problem::Internal(Whole(&other).to_string()),
    })?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, OCTETS))
        .insert_header((ACCEPT_RANGES, "none"))
        .insert_header((CACHE_CONTROL, UNKEPT))
        .insert_header((
            CONTENT_DISPOSITION,
            disposition(&format!("{}.age", wanted.path)),
        ));
    let length = age::sealed_bytes(blob.bytes);
    if request.method() == Method::HEAD {
        return Ok(response.body(SizedStream::new(length, stream::empty::<Nothing>())));
    }
    let sending = Sending::sealed(&shared.data, blob, writer, wanted.serves());
    Ok(response.body(SizedStream::new(length, sending)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_one_public_key_or_none() {
        let key = age::Identity::new([7; 32]).recipient();
        let asked = |query: &str| recipient(query);
        assert_eq!(asked("").unwrap(), None);
        assert_eq!(asked("download=true").unwrap(), None);
        let query = format!("download=true&recipient={key}");
        assert_eq!(asked(&query).unwrap(), Some(key));
        let secret = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
        let cut = key.to_string();
        let twice = format!("recipient={key}&recipient={key}");
        for bad in ["", "age1", secret, "ssh-ed25519", &cut[..61]] {
            let refused = asked(&format!("recipient={bad}")).unwrap_err();
            assert_eq!(refused, none(), "{bad}");
        }
        assert_eq!(asked(&twice).unwrap_err().code, Code::RequestMalformed);
    }
}
